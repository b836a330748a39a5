# SPDX-License-Identifier: Apache-2.0
"""`keygen`: generate a key pair for signing."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from provenance.artifacts import file_system
from provenance.artifacts.documents.toml_text import quoted
from provenance.config import PYPROJECT, Config
from provenance.errors import InputError
from provenance.signing import key_advice, pem


def keygen(stem: Path, passphrase: str | None = None) -> tuple[Path, Path]:
    """Write a new ECDSA P-256 key pair: `<stem>.key` (readable only by its owner) and `<stem>.pub`.

    If there is a `passphrase`, the private key is encrypted with it. A missing folder is created,
    accessible only to its owner.

    Raises:
        InputError: If a file exists already or cannot be written.
    """
    if stem.name in ("", ".", ".."):
        raise InputError(
            f"{str(stem)!r}: not a name for a key pair",
            help=f"provenance keygen {_free('release')}",
        )
    private_path, public_path = (stem.with_name(stem.name + s) for s in (".key", ".pub"))
    for path in (private_path, public_path):
        if os.path.lexists(path):
            raise InputError(
                f"{path}: exists already",
                help="Choose another name, or remove it yourself: provenance keygen "
                + _free(str(stem)),
            )
    private, public = pem.generate(passphrase)
    try:
        with file_system.explained(f"cannot write {stem}"):
            os.makedirs(stem.parent, mode=0o700, exist_ok=True)
            file_system.create(private_path, private, 0o600)
            try:
                file_system.create(public_path, public, 0o644)
            except OSError:
                private_path.unlink()
                raise
    except ValueError as e:
        raise InputError(f"cannot write {stem}: {e}") from e
    return private_path, public_path


def _free(stem: str) -> str:
    """Return an unused name for a key pair, quoted for a shell."""
    return shlex.quote(key_advice.free_pair(stem))


def trusting(public: Path, folder: Path, config: Config | None) -> tuple[str | None, str]:
    """Return how to trust a new public key: a command that copies it, if one is needed, and TOML.

    A configuration can only trust keys in its own folder or below. Without a configuration,
    `folder` is where it will be.
    """
    home = config.key_folder if config else Path(os.path.realpath(folder))
    real = Path(os.path.realpath(public))
    copy = None
    if not real.is_relative_to(home):
        real = Path(key_advice.new_name(str(home / public.name), ".pub"))
        copy = shlex.join(("cp", str(public), os.path.relpath(real)))
    section = "tool.provenance." if config and config.path.endswith(PYPROJECT) else ""
    name = quoted(real.relative_to(home).as_posix())
    return copy, f"[[{section}trust.key]]\npath = {name}"
