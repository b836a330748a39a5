# SPDX-License-Identifier: Apache-2.0
"""Which license a license file holds: by the SPDX tag in it, else by its text.

A file that names its license is believed. Other texts are compared with those of well-known
licenses; any other text is no known license, and nothing is concluded from it.
"""

from __future__ import annotations

import os
import re
from functools import cache
from typing import Final

from provenance.artifacts import spdx

_TAG: Final = re.compile(
    r"SPDX[- ](?:License[- ]Identifier|short identifier):[ \t]*([A-Za-z0-9][^\r\n*<>\"']{0,200})",
    re.IGNORECASE,
)
_LINES: Final = 20_000


def tagged(text: str) -> tuple[str, ...]:
    """The SPDX expressions that a text tags itself with, each once.

    Two forms occur: `SPDX-License-Identifier: MIT` of the SPDX specification (annex E), and `SPDX
    short identifier: MIT`, as the Open Source Initiative publishes its license texts.
    """
    found = (m[1].strip() for m in _TAG.finditer(text))
    return tuple(dict.fromkeys(e for e in found if spdx.alternatives(e) is not None))


def recognised(text: str) -> str | None:
    """The id of the well-known license that a text is, but for a few words; None for others."""
    import tempfile

    from identify.identify import license_id

    # The library's pattern for copyright lines takes time with the square of empty lines.
    lines = (line.strip() for line in text.splitlines()[:_LINES])
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt", delete=False) as file:
        file.write("\n".join(line for line in lines if line))
    try:
        return license_id(file.name)
    finally:
        os.unlink(file.name)


@cache
def recognisable() -> frozenset[str]:
    """The licenses whose texts `recognised` knows, as `spdx.alternatives` names them.

    It takes the nearest: CC-BY-NC-4.0, which is not among them, is nearly CC-BY-4.0.
    """
    from identify.vendor.licenses import LICENSES

    return frozenset().union(*(spdx.ids_in(id) for id, _ in LICENSES))
