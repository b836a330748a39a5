# SPDX-License-Identifier: Apache-2.0
"""What can be required, and which of two releases is the later one."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from provenance import InputError, Require
from provenance.artifacts import digest
from provenance.artifacts.paths import Tree
from provenance.artifacts.registry import Registry
from provenance.attestations.bundle import MEDIA_TYPE, Bundle, Envelope
from provenance.attestations.predicates import SLSA_SUMMARY
from provenance.attestations.statement import Statement, Subject
from provenance.config import Config
from provenance.evidence.evidence import Evidence
from provenance.evidence.releases import Release, ReleaseOrder, divergence, release_of
from provenance.evidence.rows import BundleEvidence
from provenance.gate.requirements import NAMES, NOTHING
from provenance.gate.rules.case import Case
from provenance.signing.trust_table import TrustTable

DAY = datetime.timedelta(days=1)


def test_nothing_is_required_by_default() -> None:
    assert Require() == NOTHING


def test_what_is_required_by_name_are_fields_of_the_same_meaning() -> None:
    for name, field in NAMES.items():
        assert field == name.replace("-", "_")
        assert Require(**{field: True}) != NOTHING  # type: ignore[arg-type]


CASE: Final = Case(
    Evidence(Tree(Path("/")), Registry("r.json", b"{}", digest.of_bytes(b""), ()), (), whole=True),
    None,
    Config(Path("/"), "c.toml", "r.json", TrustTable(), (), "", "", Path("/")),
    datetime.date(2026, 6, 30),
)


@pytest.mark.parametrize(
    ("require", "row", "summary", "order"),
    [
        ({}, False, False, False),
        ({"row": True}, True, False, False),
        ({"production": True}, True, False, False),
        ({"no_deferrals": True}, True, False, False),
        ({"licenses": ["MIT"]}, True, False, False),
        ({"summary": True}, True, True, False),
        ({"max_age": DAY}, True, True, True),
    ],
)
def test_what_has_to_be_at_hand_for_what_is_required(
    require: dict[str, Any], row: bool, summary: bool, order: bool
) -> None:
    case = replace(CASE, require=Require(**require))
    assert (case.needs_row, case.needs_summary, case.compares_releases) == (row, summary, order)


def test_a_release_is_compared_with_its_summary_where_earlier_ones_are_remembered() -> None:
    seen = replace(CASE, evidence=replace(CASE.evidence, seen={}))
    assert (seen.needs_row, seen.needs_summary, seen.compares_releases) == (True, True, True)


def test_a_misspelt_license_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match="'Apache2' is not the SPDX id") as caught:
        Require(licenses=["MIT", "Apache2"])
    assert caught.value.help is not None
    assert caught.value.help.startswith("Did you mean Apache-2.0?")


def test_an_unknown_license_that_resembles_no_other_gets_no_suggestion() -> None:
    with pytest.raises(InputError) as caught:
        Require(licenses=["?"])
    assert caught.value.help is not None
    assert caught.value.help.startswith("Name each allowed")


def test_an_expression_is_no_license_that_can_be_allowed() -> None:
    with pytest.raises(InputError, match="'MIT OR Zlib' is not"):
        Require(licenses=["MIT OR Zlib"])


def test_one_text_is_not_taken_for_its_letters() -> None:
    with pytest.raises(InputError, match="a list of strings, not 'MIT'"):
        Require(licenses="MIT")


@pytest.mark.parametrize("age", [0 * DAY, -1 * DAY, DAY / 2, 1.5 * DAY])
def test_an_age_is_in_whole_days(age: datetime.timedelta) -> None:
    with pytest.raises(InputError, match="whole days"):
        Require(max_age=age)


def order(text: Any) -> ReleaseOrder | None:
    return ReleaseOrder.of({"timeVerified": text})


def test_a_later_release_is_greater() -> None:
    early, late = order("2026-05-04T10:00:00Z"), order("2026-05-04T10:00:01Z")
    assert early is not None
    assert late is not None
    assert early < late


def test_the_same_moment_in_another_zone_is_the_same() -> None:
    assert order("2026-05-04T10:00:00Z") == order("2026-05-04T12:00:00+02:00")


@pytest.mark.parametrize(
    "text",
    [None, 5, "", "now", "2026-05-04T10:00:00", "2026-13-04T10:00:00Z", "2026-05-04Z", "1" * 41,
     "0001-01-01T00:00:00+01:00"],
)  # fmt: skip
def test_what_says_no_moment_has_no_order(text: Any) -> None:
    assert order(text) is None


def test_an_order_is_remembered_as_it_is() -> None:
    found = order("2026-05-04T10:00:00.5Z")
    assert found is not None
    assert ReleaseOrder.from_json(found.as_json()) == found


@pytest.mark.parametrize(
    "value", [None, {}, {"time": 5}, {"time": "2026-05-04T10:00:00Z", "version": "2"}, ["time"]]
)
def test_an_order_that_says_more_or_less_is_not_understood(value: Any) -> None:
    assert ReleaseOrder.from_json(value) is None


def release(day: int, sha256: str, previous: str | None = None) -> Release:
    found = order(f"2026-05-{day:02}T10:00:00Z")
    assert found is not None
    return Release("registry.json", found, sha256 * 64, previous=previous and previous * 64)


@pytest.mark.parametrize(
    ("now", "last"),
    [
        (release(2, "b", "a"), release(1, "a")),  # the next one
        (release(3, "c", "b"), release(1, "a")),  # one in between was never seen
        (release(3, "c", "b"), release(1, "a", "0")),
        (release(2, "b"), release(1, "a")),  # neither says anything
        (release(1, "a", "0"), release(1, "a", "0")),  # the same
        (release(1, "a", "0"), release(2, "b", "0")),  # older: that is another rule's
    ],
)
def test_releases_that_may_follow_each_other(now: Release, last: Release) -> None:
    assert divergence(now, last) is None


@pytest.mark.parametrize(
    ("now", "last", "why"),
    [
        (release(3, "c", "a"), release(2, "b", "a"), "both replace the same release"),
        (release(3, "c"), release(2, "b", "a"), "this one does not name the one it replaces"),
        (release(3, "a"), release(2, "b", "a"), "that one already replaced this one"),
        (release(3, "a", "0"), release(2, "b", "a"), "that one already replaced this one"),
    ],
)
def test_a_later_release_of_another_history(now: Release, last: Release, why: str) -> None:
    assert (divergence(now, last) or "").endswith(why)


RELEASE = "https://onnx-provenance.dev/fields/release"


def said_of(field: Any) -> Release | None:
    predicate = {
        "verificationResult": "PASSED",
        "resourceUri": "registry.json",
        "timeVerified": "2026-05-04T10:00:00Z",
        RELEASE: field,
    }
    statement = Statement((Subject("registry.json", "0" * 64),), SLSA_SUMMARY, predicate)
    envelope = Envelope(b"{}", "application/vnd.in-toto+json", b"")
    bundle = Bundle(MEDIA_TYPE, envelope, hint="key", certificate=None)
    return release_of(BundleEvidence("s", "s", bundle=bundle, statement=statement))


def test_what_a_summary_says_of_its_release() -> None:
    found = said_of({"version": "v1", "previous": {"digest": {"sha256": "a" * 64}}, "more": 1})
    assert found is not None
    assert (found.version, found.previous) == ("v1", "a" * 64)


@pytest.mark.parametrize(
    "field",
    [
        None, [], {"version": ""}, {"version": 1}, {"version": None}, {"version": "a\nb"},
        {"version": "v" * 101}, {"version": " v1"}, {"previous": None}, {"previous": "a" * 64},
        {"previous": {}}, {"previous": {"digest": []}}, {"previous": {"digest": {"sha1": "a"}}},
        {"previous": {"digest": {"sha256": "A" * 64}}},
    ],
)  # fmt: skip
def test_a_place_that_cannot_be_read_is_none(field: Any) -> None:
    assert said_of(field) is None
