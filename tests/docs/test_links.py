# SPDX-License-Identifier: Apache-2.0
"""Pages link only to files and headings that exist, and every page of the docs is linked."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.pages import NAMES, ROOT, Problem, inline_code, problems, read, require_none

Find = Callable[[str], Iterator[Problem]]

_FILE = re.compile(r"(?:provenance|model|scripts|tests|docs|bundles)/[\w./-]+\.\w+")
_PLACEHOLDER = re.compile(r"[A-Z]{3}")
_IN_CODE = re.compile(r"[a-z0-9_./]+(?:\.(?:py|json|toml)|/)(?:::[\w.]+)?")


def target(page: str, link: str) -> tuple[str, str]:
    path, _, anchor = link.partition("#")
    folder = os.path.dirname(page)
    return os.path.normpath(os.path.join(folder, path)) if path else page, anchor


def internal(page: str) -> Iterator[tuple[int, str, str, str]]:
    """Yield the line, the link, its file and its anchor, for each link into the repository."""
    for line, link in pages.links(read(page)):
        if not link.startswith(("https://", "http://")):
            yield line, link, *target(page, link)


@cache
def headings(page: str) -> set[str]:
    return pages.anchors(read(page))


def broken_links(page: str) -> Iterator[Problem]:
    for line, link, path, anchor in internal(page):
        if path.startswith(".."):
            yield line, f"{link}: leaves the repository"
        elif not (ROOT / path).exists():
            yield line, f"{link}: no such file"
        elif anchor and anchor not in headings(path):
            yield line, f"{link}: no such heading"


def missing_files(page: str) -> Iterator[Problem]:
    for line, code in inline_code(read(page)):
        named = _FILE.fullmatch(code) and not _PLACEHOLDER.search(os.path.basename(code))
        if named and not (ROOT / code).exists():
            yield line, f"`{code}`: no such file"


def missing_names(page: str) -> Iterator[Problem]:
    """Yield the files and names that the page on the architecture mentions and nothing defines."""
    for line, code in inline_code(read(page)):
        if not _IN_CODE.fullmatch(code):
            continue
        path, _, name = code.partition("::")
        in_root = path.startswith("tests/") or path == "pyproject.toml"
        file = (ROOT if in_root else ROOT / "provenance") / path
        if not file.exists():
            yield line, f"`{code}`: no such file"
        elif name and name not in defined(ast.parse(file.read_text("utf-8"))):
            yield line, f"`{code}`: no such name"


def uneven_tables(page: str) -> Iterator[Problem]:
    width = 0
    for number, line in enumerate(pages.prose(read(page)).splitlines(), 1):
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        if cells and width and cells != width:
            yield number, f"another number of cells than in the line before: {line}"
        width = cells


def test_every_page_of_the_docs_is_linked_from_another() -> None:
    linked = {path for page in NAMES for _, _, path, _ in internal(page) if path != page}
    linked |= {f"{path}/README.md" for path in linked}
    require_none(page for page in NAMES if page.startswith("docs/") and page not in linked)


def defined(tree: ast.Module | ast.ClassDef) -> set[str]:
    """What a file or class defines: `f`, `Class`, `Class.method`, and constants."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {node.name} | {f"{node.name}.{name}" for name in defined(node)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


@pytest.mark.parametrize(
    ("find", "names"),
    [
        (broken_links, NAMES),
        (missing_files, NAMES),
        (missing_names, ["docs/adr/0001-house.md"]),
        (uneven_tables, NAMES),
    ],
)
def test_no_page_has_a_problem(find: Find, names: Sequence[str]) -> None:
    require_none(problems(find, names))


def test_a_heading_is_found_by_its_anchor() -> None:
    assert pages.anchors("# A b\n## The `x` key's\n```\n# no\n```\n") == {"a-b", "the-x-keys"}


@pytest.mark.parametrize(
    ("find", "text", "expected"),
    [
        (broken_links, "[a](#top)\n\n[b](missing.md)\n", ["4: missing.md: no such file"]),
        (broken_links, "```sh\n[a](b)\n```\n![a\nb](c)\n", ["6: c: no such file"]),
        (broken_links, "[a](page.md#tpo)", ["2: page.md#tpo: no such heading"]),
        (missing_files, "`docs/gone.md`, `docs/XYZ.md`", ["2: `docs/gone.md`: no such file"]),
        (missing_names, "\n`gone.py`", ["3: `gone.py`: no such file"]),
        (missing_names, "`version.py::gone`", ["2: `version.py::gone`: no such name"]),
        (
            uneven_tables,
            "| a |\n| - |\n| b | c |\n\n| d | e |\n",
            ["4: another number of cells than in the line before: | b | c |"],
        ),
    ],
)
def test_problems_have_lines(tmp_path: Path, find: Find, text: str, expected: list[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Top\n{text}", "utf-8")
    assert problems(find, [str(page)]) == [f"{page}:{problem}" for problem in expected]


def test_a_link_may_leave_the_folder_of_its_page() -> None:
    assert target("README.md", "../x.md#y") == ("../x.md", "y")
    assert target("docs/adr/a.md", "../../README.md") == ("README.md", "")
