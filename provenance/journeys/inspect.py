# SPDX-License-Identifier: Apache-2.0
"""`inspect`: what a bundle says, without judging who says it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from provenance.artifacts import limits
from provenance.artifacts.paths import FileError, read_named_file
from provenance.attestations import bundle as bundles
from provenance.attestations.bundle import Bundle
from provenance.attestations.statement import Statement, StatementError, decode
from provenance.errors import InputError


@dataclass(frozen=True)
class Inspection:
    """A bundle, and the statement in it where it holds one."""

    path: str
    bundle: Bundle
    statement: Statement | None

    @property
    def key_sha256(self) -> str | None:
        """The SHA-256 of the key that the bundle's hint names, where it is one."""
        try:
            raw = base64.b64decode(self.bundle.hint or "", validate=True)
        except ValueError:
            return None
        return raw.hex() if len(raw) == 32 else None


def inspect(path: Path) -> Inspection:
    """Read the bundle at `path`.

    Raises:
        InputError: It cannot be read, or is not a bundle.
    """
    try:
        bundle = bundles.decode(read_named_file(path, limits.BUNDLE))
        statement = None
        if isinstance(bundle.content, bundles.Envelope):
            statement = decode(bundle.content.payload, older=True)
    except FileError as e:
        raise InputError(f"bundle {path}: {e.message}") from e
    except (bundles.BundleError, StatementError) as e:
        raise InputError(f"{path}: {e}", help="`inspect` reads Sigstore bundles v0.3.") from e
    return Inspection(str(path), bundle, statement)
