# SPDX-License-Identifier: Apache-2.0
"""Every attack that the threat model lists names the tests that mount it."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.pages import ROOT, read

PAGE = "docs/threat-model.md"
HEADING = "## Attacks and their tests"
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)(?:\[[^`]*\])?`")


def attacks() -> dict[str, tuple[str, str]]:
    """What stops each attack, and the tests that mount it."""
    section = read(PAGE).partition(f"{HEADING}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| (.+?) \| (.+?) \| (.+) \|$", section, re.MULTILINE)
    lines = [line for line in found if line[0] not in ("attack", "---")]
    assert len(lines) == len({line[0] for line in lines}), "an attack is listed twice"
    return {attack: (stopped, tests) for attack, stopped, tests in lines}


def functions(path: str) -> set[str]:
    """The names of the functions that a file of tests defines, parametrised or not."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_threat_model_lists_attacks() -> None:
    assert len(attacks()) >= 25


@pytest.mark.parametrize("attack", attacks())
def test_each_attack_names_tests_that_exist(attack: str) -> None:
    stopped, tests = attacks()[attack]
    assert stopped.strip()
    named = _TEST.findall(tests)
    assert named, "no test"
    assert _TEST.sub("", tests).strip(", ") == "", "not a test"
    for path, name in named:
        assert name.startswith("test_")
        assert (ROOT / path).is_file(), path
        assert name in functions(path), f"{path}::{name}"
