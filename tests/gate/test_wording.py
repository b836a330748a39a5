# SPDX-License-Identifier: Apache-2.0
"""The parts of messages: shortened values, digests, and commands, which exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

import provenance
from provenance.artifacts.documents.json_edit import Remove
from provenance.cli import COMMANDS, group
from provenance.gate.finding import Fix
from provenance.gate.rules import BY_CODE
from provenance.gate.rules.base import FIX_COMMAND, differing, short, shown, some

FIX = (Fix("a.json", Remove(("a",))),)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        ("x" * 78, f"'{'x' * 78}'"),  # with its quotes it is 80 long
        ("x" * 79, f"'{'x' * 78}…"),
    ],
)
def test_a_value_is_shown_in_80_characters_at_most(value: object, text: str) -> None:
    assert shown(value) == text
    assert len(text) <= 80


@pytest.mark.parametrize(
    ("now", "then", "expected"),
    [
        ("x" * 58, "x" * 57 + "y", (f"'{'x' * 58}'", f"'{'x' * 57}y'")),
        ("a" * 59, "b" * 59, (f"'{'a' * 59}…", f"'{'b' * 59}…")),
        ("x" * 70, "x" * 69, ("…" + "x" * 10 + "x'", "…" + "x" * 10 + "'")),
    ],
    ids=["60 characters", "different at the start", "prefix"],
)
def test_two_values_are_shortened_around_their_difference(
    now: str, then: str, expected: tuple[str, str]
) -> None:
    assert differing(now, then) == expected


@pytest.mark.parametrize("longer", ["now", "then", "both"])
def test_longer_values_are_shown_from_ten_characters_before_they_differ(longer: str) -> None:
    now = "=" * 30 + "a" * (60 if longer in ("now", "both") else 1)
    then = "=" * 30 + "b" * (60 if longer in ("then", "both") else 1)
    shown_now, shown_then = differing(now, then)
    assert shown_now == "…" + repr(now)[21:81] + ("…" if len(repr(now)) > 81 else "")
    assert shown_then == "…" + repr(then)[21:81] + ("…" if len(repr(then)) > 81 else "")
    assert shown_now.startswith("…" + "=" * 10 + "a")


def test_a_digest_is_shortened_to_twelve_digits() -> None:
    assert short("0123456789abcdef" * 4) == "0123456789ab…"
    assert short(None) == "none"


@pytest.mark.parametrize(
    ("help", "fixes", "expected"),
    [
        ("Remove it.", FIX, f"Remove it: {FIX_COMMAND}"),
        ("Remove it.", (), "Remove it."),
        ("Write it: provenance hash m --write", FIX, "Write it: provenance hash m --write"),
        ("Write it: provenance hash m --write", (), "Write it: provenance hash m --write"),
    ],
)
def test_the_help_names_the_command_that_makes_the_fix(
    help: str, fixes: tuple[Fix, ...], expected: str
) -> None:
    finding = BY_CODE["ART312"].finding("found", help, path="a.json", fixes=fixes)
    assert finding.help == expected


@pytest.mark.parametrize(
    ("names", "expected"), [("a", "a"), ("abc", "a, b, c"), ("abcd", "a, b, c and 1 more")]
)
def test_three_names_are_listed_and_the_rest_is_counted(names: str, expected: str) -> None:
    assert some(list(names), 3) == expected


SOURCES: Final = Path(str(provenance.__file__)).parent


def _parameters(name: str) -> list[click.Parameter]:
    found = group.get_command(click.Context(group), name)
    assert found is not None, f"no command {name}"
    return found.params


def _spelled(tree: ast.AST) -> Iterator[list[str]]:
    """Return the commands that a module names in its strings, and those that it composes."""
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
def test_commands_in_texts_exist_and_have_their_options(path: Path) -> None:
    for name, *words in _spelled(ast.parse(path.read_text("utf-8"))):
        parameters = _parameters(name)
        given = {w for w in words if w.startswith("--") and len(w) > 2}
        known = {o for p in parameters for o in (*p.opts, *p.secondary_opts)}
        assert given <= {*known, "--help"}, f"provenance {name} {words}"
        if given:  # a whole command, and not the name of one
            required = [p for p in parameters if p.required and isinstance(p, click.Option)]
            assert all(given & {*p.opts} for p in required), f"provenance {name} {words}"


def test_commands_in_texts_are_found() -> None:
    tree = ast.parse("f'Next: provenance hash {x} --wrong.'; command('check', row, '--fix')")
    assert [*_spelled(tree)][:2] == [["hash", "X", "--wrong"], ["check", "--fix"]]
