# SPDX-License-Identifier: Apache-2.0
"""Where trusted roots come from: a file, or the TUF repository of a public instance."""

from __future__ import annotations

import enum
from pathlib import Path

from provenance.artifacts import limits, paths
from provenance.errors import InputError
from provenance.signing import trusted_root
from provenance.signing.trusted_root import TrustedRoot


class Instance(enum.Enum):
    """The public Sigstore instances."""

    PRODUCTION = "sigstore.dev"
    STAGING = "sigstage.dev"


def of_bytes(data: bytes, source: str) -> TrustedRoot:
    """The trusted root in `data`; `source` is where it was read. Raises InputError."""
    try:
        return trusted_root.decode(data, source)
    except trusted_root.TrustedRootError as e:
        raise InputError(
            f"{source}: {e}",
            help="A trusted root is the JSON that the operator of a Sigstore instance publishes.",
        ) from e


def of_file(path: Path) -> TrustedRoot:
    """The trusted root, or that of the client trust configuration, in a file that was named.

    Raises:
        InputError: It cannot be read, or is neither.
    """
    try:
        data = paths.read_named_file(path, limits.TRUSTED_ROOT)
    except paths.FileError as e:
        raise InputError(f"trusted root {path}: {e.message}", help=e.help) from e
    return of_bytes(data, str(path))
