# SPDX-License-Identifier: Apache-2.0
"""Trusted roots are read strictly: the result is a trusted root or an error of our own."""

from __future__ import annotations

import contextlib
import copy
import datetime
import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.artifacts import limits
from provenance.attestations.proto_json import ProtoJsonError
from provenance.errors import InputError
from provenance.signing import trusted_root
from provenance.signing.trust import Trust
from provenance.signing.trusted_root import Period, TrustedRoot, decode
from tests.signing.workshop import (
    PAYLOAD,
    accepted,
    instance,
    material,
    refusal,
    stranger,
    trust,
)
from tests.support.json_values import values

NOON = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
SECOND = datetime.timedelta(seconds=1)


def read(value: object) -> TrustedRoot:
    return decode(json.dumps(value).encode(), "root.json")


def test_a_trusted_root_is_read_whole() -> None:
    found = read(instance().trusted_root())
    assert [log.host for log in found.logs] == [instance().v1.host, instance().v2.host]
    assert found.log(instance().v2.log_id) == found.logs[1]
    assert found.ct_log(instance().fulcio.ct.log_id) == found.ct_logs[0]
    assert found.log(b"another") is None
    assert [len(a.certificates) for a in found.authorities] == [2]
    assert found.logs[0].period.end == datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
    newer = instance().trusted_root() | {
        "mediaType": "application/vnd.dev.sigstore.trustedroot.v0.2+json"
    }
    assert read(newer).logs == found.logs


def test_the_roots_of_the_public_instances_are_read() -> None:
    store = resources.files("sigstore") / "_store"
    found = [
        decode((store / folder.name / "trusted_root.json").read_bytes(), folder.name)
        for folder in store.iterdir()
        if folder.name.startswith("https")
    ]
    assert len(found) == 2
    for root in found:
        assert root.logs
        assert root.ct_logs
        assert root.authorities
        assert root.timestamp_authorities


@pytest.mark.parametrize(
    ("period", "moments"),
    [
        (Period(), (True, True, True)),
        (Period(NOON, None), (False, True, True)),
        (Period(None, NOON), (True, True, False)),
        (Period(NOON, NOON), (False, True, False)),
    ],
)
def test_both_ends_of_a_period_count(period: Period, moments: tuple[bool, ...]) -> None:
    around = (NOON - SECOND, NOON, NOON + SECOND)
    assert tuple(period.contains(m) for m in around) == moments
    assert str(period)


def test_an_authority_is_not_in_service_with_a_certificate_that_has_expired() -> None:
    root = instance().trusted_root()
    del root["certificateAuthorities"][0]["validFor"]["end"]
    (authority,) = read(root).authorities
    assert authority.in_service(NOON)
    assert not authority.in_service(NOON + datetime.timedelta(days=365))


@pytest.mark.parametrize(
    ("way", "value", "reason"),
    [
        (("mediaType",), "x", "its mediaType is 'x'"),
        (("unknown",), 1, "unknown field unknown"),
        (("tlogs",), {}, "tlogs is an object"),
        (("tlogs",), [1], r"tlogs[0] is a number"),
        (("tlogs", 0, "logId"), None, "logId is null"),
        (("tlogs", 0, "logId", "keyId"), "AA", "not base64"),
        (("tlogs", 0, "hashAlgorithm"), "SHA1", "expected SHA2_256, found 'SHA1'"),
        (("tlogs", 0, "baseUrl"), 5, "baseUrl is not a string"),
        (("tlogs", 0, "publicKey", "rawBytes"), None, "rawBytes is missing"),
        (("tlogs", 0, "publicKey", "validFor", "start"), "yesterday", "is not a time"),
        (("tlogs", 0, "publicKey", "validFor", "start"), "2026-13-01T00:00:00Z", "is not a time"),
        (("tlogs", 0, "publicKey", "validFor", "start"), "2026-06-01T24:00:00Z", "is not a time"),
        (("tlogs", 0, "publicKey", "validFor", "start"), "٢٠٢٦-06-01T00:00:00Z", "is not a time"),
        (("tlogs", 0, "publicKey", "validFor", "end"), 5, "is not a time"),
        (("tlogs", 0, "publicKey", "validFor", "start"), None, "has no start"),
        (("timestampAuthorities", 0, "validFor"), None, "validFor is null"),
        (("certificateAuthorities", 0, "certChain", "certificates"), [], "has no certificate"),
        (
            ("certificateAuthorities", 0, "certChain", "certificates"),
            [{"rawBytes": "AAAA"}],
            "not an X.509",
        ),
    ],
)
def test_what_is_wrong_is_named(way: tuple[Any, ...], value: object, reason: str) -> None:
    root: Any = copy.deepcopy(instance().trusted_root())
    place = root
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = value
    with pytest.raises(ProtoJsonError) as raised:
        read(root)
    assert reason in str(raised.value)


