# SPDX-License-Identifier: Apache-2.0
"""What can be required, and the order of two releases."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from typing import Any

import pytest

from provenance import InputError, Require
from provenance.attestations.bundle import MEDIA_TYPE, Bundle, Envelope
from provenance.attestations.predicates import SLSA_SUMMARY
from provenance.attestations.statement import Statement, Subject
from provenance.evidence.releases import Release, ReleaseOrder, divergence, release_of
from provenance.evidence.rows import BundleEvidence
from provenance.gate.requirements import NAMES, NOTHING
from tests.support.bare import BARE

DAY = datetime.timedelta(days=1)


def test_nothing_is_required_by_default_and_names_are_those_of_fields() -> None:
    assert Require() == NOTHING
    for name, field in NAMES.items():
        assert field == name.replace("-", "_")
        assert Require(**{field: True}) != NOTHING  # type: ignore[arg-type]


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
def test_a_requirement_needs_a_row_a_summary_or_earlier_releases(
    require: dict[str, Any], row: bool, summary: bool, order: bool
) -> None:
    case = replace(BARE, require=Require(**require))
    assert (case.needs_row, case.needs_summary, case.compares_releases) == (row, summary, order)
    seen = replace(case, evidence=replace(BARE.evidence, seen={}))
    assert (seen.needs_row, seen.needs_summary, seen.compares_releases) == (True, True, True)


@pytest.mark.parametrize(
    ("licenses", "message", "help"),
    [
        (["MIT", "Apache2"], "'Apache2' is not the SPDX id", "Did you mean Apache-2.0?"),
        (["?"], "'?' is not the SPDX id", "Name each allowed"),
        (["MIT OR Zlib"], "'MIT OR Zlib' is not", ""),
        ("MIT", "a list of strings, not 'MIT'", ""),
    ],
)
def test_what_is_no_list_of_spdx_ids_is_an_error(licenses: Any, message: str, help: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        Require(licenses=licenses)
    assert (caught.value.help or "").startswith(help)


@pytest.mark.parametrize("age", [0 * DAY, -1 * DAY, DAY / 2, 1.5 * DAY])
def test_an_age_is_a_positive_number_of_days(age: datetime.timedelta) -> None:
    with pytest.raises(InputError, match="whole days"):
        Require(max_age=age)


def order(text: Any) -> ReleaseOrder | None:
    return ReleaseOrder.of({"timeVerified": text})


def test_releases_are_ordered_by_their_moment_in_any_zone() -> None:
    early, late = order("2026-05-04T10:00:00Z"), order("2026-05-04T10:00:00.5Z")
    assert early is not None
    assert late is not None
    assert early < late
    assert order("2026-05-04T12:00:00+02:00") == early
    assert ReleaseOrder.from_json(late.as_json()) == late


@pytest.mark.parametrize(
    "text",
    [None, 5, "", "now", "2026-05-04T10:00:00", "2026-13-04T10:00:00Z", "2026-05-04Z", "1" * 41,
     "0001-01-01T00:00:00+01:00"],
)  # fmt: skip
def test_a_malformed_moment_has_no_order(text: Any) -> None:
    assert order(text) is None


@pytest.mark.parametrize(
    "value", [None, {}, {"time": 5}, {"time": "2026-05-04T10:00:00Z", "version": "2"}, ["time"]]
)
def test_a_malformed_order_is_not_read(value: Any) -> None:
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
def test_a_later_release_of_another_history_is_reported(
    now: Release, last: Release, why: str
) -> None:
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


def test_a_summary_holds_the_version_and_the_previous_release() -> None:
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
def test_a_malformed_field_of_a_summary_is_not_read(field: Any) -> None:
    assert said_of(field) is None
