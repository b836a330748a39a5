# SPDX-License-Identifier: Apache-2.0
"""Regular expressions: the same matches as Python's, in linear time."""

from __future__ import annotations

import random
import re

import pytest

from provenance.artifacts.documents.pattern_syntax import PatternError, compile_pattern


def expression(chance: random.Random, depth: int = 0) -> str:
    kind = chance.random()
    if depth > 3 or kind < 0.4:
        return chance.choice(["a", "b", ".", "[ab]", "[^a]", r"\d", "[a-c0-9]", r"\.", r"[\d.]"])
    if kind < 0.6:
        times = chance.choice(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "{0,2}?"])
        return f"(?:{expression(chance, depth + 1)}){times}"
    if kind < 0.75:
        return expression(chance, depth + 1) + expression(chance, depth + 1)
    if kind < 0.9:
        return f"({expression(chance, depth + 1)}|{expression(chance, depth + 1)})"
    inner = expression(chance, depth + 1)
    return chance.choice([f"^{inner}", f"{inner}$", f"^{inner}$"])


def test_any_expression_matches_what_it_matches_for_python() -> None:
    chance = random.Random(1)
    matched = 0
    for _ in range(800):
        text = expression(chance)
        pattern, known = compile_pattern(text), re.compile(text.replace("$", r"\Z"), re.ASCII)
        for _ in range(5):
            sample = "".join(chance.choices("abc01.\n", k=chance.randint(0, 8)))
            expected = known.search(sample) is not None
            matched += expected
            assert pattern.search(sample) is expected, (text, sample)
    assert 1000 < matched < 3500


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("^[0-9a-f]{64}$", "0" * 64, "0" * 63),
        ("^a$", "a", "a\n"),
        ("", "", None),
        (r"^\w+$", "a_Z9", "é"),
        (r"^\S\s\D\W$", "a b-", "a b_"),
        (r"^[^\s\x41-\u0043]$", "D", "B"),
        (r"^\u{1F600}\t$", "\U0001f600\t", "x"),
        (r"^[\]\-a]+$", "]-a", "b"),
        ("^[a-]$", "-", "b"),
        ("^[^]$", "\n", ""),
        ("[]", None, "a"),
        ("^.$", "a", "\u2028"),
        ("x|^$", "", "y"),
        (r"^\/[\b]$", "/\b", "/b"),
    ],
)
def test_expressions_of_ecmascript_are_followed(text: str, yes: str | None, no: str | None) -> None:
    pattern = compile_pattern(text)
    assert yes is None or pattern.search(yes)
    assert no is None or not pattern.search(no)


@pytest.mark.parametrize(
    "text",
    [
        *("(?=a)", "(?!a)", "(?<=a)", "(?<n>a)", r"(a)\1", r"\bx", r"\p{L}", r"\k<n>", "(?i)a"),
        *("a**", "a{2}{3}", "^*", "*", "a{3,2}", "(", ")", "[", "[b-a]", "[\\d-z]", "\\", "]", "{"),
        *("(a{100}){100}", "((((a{10}){10}){10}){10})", "(" * 50 + "a" + ")" * 50, "a" * 2001),
        r"\u{110000}",
    ],
)
def test_an_expression_that_is_not_supported_is_refused(text: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(text)


@pytest.mark.parametrize(
    "text",
    ["^(a+)+$", "(a|aa)+$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y", "(.*){1,30}[b]"],
)
def test_work_is_linear_in_the_text(text: str) -> None:
    costs = []
    for length in (1_000, 2_000, 4_000):
        pattern = compile_pattern(text)
        assert not pattern.search("a" * length + "!")
        costs.append(pattern.cost)
    assert costs[2] - costs[1] <= 2.1 * (costs[1] - costs[0]) + 100


def test_an_empty_group_costs_nothing_however_often_it_is_repeated() -> None:
    assert compile_pattern("^((((){9999}){9999}){9999}){9999}a$").search("a")


def test_memory_is_bounded_for_a_text_of_many_characters() -> None:
    pattern = compile_pattern("^(.{0,20}x){0,20}$")
    for number in range(3_000):
        pattern.search(f"{number:x}x" + chr(0x100 + number))
    assert pattern._size <= 210_000
