# SPDX-License-Identifier: Apache-2.0
"""Every attack that the threat model lists names the tests that mount it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from tests.docs.pages import ROOT, Problem, problems, read, require_none

PAGE = "docs/threat-model.md"
HEADING = "## Attacks and their tests"
_ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+) \|$")
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)(?:\[[^`]*\])?`")


def attacks(page: str) -> Iterator[tuple[int, str, str, str]]:
    """Yield the line of each attack, its name, its defence, and its tests."""
    before, _, rest = read(page).partition(f"{HEADING}\n")
    section = rest.partition("\n## ")[0]
    for line, text in enumerate(section.splitlines(), before.count("\n") + 2):
        found = _ROW.match(text)
        if found and found[1] not in ("attack", "---"):
            yield line, found[1], found[2], found[3]


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def untested(page: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for line, attack, defence, tests in attacks(page):
        if attack in seen:
            yield line, f"{attack}: listed twice"
        seen.add(attack)
        if not defence.strip():
            yield line, f"{attack}: no defence"
        named = _TEST.findall(tests)
        if not named or _TEST.sub("", tests).strip(", "):
            yield line, f"{attack}: not a list of tests: {tests}"
        for path, name in named:
            if not (ROOT / path).is_file():
                yield line, f"{attack}: no such file: {path}"
            elif not name.startswith("test_") or name not in functions(path):
                yield line, f"{attack}: no such test: {path}::{name}"


def test_each_attack_names_tests_that_exist() -> None:
    assert len([*attacks(PAGE)]) >= 25
    require_none(problems(untested, [PAGE]))