def test_a_log_that_is_named_twice_is_two_answers_to_one_question() -> None:
    root = instance().trusted_root()
    root["tlogs"].append(root["tlogs"][0])
    with pytest.raises(ProtoJsonError, match="the same log twice"):
        read(root)


def test_times_have_fractions_of_a_second() -> None:
    root = instance().trusted_root()
    root["tlogs"][0]["publicKey"]["validFor"]["end"] = "2026-06-01T12:00:00.999999999Z"
    end = read(root).logs[0].period.end
    assert end == NOON + datetime.timedelta(microseconds=999_999)


def test_a_client_trust_configuration_without_a_root_is_none() -> None:
    config = {"mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"}
    with pytest.raises(ProtoJsonError, match="has no trusted root"):
        read(config)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "root.json").open("wb") as stream:
        stream.truncate(limits.TRUSTED_ROOT + 1)
    with pytest.raises(InputError, match="larger than"):
        trusted_root.of_file(tmp_path / "root.json")


@settings(max_examples=150)
@given(data=st.data(), replacement=values)
def test_any_part_replaced_by_anything_is_a_root_or_our_own_error(
    data: st.DataObject, replacement: Any
) -> None:
    value: Any = copy.deepcopy(instance().trusted_root())
    place = value
    while True:
        steps = list(place) if isinstance(place, dict) else list(range(len(place)))
        step = data.draw(st.sampled_from(steps))
        if not isinstance(place[step], dict | list) or data.draw(st.booleans()):
            place[step] = replacement
            break
        place = place[step]
    with contextlib.suppress(ProtoJsonError):
        assert isinstance(read(value), TrustedRoot)


# --- several instances in one file -------------------------------------------------------------


def in_lines(*values: object) -> bytes:
    return "".join(json.dumps(v) + "\n" for v in values).encode()


def by(*values: dict[str, Any]) -> Trust:
    return trust() if not values else replace(trust(), root=decode(in_lines(*values), "r.jsonl"))


def test_a_signature_holds_by_one_of_several_roots() -> None:
    ours, theirs = instance().trusted_root(), stranger().trusted_root()
    for order in ((ours, theirs), (theirs, ours)):
        accepted(instance().attest(PAYLOAD), by(*order))
        accepted(stranger().attest(PAYLOAD, log="v1"), by(*order))


def test_a_signature_does_not_hold_by_two_roots_in_part() -> None:
    """The log of one instance proves nothing about certificates of another instance."""
    ours, theirs = instance().trusted_root(), stranger().trusted_root()
    half = ours | {"tlogs": theirs["tlogs"]}
    other = theirs | {"tlogs": ours["tlogs"]}
    assert "is not in the trusted root" in refusal(instance().attest(PAYLOAD), by(other, half))


def test_the_reason_is_that_of_the_instance_which_issued_the_certificate() -> None:
    bundle = instance().attest(PAYLOAD)
    bundle["dsseEnvelope"]["payload"] = "e30="
    theirs, ours = stranger().trusted_root(), instance().trusted_root()
    assert "sigstore does not verify it" in refusal(bundle, by(ours, theirs))
    material(bundle)["certificate"]["rawBytes"] = "AAAA"
    assert "not an X.509 certificate" in refusal(bundle, by(theirs, ours))


def test_a_root_in_lines_is_read_like_one_alone() -> None:
    ours = instance().trusted_root()
    assert len(decode(in_lines(ours, ours), "r.jsonl").each) == 1
    with pytest.raises(ProtoJsonError, match="line 2: it is a Sigstore bundle"):
        decode(in_lines(ours, instance().attest(PAYLOAD)), "r.jsonl")
    with pytest.raises(ProtoJsonError, match="17 lines, at most 16"):
        decode(in_lines(*(ours | {"tlogs": ours["tlogs"] * n} for n in range(17))), "r.jsonl")
