# SPDX-License-Identifier: Apache-2.0
"""Commands of ours in messages and help texts: they exist, and have the options that are given."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

import provenance
from provenance.cli import COMMANDS, group

SOURCES: Final = Path(str(provenance.__file__)).parent


def _parameters(name: str) -> list[click.Parameter]:
    found = group.get_command(click.Context(group), name)
    assert found is not None, f"no command {name}"
    return found.params


def _spelled(tree: ast.AST) -> Iterator[list[str]]:
    """The commands of ours that a module names in its strings, and those that it puts together."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "command":
            words = [a.value for a in node.args if isinstance(a, ast.Constant)]
            if words and isinstance(node.args[0], ast.Constant):
                yield [str(word) for word in words]
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        text = "".join(
            part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "X"
            for part in parts
        )
        for found in re.findall(r"provenance ((?:[a-z]+)(?: [^\s.,;:`'\")]+)*)", text):
            if found.split()[0] in COMMANDS:
                yield found.split()


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda p: p.stem)
def test_commands_that_are_named_in_texts_have_the_options_that_are_given(path: Path) -> None:
    for name, *words in _spelled(ast.parse(path.read_text("utf-8"))):
        parameters = _parameters(name)
        given = {w for w in words if w.startswith("--") and len(w) > 2}
        known = {o for p in parameters for o in (*p.opts, *p.secondary_opts)}
        assert given <= {*known, "--help"}, f"provenance {name} {words}"
        if given:  # a whole command, and not the name of one
            required = [p for p in parameters if p.required and isinstance(p, click.Option)]
            assert all(given & {*p.opts} for p in required), f"provenance {name} {words}"


def test_the_commands_in_texts_are_found() -> None:
    tree = ast.parse("f'Next: provenance hash {x} --wrong.'; command('check', row, '--fix')")
    assert [*_spelled(tree)][:2] == [["hash", "X", "--wrong"], ["check", "--fix"]]
