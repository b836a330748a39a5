# SPDX-License-Identifier: Apache-2.0
"""Identify the license in a license file: by its SPDX tag, or else by its text.

A tag is trusted. A file without a tag is compared with the texts of well-known licenses. If it
matches none, nothing follows from it.
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
    """Return the SPDX expressions in the tags of a text, without repetitions.

    There are two forms of tags: `SPDX-License-Identifier: MIT` of the SPDX specification (annex E),
    and `SPDX short identifier: MIT` in the license texts of the Open Source Initiative.
    """
    found = (m[1].strip() for m in _TAG.finditer(text))
    return tuple(dict.fromkeys(e for e in found if spdx.alternatives(e) is not None))


def recognised(text: str) -> str | None:
    """Return the id of the well-known license that a text nearly equals, or None."""
    import tempfile

    from identify.identify import license_id

    # The library's pattern for copyright lines takes quadratic time for empty lines.
    lines = (line.strip() for line in text.splitlines()[:_LINES])
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt", delete=False) as file:
        file.write("\n".join(line for line in lines if line))
    try:
        return license_id(file.name)
    finally:
        os.unlink(file.name)


@cache
def recognisable() -> frozenset[str]:
    """Return the licenses whose texts `recognised` knows, as `spdx.alternatives` names them.

    `recognised` returns the most similar of these. For CC-BY-NC-4.0, which it does not know, that
    is CC-BY-4.0.
    """
    from identify.vendor.licenses import LICENSES

    return frozenset().union(*(spdx.ids_in(id) for id, _ in LICENSES))
