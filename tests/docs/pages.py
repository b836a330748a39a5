# SPDX-License-Identifier: Apache-2.0
"""The documentation as text: pages, code blocks, links, headings, and the lines they are in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
NAMES: Final = tuple(page.relative_to(ROOT).as_posix() for page in PAGES)

Problem = tuple[int, str]
"""The number of a line and what is wrong there."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def read(name: str) -> str:
    """Return the text of a page."""
    return (ROOT / name).read_text("utf-8")


def prose(text: str) -> str:
    """Return a page with its fenced blocks replaced by empty lines."""
    return _FENCE.sub(lambda block: "\n" * block[0].count("\n"), text)


def blocks(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the first line, the language and the content of each fenced block."""
    for match in _FENCE.finditer(text):
        yield _line(text, match.start(2)), match.group(1), match.group(2)


def fences(text: str) -> list[tuple[str, str]]:
    """Return the language and the content of each fenced block."""
    return [(language, content) for _, language, content in blocks(text)]


def links(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the target of each link and image in prose."""
    text = prose(text)
    for match in _LINK.finditer(text):
        yield _line(text, match.start(1)), match.group(1)


def inline_code(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the content of each code span in prose, with line breaks as spaces."""
    text = prose(text)
    for match in _CODE.finditer(text):
        yield _line(text, match.start()), " ".join(match.group(1).split())


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as code hosts make them."""
    headings = _HEADING.findall(prose(text))
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def problems(find: Callable[[str], Iterable[Problem]], pages: Iterable[str] = NAMES) -> list[str]:
    """Return what `find` reports of all pages, as `page:line: problem`."""
    return [f"{page}:{line}: {problem}" for page in pages for line, problem in find(page)]


def require_none(found: Iterable[str]) -> None:
    """Fail with all problems, a line each; pytest would shorten the list of an assertion."""
    if lines := [*found]:
        pytest.fail("\n".join(lines), pytrace=False)


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1
