# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ast
import os
import re

import pytest

from tests.docs.pages import NAMES, ROOT, anchors, inline_code, links, prose, read

_FILE = re.compile(r"(?:provenance|model|scripts|tests|docs|bundles)/[\w./-]+\.\w+")
_PLACEHOLDER = re.compile(r"[A-Z]{3}")
HOUSE = "docs/adr/0001-house.md"
_IN_CODE = re.compile(r"[a-z0-9_./]+(?:\.(?:py|json|toml)|/)(?:::[\w.]+)?")


def target(page: str, link: str) -> tuple[str, str]:
    path, _, anchor = link.partition("#")
    folder = os.path.dirname(page)
    return os.path.normpath(os.path.join(folder, path)) if path else page, anchor


def internal(page: str) -> list[tuple[str, str, str]]:
    found = [link for link in links(read(page)) if not link.startswith(("https://", "http://"))]
    return [(link, *target(page, link)) for link in found]


@pytest.mark.parametrize("page", NAMES)
def test_every_link_leads_to_a_file_and_a_heading(page: str) -> None:
    for link, path, anchor in internal(page):
        assert (ROOT / path).exists(), f"{page}: {link}"
        assert not path.startswith(".."), f"{page}: {link} leaves the repository"
        if anchor:
            assert anchor in anchors(read(path)), f"{page}: {link}: no such heading"


def test_every_page_of_the_docs_is_linked_from_another() -> None:
    linked = {path for page in NAMES for _, path, _ in internal(page) if path != page}
    linked |= {f"{path}/README.md" for path in linked}
    unlinked = [page for page in NAMES if page.startswith("docs/") and page not in linked]
    assert unlinked == []


@pytest.mark.parametrize("page", NAMES)
def test_every_file_that_is_named_exists(page: str) -> None:
    for code in inline_code(read(page)):
        if _FILE.fullmatch(code) and not _PLACEHOLDER.search(os.path.basename(code)):
            assert (ROOT / code).exists(), f"{page}: `{code}`"


@pytest.mark.parametrize("code", [c for c in inline_code(read(HOUSE)) if _IN_CODE.fullmatch(c)])
def test_every_file_and_name_on_the_page_about_the_house_exists(code: str) -> None:
    path, _, name = code.partition("::")
    base = ROOT if path.startswith("tests/") or path == "pyproject.toml" else ROOT / "provenance"
    assert (base / path).exists()
    if name:
        assert name in defined(ast.parse((base / path).read_text("utf-8")))


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


@pytest.mark.parametrize("page", NAMES)
def test_every_table_has_as_many_cells_in_each_line(page: str) -> None:
    width = 0
    for line in prose(read(page)).splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        if cells and width:
            assert cells == width, f"{page}: {line}"
        width = cells


def test_a_heading_is_found_by_its_anchor() -> None:
    assert anchors("# A b\n## The `x` key's\n```\n# no\n```\n") == {"a-b", "the-x-keys"}
