# SPDX-License-Identifier: Apache-2.0
"""TOML whose parsing takes more than linear time or memory is refused before it is parsed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.artifacts import limits
from provenance.artifacts.documents import toml_text
from provenance.artifacts.documents.toml_text import TomlError

KEY, LEVELS, VALUES, BARE = (
    limits.TOML_KEY,
    limits.NESTING,
    limits.TOML_VALUES,
    limits.TOML_BARE,
)
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
    "an integer of 65 bits": ("a = [{ b = 0xffff_ffff_ffff_ffff }]", "an integer of more than 64"),
}


def never(text: str) -> dict[str, Any]:
    raise AssertionError("tomllib was given the text")


@pytest.mark.parametrize(("text", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_structure_is_refused_before_it_is_parsed(
    text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "integer" not in message:
        monkeypatch.setattr(tomllib, "loads", never)
    with pytest.raises(TomlError, match=message):
        toml_text.parse(text)


def test_the_line_of_what_is_refused_is_named() -> None:
    with pytest.raises(TomlError, match=r"\(at line 4\)"):
        toml_text.parse(f'a = """\n\n"""\n{LONG_KEY} = 1')


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
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_harmless_text_is_read_as_by_tomllib(text: str) -> None:
    assert toml_text.parse(text) == tomllib.loads(text)


def test_the_configuration_of_this_project_is_read() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert toml_text.parse(text) == tomllib.loads(text)


STRINGS = ('"', '"""', "'", "'''", '""', "''", "\\", "#", "\n", "a", " ", "=", "x=", "[", "]", ",")


@given(st.lists(st.sampled_from(STRINGS), max_size=12).map("".join))
def test_no_string_or_comment_hides_a_long_key(prefix: str) -> None:
    """Whatever `tomllib` accepts before a key, the scan finds that key."""
    text = f"{prefix}\n{LONG_KEY} = 1"
    try:
        long = LONG_KEY.split(".")[0] in tomllib.loads(text)
    except ValueError:
        return
    if long and isinstance(tomllib.loads(text)["a"], dict):
        with pytest.raises(TomlError, match=TOO_LONG):
            toml_text.parse(text)


@pytest.mark.parametrize(
    "text", ["a = ", f"a = {'[' * 9}{'x' * 250}", "a = 1\na = 2", "\x00", "[a"]
)
def test_what_is_not_toml_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(TomlError, match=r"^not TOML: ") as e:
        toml_text.parse(text)
    assert len(str(e.value)) < 400
