# SPDX-License-Identifier: Apache-2.0
"""The documentation as text: pages, code blocks, links, headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
NAMES: Final = tuple(page.relative_to(ROOT).as_posix() for page in PAGES)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def read(name: str) -> str:
    """The text of a page."""
    return (ROOT / name).read_text("utf-8")


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", text)


def fences(text: str) -> Iterator[tuple[str, str]]:
    """Language and content of each fenced block."""
    for match in _FENCE.finditer(text):
        yield match.group(1), match.group(2)


def links(text: str) -> list[str]:
    """The targets of all links and images in prose."""
    return _LINK.findall(prose(text))


def inline_code(text: str) -> list[str]:
    """Code in prose, each on one line."""
    return [" ".join(code.split()) for code in _CODE.findall(prose(text))]


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(text)):
        found.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return found
