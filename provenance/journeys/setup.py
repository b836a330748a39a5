# SPDX-License-Identifier: Apache-2.0
"""`keygen`: the key pair that an author signs with."""

from __future__ import annotations

from pathlib import Path

from provenance.artifacts import file_system
from provenance.errors import InputError
from provenance.signing import pem


def keygen(stem: Path, passphrase: str | None = None) -> tuple[Path, Path]:
    """Write a fresh ECDSA P-256 key pair: `<stem>.key` (only its owner can read it), `<stem>.pub`.

    The private key is encrypted with `passphrase`, where there is one.

    Raises:
        InputError: A file is in the way, or cannot be written.
    """
    if stem.name in ("", ".", ".."):
        raise InputError(
            f"{str(stem)!r}: not a name for a key pair", help="provenance keygen release"
        )
    private_path, public_path = (
        stem.with_name(stem.name + ".key"),
        stem.with_name(stem.name + ".pub"),
    )
    for path in (private_path, public_path):
        if path.exists() or path.is_symlink():
            raise InputError(f"{path}: exists", help="Choose another name, or remove it yourself.")
    private, public = pem.generate(passphrase)
    try:
        file_system.create(private_path, private, 0o600)
        try:
            file_system.create(public_path, public, 0o644)
        except OSError:
            private_path.unlink()
            raise
    except OSError as e:
        raise InputError(
            f"cannot write {stem}: {e.strerror or e}", help=file_system.advice(e)
        ) from e
    except ValueError as e:
        raise InputError(f"cannot write {stem}: {e}") from e
    return private_path, public_path
