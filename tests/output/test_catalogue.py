# SPDX-License-Identifier: Apache-2.0
"""The catalogue of rules, and the page of each rule."""

from __future__ import annotations

import re
from typing import Any

import pytest

from provenance.gate.finding import Severity
from provenance.gate.rules import BY_CODE, CATALOGUE
from provenance.output import catalogue
from provenance.output.text import Style

TERMINAL = Style(colour=True, width=80)
ESCAPE = re.compile(r"\x1b\[([\d;]*)m")


def assert_fits(text: str) -> None:
    assert max(len(ESCAPE.sub("", line)) for line in text.splitlines()) <= 80


@pytest.mark.parametrize("rule", CATALOGUE, ids=lambda r: r.code)
def test_every_rule_has_a_page_of_one_form(rule: Any) -> None:
    page = catalogue.page(rule)
    assert page.startswith(f"# {rule.code} {rule.slug}\n\n{catalogue.summary(rule)}\n")
    headings = ["What it does", "Why it matters", "Example", "How to fix"]
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == headings
    assert catalogue.summary(rule).endswith(".")
    rendered = catalogue.page_for_terminal(rule, TERMINAL)
    assert {c for codes in ESCAPE.findall(rendered) for c in codes.split(";")} <= {"0", "1"}
    assert_fits(rendered)


def test_codes_and_slugs_are_unique_and_well_formed() -> None:
    assert len(BY_CODE) == len(CATALOGUE) == len({r.slug for r in CATALOGUE})
    for rule in CATALOGUE:
        assert re.fullmatch(
            r"(RUN0|PIP0|USE0|REG1|LIC2|ART3|SID4|ENS5|SIG6|ATT7|BAS8|DEF9)\d\d", rule.code
        )
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.slug)


@pytest.mark.parametrize(
    "start",
    [
        *("SIG", "ATT", "PIP", "DEF", "USE"),
        *("ART302", "ART306", "LIC201", "LIC202", "LIC203", "SID404", "BAS803", "BAS804"),
    ],
)
def test_rules_about_signatures_digests_and_promotions_cannot_be_deferred(start: str) -> None:
    assert [r.code for r in CATALOGUE if r.code.startswith(start)]
    assert not any(r.deferrable for r in CATALOGUE if r.code.startswith(start))


def test_a_rule_yields_only_to_errors_that_yield_to_no_rule_and_are_as_strict() -> None:
    for rule in CATALOGUE:
        for other in (BY_CODE[code] for code in rule.yields_to):
            assert not other.yields_to, f"{rule.code} yields to {other.code}, which yields itself"
            assert other.severity is Severity.ERROR
            assert rule.deferrable or not other.deferrable, f"{rule.code} yields to {other.code}"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("SIG603", "Checked by: `provenance verify`."),
        ("LIC201", "`provenance check` and"),
        ("LIC201", "It cannot be deferred"),
    ],
)
def test_a_page_lists_commands_and_whether_the_rule_can_be_deferred(code: str, text: str) -> None:
    assert text in catalogue.page(BY_CODE[code])


def test_a_page_lists_the_rules_that_the_rule_yields_to() -> None:
    class Yielding(type(BY_CODE["SID402"])):  # type: ignore[misc]
        yields_to = ("ART302", "SID408")

    assert "Yields to: ART302, SID408.\n" in catalogue.page(Yielding())
    assert "Yields to" not in catalogue.page(BY_CODE["ART302"])


def test_a_page_is_rendered_only_on_a_terminal() -> None:
    rule = BY_CODE["SID402"]
    rendered = catalogue.page_for_terminal(rule, TERMINAL)
    assert rendered.startswith("\x1b[1mSID402 sidecar-stale\x1b[0m\n\nThe sidecar of a smoke row")
    assert "## What it does" not in rendered
    assert catalogue.page_for_terminal(rule, Style()) == catalogue.page(rule)


def test_the_listing_fits_a_terminal_and_has_a_line_per_rule_in_a_pipe() -> None:
    assert_fits(catalogue.listing(CATALOGUE, TERMINAL))
    listing = catalogue.listing(CATALOGUE, Style())
    assert len(listing.splitlines()) == len(CATALOGUE) + 2
    for line in (r"SID402\* sidecar-stale", r"ART302  digest-mismatch", r"SID406 .*\(warning\)$"):
        assert re.search(f"^{line}", listing, re.MULTILINE)


def test_a_section_and_the_family_of_a_rule_are_found() -> None:
    rule = BY_CODE["DEF904"]
    assert catalogue.section(rule, "Example").startswith("```toml\n[[deferral]]")
    assert catalogue.section(rule, "How to fix").startswith("Write the reason")
    assert catalogue.family(rule) == "deferrals"


def test_the_json_has_all_rules() -> None:
    rules = catalogue.as_json(CATALOGUE)["rules"]
    assert [r["code"] for r in rules] == [r.code for r in CATALOGUE]
    assert all(r["text"] and r["summary"] for r in rules)
