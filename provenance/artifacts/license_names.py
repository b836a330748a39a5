# SPDX-License-Identifier: Apache-2.0
"""Map the names of licenses that hubs, READMEs and models use to SPDX ids."""

from __future__ import annotations

import re
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from provenance.artifacts import spdx

MAX_NAME: Final = 200
"""Characters of the longest name that is looked up."""

_HUB: Final = {
    "c-uda": "C-UDA-1.0",
    "odc-by": "ODC-By-1.0",
    "odbl": "ODbL-1.0",
    "pddl": "PDDL-1.0",
    "lgpl-lr": "LGPLLR",
}
"""Ids of the Hugging Face hub that name an SPDX license differently.

Source: https://huggingface.co/docs/hub/repositories-licenses
"""

_NAMES: Final = {
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache software 2.0": "Apache-2.0",
    "mit": "MIT",
    "bsd 2 clause": "BSD-2-Clause",
    "bsd 3 clause": "BSD-3-Clause",
    "simplified bsd": "BSD-2-Clause",
    "new bsd": "BSD-3-Clause",
    "mozilla public 2.0": "MPL-2.0",
    "isc": "ISC",
    "unlicense": "Unlicense",
    "cc0": "CC0-1.0",
    "cc by 4.0": "CC-BY-4.0",
    "cc by sa 4.0": "CC-BY-SA-4.0",
    "cc by nc 4.0": "CC-BY-NC-4.0",
    "cc by nc sa 4.0": "CC-BY-NC-SA-4.0",
    "cc by nc nd 4.0": "CC-BY-NC-ND-4.0",
    "boost software 1.0": "BSL-1.0",
}
"""Names in prose, as `_plain` returns them. A name that could mean several licenses is left out."""

_NOT_IN_URL: Final = (".html", ".txt", ".md", ".json", "/")
_FAMILIES: Final = ("bsd", "gpl", "lgpl", "agpl", "cc", "gfdl", "openrail")
"""Names of families of licenses. None of them is a license."""


def spdx_id(name: str) -> str | None:
    """Return the SPDX expression that a name or a URL of a license means, or None.

    Ids are found in any case. A GNU license without `-only` or `-or-later` becomes `-only`, as SPDX
    defines the deprecated ids.
    """
    text = name.strip()
    if not text or len(text) > MAX_NAME or text.casefold() in _FAMILIES:
        return None
    if "://" in text:
        return _of_url(text)
    lower = text.casefold()
    found = _HUB.get(lower) or _ids().get(lower) or _ids().get(f"{lower}-only")
    found = found or _NAMES.get(_plain(text))
    if found is not None:
        return found
    return text if spdx.is_known(text) and not text.startswith(spdx.OWN) else None


def license_url(id: str) -> str | None:
    """Return the address of a license's text in the SPDX list, or None for any other expression."""
    listed = id in spdx.COMMON or id in _ids().values()
    return f"https://spdx.org/licenses/{id}.html" if listed else None


@cache
def _ids() -> dict[str, str]:
    """Return the ids on the SPDX list by their lower-case form."""
    return {id.casefold(): id for id in spdx.known_ids() if not id.startswith(spdx.OWN)}


def _plain(name: str) -> str:
    words = re.sub(r"[^a-z0-9.]+", " ", name.casefold()).split()
    left_out = {"the", "license", "licence", "licensed", "version", "under"}
    kept = [re.sub(r"^v(?=[0-9])", "", word) for word in words if word not in left_out]
    return " ".join(kept).rstrip(".")


def _of_url(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    host, path = (parts.hostname or "").removeprefix("www."), parts.path
    for ending in _NOT_IN_URL:
        path = path.removesuffix(ending)
    last = path.rpartition("/")[2]
    if host == "apache.org" and last.upper() == "LICENSE-2.0":
        return "Apache-2.0"
    if host == "creativecommons.org":
        kind = re.fullmatch(r"/licenses/(by[a-z-]*)/([0-9.]+)(?:/.*)?", path)
        return spdx_id(f"CC-{kind[1]}-{kind[2]}") if kind else None
    if host in ("spdx.org", "opensource.org", "choosealicense.com"):
        return spdx_id(last) if last else None
    return None
