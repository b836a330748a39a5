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
from provenance.signing.trusted_root import TrustedRoot, decode
from tests.signing.workshop import (
    PAYLOAD,
    accepted,
    instance,
    material,
    other_payload,
    refusal,
    stranger,
    trust,
)
from tests.support.json_values import replaced_anywhere, values

NOON = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
SECOND = datetime.timedelta(seconds=1)


def read(value: object) -> TrustedRoot:
    return decode(json.dumps(value).encode(), "root.json")


def test_trusted_root_is_read() -> None:
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


def test_roots_of_the_public_instances_are_read() -> None:
    store = resources.files("sigstore") / "_store"
    folders = [folder for folder in store.iterdir() if folder.name.startswith("https")]
    assert len(folders) == 2
    for folder in folders:
        root = decode((folder / "trusted_root.json").read_bytes(), folder.name)
        assert all((root.logs, root.ct_logs, root.authorities, root.timestamp_authorities))


def test_authority_with_an_expired_certificate_is_not_in_service() -> None:
    root = instance().trusted_root()
    del root["certificateAuthorities"][0]["validFor"]["end"]
    (authority,) = read(root).authorities
    assert authority.in_service(NOON)
    assert not authority.in_service(NOON + datetime.timedelta(days=365))


START = ("tlogs", 0, "publicKey", "validFor", "start")
CERTIFICATES = ("certificateAuthorities", 0, "certChain", "certificates")


@pytest.mark.parametrize(
    ("way", "value", "reason"),
    [
        (("mediaType",), "x", "its mediaType is 'x'"),
        (("unknown",), 1, "unknown field unknown"),
        (("tlogs",), {}, "tlogs is an object"),
        (("tlogs",), [1], r"tlogs[0] is a number"),
        (("tlogs", 1), instance().trusted_root()["tlogs"][0], "the same log twice"),
        (("tlogs", 0, "logId"), None, "logId is null"),
        (("tlogs", 0, "logId", "keyId"), "AA", "not base64"),
        (("tlogs", 0, "hashAlgorithm"), "SHA1", "expected SHA2_256, found 'SHA1'"),
        (("tlogs", 0, "baseUrl"), 5, "baseUrl is not a string"),
        (("tlogs", 0, "publicKey", "rawBytes"), None, "rawBytes is missing"),
        (START, "yesterday", "is not a time"),
        (START, "2026-13-01T00:00:00Z", "is not a time"),
        (START, "2026-06-01T24:00:00Z", "is not a time"),
        (START, "٢٠٢٦-06-01T00:00:00Z", "is not a time"),
        (START, None, "has no start"),
        ((*START[:-1], "end"), 5, "is not a time"),
        (("timestampAuthorities", 0, "validFor"), None, "validFor is null"),
        (CERTIFICATES, [], "has no certificate"),
        (CERTIFICATES, [{"rawBytes": "AAAA"}], "not an X.509"),
    ],
)
def test_invalid_root_is_not_read(way: tuple[Any, ...], value: object, reason: str) -> None:
    root: Any = instance().trusted_root()
    place = root
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = value
    with pytest.raises(ProtoJsonError) as raised:
        read(root)
    assert reason in str(raised.value)


def test_times_have_fractions_of_a_second() -> None:
    root = instance().trusted_root()
    root["tlogs"][0]["publicKey"]["validFor"]["end"] = "2026-06-01T12:00:00.999999999Z"
    end = read(root).logs[0].period.end
    assert end == NOON + datetime.timedelta(microseconds=999_999)


def test_configuration_without_a_root_and_huge_file_are_not_read(tmp_path: Path) -> None:
    config = {"mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"}
    with pytest.raises(ProtoJsonError, match="has no trusted root"):
        read(config)
    with (tmp_path / "root.json").open("wb") as stream:
        stream.truncate(limits.TRUSTED_ROOT + 1)
    with pytest.raises(InputError, match="larger than"):
        trusted_root.of_file(tmp_path / "root.json")


@settings(max_examples=150)
@given(data=st.data(), replacement=values)
def test_root_with_any_part_replaced_is_read_or_refused(
    data: st.DataObject, replacement: Any
) -> None:
    value = replaced_anywhere(copy.deepcopy(instance().trusted_root()), replacement, data)
    with contextlib.suppress(ProtoJsonError):
        assert isinstance(read(value), TrustedRoot)


# --- several instances in one file -------------------------------------------------------------


def in_lines(*values: object) -> bytes:
    return "".join(json.dumps(v) + "\n" for v in values).encode()


def by(*values: dict[str, Any]) -> Trust:
    return replace(trust(), root=decode(in_lines(*values), "r.jsonl"))


def test_signature_is_valid_by_one_of_several_roots_but_not_by_parts_of_them() -> None:
    ours, theirs = instance().trusted_root(), stranger().trusted_root()
    for order in ((ours, theirs), (theirs, ours)):
        accepted(instance().attest(PAYLOAD), by(*order))
        accepted(stranger().attest(PAYLOAD, log="v1"), by(*order))
    half = ours | {"tlogs": theirs["tlogs"]}
    other = theirs | {"tlogs": ours["tlogs"]}
    assert "is not in the trusted root" in refusal(instance().attest(PAYLOAD), by(other, half))


def test_reason_is_that_of_the_instance_that_issued_the_certificate() -> None:
    bundle = instance().attest(PAYLOAD)
    other_payload(bundle)
    theirs, ours = stranger().trusted_root(), instance().trusted_root()
    assert "sigstore does not verify it" in refusal(bundle, by(ours, theirs))
    material(bundle)["certificate"]["rawBytes"] = "AAAA"
    assert "not an X.509 certificate" in refusal(bundle, by(theirs, ours))


def test_file_may_have_a_root_in_each_line() -> None:
    ours = instance().trusted_root()
    assert len(decode(in_lines(ours, ours), "r.jsonl").each) == 1
    with pytest.raises(ProtoJsonError, match="line 2: it is a Sigstore bundle"):
        decode(in_lines(ours, instance().attest(PAYLOAD)), "r.jsonl")
    with pytest.raises(ProtoJsonError, match="17 lines, at most 16"):
        decode(in_lines(*(ours | {"tlogs": ours["tlogs"] * n} for n in range(17))), "r.jsonl")
