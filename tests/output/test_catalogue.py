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

HEADINGS = ["## What it does", "## Why it matters", "## Example", "## How to fix"]


@pytest.mark.parametrize("rule", CATALOGUE, ids=lambda r: r.code)
def test_every_rule_has_a_page_of_one_form(rule: Any) -> None:
    page = catalogue.page(rule)
    assert page.startswith(f"# {rule.code} {rule.slug}\n\n{catalogue.summary(rule)}\n")
    assert re.findall(r"^## .*$", page, re.MULTILINE) == HEADINGS
    assert catalogue.summary(rule).endswith(".")


def test_codes_and_slugs_are_unique_and_well_formed() -> None:
    assert len(BY_CODE) == len(CATALOGUE) == len({r.slug for r in CATALOGUE})
    for rule in CATALOGUE:
        assert re.fullmatch(
            r"(RUN0|PIP0|USE0|REG1|LIC2|ART3|SID4|ENS5|SIG6|ATT7|BAS8|DEF9)\d\d", rule.code
        )
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.slug)


@pytest.mark.parametrize("family", ["SIG", "ATT", "PIP", "DEF", "USE"])
def test_rules_about_signatures_and_deferrals_cannot_be_deferred(family: str) -> None:
    assert not any(r.deferrable for r in CATALOGUE if r.code.startswith(family))


@pytest.mark.parametrize(
    "code", ["ART302", "ART306", "LIC201", "LIC202", "LIC203", "SID404", "BAS803", "BAS804"]
)
def test_rules_about_digests_lost_licenses_and_promotions_cannot_be_deferred(code: str) -> None:
    assert not BY_CODE[code].deferrable


def test_a_rule_yields_only_to_rules_that_yield_to_none_and_are_as_strict() -> None:
    for rule in CATALOGUE:
        for other in (BY_CODE[code] for code in rule.yields_to):
            assert not other.yields_to, f"{rule.code} yields to {other.code}, which yields itself"
            assert other.severity is Severity.ERROR
            assert rule.deferrable or not other.deferrable, f"{rule.code} yields to {other.code}"


def test_a_page_says_what_the_rule_yields_to() -> None:
    class Yielding(type(BY_CODE["SID402"])):  # type: ignore[misc]
        yields_to = ("ART302", "SID408")

    assert "Yields to: ART302, SID408.\n" in catalogue.page(Yielding())
    assert "Yields to" not in catalogue.page(BY_CODE["ART302"])


def test_the_listing_marks_what_can_be_deferred() -> None:
    listing = catalogue.listing(CATALOGUE, Style())
    assert re.search(r"^SID402\* sidecar-stale", listing, re.MULTILINE)
    assert re.search(r"^ART302  digest-mismatch", listing, re.MULTILINE)
    assert re.search(r"^SID406 .*\(warning\)$", listing, re.MULTILINE)


def test_a_page_says_which_commands_judge_the_rule() -> None:
    assert "Checked by: `provenance verify`." in catalogue.page(BY_CODE["SIG603"])
    assert "`provenance check` and" in catalogue.page(BY_CODE["LIC201"])
    assert "It cannot be deferred" in catalogue.page(BY_CODE["LIC201"])


def test_on_a_terminal_the_page_is_rendered() -> None:
    rendered = catalogue.page_for_terminal(BY_CODE["SID402"], Style(colour=True, width=80))
    assert rendered.startswith("\x1b[1mSID402 sidecar-stale\x1b[0m\n\nThe sidecar of a smoke row")
    assert "## What it does" not in rendered
    assert catalogue.page_for_terminal(BY_CODE["SID402"], Style()) == catalogue.page(
        BY_CODE["SID402"]
    )


def test_a_page_on_a_terminal_has_no_ground_of_its_own() -> None:
    for rule in CATALOGUE:
        page = catalogue.page_for_terminal(rule, Style(colour=True, width=80))
        codes = {c for found in re.findall(r"\x1b\[([\d;]*)m", page) for c in found.split(";")}
        assert codes <= {"0", "1"}, rule.code
        assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in page.splitlines()) <= 80


def test_the_listing_fits_a_narrow_terminal_and_is_a_line_a_rule_for_a_pipe() -> None:
    narrow = catalogue.listing(CATALOGUE, Style(colour=True, width=80))
    assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in narrow.splitlines()) <= 80
    assert len(catalogue.listing(CATALOGUE, Style()).splitlines()) == len(CATALOGUE) + 2


def test_a_section_and_the_family_of_a_rule_are_found() -> None:
    rule = BY_CODE["DEF904"]
    assert catalogue.section(rule, "Example").startswith("```toml\n[[deferral]]")
    assert catalogue.section(rule, "How to fix").startswith("Write the reason")
    assert catalogue.family(rule) == "deferrals"


def test_as_json_the_catalogue_is_whole() -> None:
    rules = catalogue.as_json(CATALOGUE)["rules"]
    assert [r["code"] for r in rules] == [r.code for r in CATALOGUE]
    assert all(r["text"] and r["summary"] for r in rules)
