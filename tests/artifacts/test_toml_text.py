# SPDX-License-Identifier: Apache-2.0
"""TOML is read in bounded work, its tables and keys have places, and strings can be quoted."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts import limits
from provenance.artifacts.documents import toml_text
from provenance.artifacts.documents.strict_json import Position
from provenance.artifacts.documents.toml_text import Tables, TomlError, quoted

KEY, LEVELS, VALUES, BARE = limits.TOML_KEY, limits.NESTING, limits.TOML_VALUES, limits.TOML_BARE
LONG_KEY = ".".join("a" * (KEY + 1))
TOO_LONG = "more than 16 names in a dotted key"
TOO_DEEP = "more than 48 levels of arrays and tables"
TOO_MANY = "more than 100,000 keys and values"
TOO_WIDE = "more than 256 characters in a name or number"

HOSTILE = {
    "a dotted key": (f"{LONG_KEY} = 1", TOO_LONG),
    "a dotted key of 80 KB": (f"a{'.a' * 40_000} = 1", TOO_LONG),
    "a dotted key with spaces": (f"{LONG_KEY.replace('.', ' . ')} = 1", TOO_LONG),
    "a dotted key of strings": (".".join(["'a'", '"a"'] * KEY) + " = 1", TOO_LONG),
    "a dotted key below a multi-line string": (f"x = '''\n'' '''\n{LONG_KEY} = 1", TOO_LONG),
    "a dotted key behind an escaped quote": (f'x = "\\""\n{LONG_KEY} = 1', TOO_LONG),
    "a dotted key behind five quotes": (f'x = """a"""""\n{LONG_KEY} = 1', TOO_LONG),
    "a dotted key behind a quote in a comment": (f"# '''\n{LONG_KEY} = 1", TOO_LONG),
    "a dotted key in an inline table": (f"x = [{{ {LONG_KEY} = 1 }}]", TOO_LONG),
    "a dotted key on line 4": (f'a = """\n\n"""\n{LONG_KEY} = 1', rf"{TOO_LONG}.* \(at line 4\)"),
    "a table header": (f"[{LONG_KEY}]", TOO_LONG),
    "a table header between carriage returns": (f"x=1\r\n[{LONG_KEY}]\r\n", TOO_LONG),
    "the header of an array of tables": (f"[[{LONG_KEY}]]", TOO_LONG),
    "nested arrays": (f"a = {'[' * (LEVELS + 1)}", TOO_DEEP),
    "nested arrays on lines of their own": ("a = " + "[\n" * (LEVELS + 1), TOO_DEEP),
    "nested inline tables": (f"a = {'{a=' * (LEVELS + 1)}", TOO_DEEP),
    "nested arrays of inline tables": (f"a = {'[{a=' * LEVELS}", TOO_DEEP),
    "many keys": ("a=1\n" * (VALUES + 1), TOO_MANY),
    "many headers": ("[a]\n" * (VALUES + 1), TOO_MANY),
    "many empty arrays": (f"a=[{'[],' * (VALUES // 2 + 1)}]", TOO_MANY),
    "many inline tables": (f"a=[{'{},' * (VALUES // 2 + 1)}]", TOO_MANY),
    "many dotted keys": ("a.a.a.a=1\n" * (VALUES // 4 + 1), TOO_MANY),
    "a long decimal number": (f"a = {'1' * (BARE + 1)}", TOO_WIDE),
    "a long hexadecimal number": (f"a = 0x{'f' * BARE}", TOO_WIDE),
    "a long fraction": (f"a = 0.{'1' * (BARE + 1)}", TOO_WIDE),
    "a long name": (f"{'a' * (BARE + 1)} = 1", TOO_WIDE),
}


@pytest.mark.parametrize(("text", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_toml_is_not_parsed(
    text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tomllib, "loads", lambda _: pytest.fail("tomllib was given the text"))
    with pytest.raises(TomlError, match=message):
        toml_text.parse(text)


HARMLESS = {
    "a key as long as is read": ".".join("a" * KEY) + " = 1",
    "dots in a string": f'a = "{LONG_KEY}"',
    "dots in a literal string": f"a = '{LONG_KEY}'",
    "dots in a multi-line string": f'a = """\n{LONG_KEY} "quoted" ""{LONG_KEY}\n"""',
    "dots in a multi-line literal": f"a = '''\n{LONG_KEY} 'quoted' {LONG_KEY}\n'''",
    "dots in a comment": f"# {LONG_KEY} {'[' * LEVELS * 2}",
    "brackets in a string": f'a = "{"[" * LEVELS * 2}"',
    "as many levels as are read": f"a = {'[' * LEVELS}{']' * LEVELS}",
    "many arrays side by side": f"a = [{'[],' * 1000}]",
    "many numbers": f"a = [{'1.5,' * 1000}]",
    "numbers on both sides of a comma": f"a = [{', '.join(['1.5'] * KEY * 2)}]",
    "a long string": f'a = "{"a" * 10_000}"',
    "a long quoted key": f'"{"a" * 10_000}" = 1',
    "the largest integer": f"a = {2**63 - 1}",
    "the smallest integer": f"a = -{2**63}",
    "the configuration of this project": (Path(__file__).parents[2] / "pyproject.toml").read_text(),
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_harmless_text_is_read_as_by_tomllib(text: str) -> None:
    assert toml_text.parse(text) == tomllib.loads(text)


STRINGS = ('"', '"""', "'", "'''", '""', "''", "\\", "#", "\n", "a", " ", "=", "x=", "[", "]", ",")


@given(st.lists(st.sampled_from(STRINGS), max_size=12).map("".join))
def test_no_string_or_comment_hides_a_long_key(prefix: str) -> None:
    """Whatever `tomllib` accepts before a key, the scan finds that key."""
    text = f"{prefix}\n{LONG_KEY} = 1"
    try:
        found = tomllib.loads(text).get("a")
    except ValueError:
        return
    if isinstance(found, dict):
        with pytest.raises(TomlError, match=TOO_LONG):
            toml_text.parse(text)


INVALID = ["a = ", f"a = {'[' * 9}{'x' * 250}", "a = 1\na = 2", "\x00", "[a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, "^not TOML: ") for text in INVALID),
        ("a = [{ b = 0xffff_ffff_ffff_ffff }]", "an integer of more than 64"),
    ],
)
def test_invalid_toml_is_refused_in_a_line(text: str, message: str) -> None:
    with pytest.raises(TomlError, match=message) as e:
        toml_text.parse(text)
    assert len(str(e.value)) < 400


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
BELOW = "[[deferral]]\nrule = 1\n[[ tool . provenance.deferral ]]\nrule = 2\n"
IN_STRING = 'note = """\n[[deferral]]\n"""\n[[deferral]]\nrule = 1\n'
KEY_IN_STRING = '[[deferral]]\nreason = """\nreason = no\n"""\n'


@pytest.mark.parametrize(
    ("text", "table", "index", "count", "key", "expected"),
    [
        (TEXT, "deferral", 0, 2, None, Position(3, 1)),
        (TEXT, "deferral", 1, 2, None, Position(10, 1)),
        (TEXT, "deferral", 0, 2, "rule", Position(4, 1)),
        (TEXT, "deferral", 0, 2, "reason", Position(5, 3)),
        (TEXT, "deferral", 1, 2, "rule", Position(11, 1)),
        (TEXT, "deferral", 1, 2, "reason", Position(10, 1)),
        (TEXT, "deferral", 0, 2, "expires", Position(3, 1)),
        (BELOW, "tool.provenance.deferral", 0, 1, "rule", Position(4, 1)),
        (IN_STRING, "deferral", 0, 1, "rule", Position(1, 1)),
        ('deferral = [{ rule = "X" }]', "deferral", 0, 1, None, Position(1, 1)),
        (KEY_IN_STRING, "deferral", 0, 1, "reason", Position(1, 1)),
    ],
)
def test_a_table_and_its_keys_have_a_place(
    text: str, table: str, index: int, count: int, key: str | None, expected: Position
) -> None:
    assert Tables.of(text, table).locate(index, count, key) == expected


@pytest.mark.parametrize(
    ("text", "prefix", "key", "line"),
    [
        ("\nregistry = 1\n", "", "registry", 2),
        ("[tool.provenance]\nregistry = 1\n", "tool.provenance.", "registry", 2),
        ("registry = 1\n[tool.provenance]\n", "tool.provenance.", "registry", None),
        ("[trust]  # whose\n  signatures = 2\n", "", "trust.signatures", 2),
        ("trust.signatures = 2\n", "", "trust.signatures", 1),
        ("[[trust.key]]\npath = 1\n", "", "trust.key", 1),
        ("[[trust.key]]\n[[trust.key]]\n", "", "trust.key", None),
    ],
)
def test_a_key_is_found_below_its_table(text: str, prefix: str, key: str, line: int | None) -> None:
    found = toml_text.locate(text, prefix, tuple(key.split(".")))
    assert (found.line if found else None) == line


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_quoted_string_is_read_unchanged(text: str) -> None:
    assert tomllib.loads(f"x = {quoted(text)}") == {"x": text}
