# SPDX-License-Identifier: Apache-2.0
"""How other projects spell a SHA-256."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final


def integrity(sha256: str) -> str:
    """Return a digest as Subresource Integrity writes it."""
    return f"sha256-{base64.b64encode(bytes.fromhex(sha256)).decode()}"


SPELLINGS: Final[list[Callable[[str], str]]] = [
    str.upper,
    "sha256:{}".format,
    "SHA-256={}".format,
    "sha256-{}".format,
    lambda sha256: f"SHA256:{sha256.upper()}",
    lambda sha256: f" {sha256[:32].upper()}{sha256[32:]}\n",
    integrity,
]
"""Each returns a SHA-256, given in lower-case hex, in another spelling."""
