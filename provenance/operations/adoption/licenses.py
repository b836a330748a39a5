# SPDX-License-Identifier: Apache-2.0
"""The license of models whose index states none: that of the nearest license file, if certain."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from provenance.artifacts import license_text, limits, spdx
from provenance.artifacts.paths import FileError, Tree
from provenance.frozen import dataclass
from provenance.operations.adoption.disk import Listing

_NAME: Final = re.compile(r"(?:licen[cs]e|copying)(?:[-.].*)?", re.IGNORECASE)
_UNSURE: Final = ("CC-BY", "GPL", "LGPL", "AGPL")
"""Beginnings of ids that a text alone does not determine: the variants have nearly the same text,
or leave open whether later versions apply."""


@dataclass(frozen=True)
class LicenseOf:
    """The license file nearest to some models.

    Attributes:
        path: The path of the file.
        id: The SPDX expression that it contains, or None if that is not certain.
    """

    path: str
    id: str | None


def nearest(tree: Tree, listing: Listing, folders: Iterable[str]) -> LicenseOf | None:
    """Return the license file in the folder around all `folders`, or in the nearest above it."""
    from provenance.operations.adoption.places import common

    folder = common(dict.fromkeys(folders))
    by_folder: dict[str, list[str]] = {}
    for path in listing.files:
        where, _, name = path.rpartition("/")
        if _NAME.fullmatch(name):
            by_folder.setdefault(where or ".", []).append(path)
    while True:
        found = by_folder.get(folder, [])
        if found:
            only = found[0] if len(found) == 1 else None
            return LicenseOf(found[0], None if only is None else _identify(tree, only))
        if folder == ".":
            return None
        folder = folder.rpartition("/")[0] or "."


def _identify(tree: Tree, path: str) -> str | None:
    try:
        text = tree.read(path, limits.LICENSE).decode("utf-8", "replace")
    except FileError:
        return None
    tags = license_text.tagged(text)
    if tags:
        return tags[0] if len(tags) == 1 else None
    found = license_text.recognised(text)
    return None if found is None or found.startswith(_UNSURE) else found


def page(license: str) -> str | None:
    """Return the address of the page of a license on the SPDX list, or None."""
    listed = license in spdx.COMMON or license in spdx.known_ids()
    return f"https://spdx.org/licenses/{license}.html" if listed else None


def similar(text: str) -> str | None:
    """Return the SPDX id that a name in words is similar to, or None. It is only a suggestion."""
    words = re.sub(
        r"\([^)]*\)|\b(?:the|licen[cs]e[ds]?|version|v(?=\d))\b", " ", text[:200], flags=re.I
    )
    plain = "-".join(re.split(r"[\s,/_-]+", words.strip()))
    options = [plain, f"{plain}-only", f"{plain}.0", f"{plain}.0-only"]
    by_case = {id.casefold(): id for id in spdx.known_ids()}
    return next((by_case[o.casefold()] for o in options if o.casefold() in by_case), None)
