# SPDX-License-Identifier: Apache-2.0
"""Record a step of a release: the files before and after it, signed by who performed it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from provenance.artifacts import file_system, writing
from provenance.artifacts.paths import Tree
from provenance.attestations.layout_documents import LINK, link_name, need_in_toto
from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence.progress import Progress

if TYPE_CHECKING:
    from provenance.signing.schemes import Ask

_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")


@dataclass
class Recording:
    """A step that is being recorded.

    Attributes:
        discarded: Whether the step failed, so that no link is written.
        link: The path of the link, or None until it is written.
    """

    discarded: bool = False
    link: Path | None = None

    def succeeded(self, yes: bool) -> None:
        """Set whether the step succeeded. If it did not, no link is written."""
        self.discarded = not yes


@contextmanager
def record_step(
    name: str,
    config: Config,
    link_dir: Path,
    key: str,
    *,
    public_key: Path | None = None,
    ask: Ask | None = None,
    progress: Progress | None = None,
) -> Iterator[Recording]:
    """Record what the `with` block does to the files of a release, as the step `name`.

    At the end of the block, the link `NAME.KEYID.link` is written: the files before and after the
    block, with their digests, signed. If the block raises or reports a failure, no link is written.

    Args:
        name: The name of the step.
        config: The configuration of the release.
        link_dir: The folder for the link. It must not be part of the release.
        key: The URI of the private key.
        public_key: The public key (PEM), required if the private key is in a token or a KMS.
        ask: Asks for a passphrase or PIN that is not in the environment.
        progress: Receives what is being done.

    Raises:
        InputError: If a file cannot be recorded, the key cannot be read, or the link cannot be
            written.
        UnavailableError: If signing fails, or `in-toto` is not installed.
    """
    need_in_toto("recording a step")
    if _NAME.fullmatch(name) is None:
        raise InputError(
            f"{name!r} is not a valid name for a step",
            help="Use letters, digits, `_`, `-` and `.`, for example: export",
        )
    from provenance.evidence import snapshot
    from provenance.signing.functionary import open_functionary
    from provenance.signing.key_uris import LINK_KEY

    functionary = open_functionary(key, LINK_KEY, public_key, ask)
    target = _target(config, link_dir, link_name(name, functionary.public.key_id))
    before = snapshot.take(config, progress)
    recording = Recording()
    yield recording
    if recording.discarded:
        return
    after = snapshot.take(config, progress)
    data = functionary.sign(_link(name, before, after))
    with file_system.explained(f"cannot make the folder {target.parent}"):
        target.parent.mkdir(exist_ok=True)
    writing.write_named_file(target, data)
    recording.link = target


def _target(config: Config, link_dir: Path, name: str) -> Path:
    """Return the path of the link.

    Raises:
        InputError: If the link would be among the recorded files.
    """
    if link_dir.exists():
        Tree.at(link_dir).target(name)
    elif not link_dir.parent.is_dir():
        raise InputError(f"--link-dir {link_dir}: the folder {link_dir.parent} does not exist")
    from provenance.evidence import snapshot

    root, real = Tree.at(config.root).root, link_dir.resolve()
    for folder in snapshot.scope_of(config).folders:
        if folder != "." and real.is_relative_to(root / folder):
            raise InputError(
                f"--link-dir {link_dir} is below {folder!r}, whose files are recorded",
                help="Keep links in a folder of their own: --link-dir links",
            )
    return link_dir / name


def _link(name: str, before: dict[str, str], after: dict[str, str]) -> dict[str, Any]:
    """Return the payload of a link, without command and environment: both may hold secrets."""
    return {
        "_type": LINK,
        "name": name,
        "command": [],
        "materials": {path: {"sha256": found} for path, found in before.items()},
        "products": {path: {"sha256": found} for path, found in after.items()},
        "byproducts": {"stdout": "", "stderr": "", "return-value": 0},
        "environment": {},
    }
