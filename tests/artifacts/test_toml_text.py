# SPDX-License-Identifier: Apache-2.0
"""Where the tables of a TOML text and their keys stand, and how a string is written in one."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts.documents import toml_text
from provenance.artifacts.documents.strict_json import Position
from provenance.artifacts.documents.toml_text import Tables, quoted


def locate(text: str, table: str, index: int, count: int, key: str | None = None) -> Position:
    return Tables.of(text, table).locate(index, count, key)


TEXT = """\
registry = "r.json"
# [[deferral]]
[[deferral]]  # the first
rule = "X"
  reason = "why"
reason-of-mine = 1

[[ "other" ]]
reason = "not ours"
 [[ deferral ]]
"rule" = "Y"
"""


@pytest.mark.parametrize(
    ("index", "key", "expected"),
    [
        (0, None, Position(3, 1)),
        (1, None, Position(10, 1)),
        (0, "rule", Position(4, 1)),
        (0, "reason", Position(5, 3)),
        (1, "rule", Position(11, 1)),
        (1, "reason", Position(10, 1)),
        (0, "expires", Position(3, 1)),
    ],
)
def test_a_table_and_its_keys_are_found(index: int, key: str | None, expected: Position) -> None:
    assert locate(TEXT, "deferral", index, 2, key) == expected


def test_a_table_below_others_is_found_by_its_whole_name() -> None:
    text = "[[deferral]]\nrule = 1\n[[ tool . provenance.deferral ]]\nrule = 2\n"
    assert locate(text, "tool.provenance.deferral", 0, 1, "rule") == Position(4, 1)


def test_where_the_tables_are_not_as_many_as_were_read_nothing_is_pointed_at() -> None:
    text = 'note = """\n[[deferral]]\n"""\n[[deferral]]\nrule = 1\n'
    assert locate(text, "deferral", 0, 1, "rule") == Position(1, 1)
    assert locate('deferral = [{ rule = "X" }]', "deferral", 0, 1) == Position(1, 1)


def test_a_key_that_seems_to_stand_twice_is_where_its_table_is() -> None:
    text = '[[deferral]]\nreason = """\nreason = no\n"""\n'
    assert locate(text, "deferral", 0, 1, "reason") == Position(1, 1)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_quoted_string_is_read_as_it_was(text: str) -> None:
    assert tomllib.loads(f"x = {quoted(text)}") == {"x": text}


@pytest.mark.parametrize(
    ("text", "prefix", "key", "line"),
    [
        ("\nregistry = 1\n", "", ("registry",), 2),
        ("[tool.provenance]\nregistry = 1\n", "tool.provenance.", ("registry",), 2),
        ("registry = 1\n[tool.provenance]\n", "tool.provenance.", ("registry",), None),
        ("[trust]  # whose\n  signatures = 2\n", "", ("trust", "signatures"), 2),
        ("trust.signatures = 2\n", "", ("trust", "signatures"), 1),
        ("[[trust.key]]\npath = 1\n", "", ("trust", "key"), 1),
        ("[[trust.key]]\n[[trust.key]]\n", "", ("trust", "key"), None),
    ],
)
def test_a_key_is_found_below_its_table(
    text: str, prefix: str, key: tuple[str, ...], line: int | None
) -> None:
    found = toml_text.locate(text, prefix, key)
    assert (found.line if found else None) == line
