# SPDX-License-Identifier: Apache-2.0
"""Bundles in every form of other clients are accepted, and unsigned content is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.attestations.bundle import BundleError, MessageSignature, decode
from provenance.errors import UnavailableError
from provenance.signing import judging
from provenance.signing.judgement import Clock, Verdict
from provenance.signing.trust import Trust, TrustedIdentity
from tests.signing.workshop import (
    CONTENT,
    PAYLOAD,
    SHA256,
    accepted,
    entry,
    flipped,
    instance,
    judge,
    material,
    refusal,
    stranger,
    trust,
)
from tests.support.json_values import values
from tests.support.sigstore.instance import ISSUER, NOW, SUBJECT, Bundle, Instance
from tests.support.sigstore.rekor import RekorV2


def older(kind: Literal["0.0.1", "0.0.2"], **how: Any) -> Bundle:
    """Return a bundle with an entry of the kind that Rekor v1 used before `dsse`."""
    return instance().attest(PAYLOAD, log=f"intoto {kind}", **how)  # type: ignore[arg-type]


FORMS: dict[str, Callable[[], Bundle]] = {
    "v0.1, Rekor v1, message": lambda: instance().sign_bytes(CONTENT, log="v1", version="0.1"),
    "v0.2, Rekor v1, message": lambda: instance().sign_bytes(CONTENT, log="v1", version="0.2"),
    "v0.3, Rekor v1, message": lambda: instance().sign_bytes(CONTENT, log="v1"),
    "v0.3, Rekor v2, message": lambda: instance().sign_bytes(CONTENT, log="v2"),
    "v0.1, Rekor v1, DSSE": lambda: instance().attest(PAYLOAD, log="v1", version="0.1"),
    "v0.2, Rekor v1, DSSE": lambda: instance().attest(PAYLOAD, log="v1", version="0.2"),
    "v0.2, Rekor v2, DSSE": lambda: instance().attest(PAYLOAD, log="v2", version="0.2"),
    "v0.3, Rekor v1, DSSE": lambda: instance().attest(PAYLOAD, log="v1"),
    "v0.3, Rekor v2, DSSE": lambda: instance().attest(PAYLOAD, log="v2"),
    "v0.3, Rekor v2, DSSE as such": lambda: instance().attest(PAYLOAD, log="v2 dsse"),
    "v0.1, Rekor v1, intoto 0.0.1": lambda: older("0.0.1", version="0.1"),
    "v0.2, Rekor v1, intoto 0.0.2": lambda: older("0.0.2", version="0.2"),
    "v0.3, Rekor v1, intoto 0.0.1": lambda: older("0.0.1"),
    "v0.3, Rekor v1, intoto 0.0.2 and a timestamp": lambda: older("0.0.2", timestamps=1),
    "v0.3, Rekor v1 and a timestamp": lambda: instance().attest(PAYLOAD, log="v1", timestamps=1),
    "v0.3, Rekor v2 and two timestamps": lambda: instance().attest(PAYLOAD, timestamps=2),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_bundle_is_accepted(form: str) -> None:
    found = accepted(FORMS[form]())
    assert found.signer is not None
    assert (found.signer.name, found.signer.issuer) == (SUBJECT, ISSUER)
    assert found.signer.entries[0] == TrustedIdentity(ISSUER, SUBJECT)
    assert {m.time for m in found.signer.moments} == {NOW}


def test_who_says_when_is_told() -> None:
    found = accepted(instance().attest(PAYLOAD, log="v1", timestamps=2))
    assert found.signer is not None
    clocks = [m.clock for m in found.signer.moments]
    assert clocks == [Clock.LOG, Clock.TIMESTAMP, Clock.TIMESTAMP]


def test_a_promise_is_enough_in_the_first_version_of_bundles() -> None:
    for bundle in (
        instance().attest(PAYLOAD, log="v1", version="0.1"),
        instance().sign_bytes(CONTENT, log="v1", version="0.1"),
    ):
        without_checkpoint = copy.deepcopy(bundle)
        del entry(without_checkpoint)["inclusionProof"]["checkpoint"]
        accepted(without_checkpoint)
        del entry(bundle)["inclusionProof"]
        accepted(bundle)
    stamped = instance().attest(PAYLOAD, log="v1", version="0.1", timestamps=1)
    del entry(stamped)["inclusionProof"]
    found = accepted(stamped)
    assert found.signer is not None
    assert [m.clock for m in found.signer.moments] == [Clock.LOG, Clock.TIMESTAMP]


def test_a_promise_that_is_not_the_logs_is_not_enough() -> None:
    bundle = instance().attest(PAYLOAD, log="v1", version="0.1")
    del entry(bundle)["inclusionProof"]
    promise = entry(bundle)["inclusionPromise"]
    promise["signedEntryTimestamp"] = flipped(promise["signedEntryTimestamp"])
    assert "the promise of its log" in refusal(bundle)


def test_a_promise_of_another_time_is_not_enough() -> None:
    bundle = instance().attest(PAYLOAD, log="v1", version="0.1")
    del entry(bundle)["inclusionProof"]
    entry(bundle)["integratedTime"] = str(int(NOW.timestamp()) + 1)
    assert "the promise of its log" in refusal(bundle)


def test_a_promise_by_a_key_of_another_kind_is_not_enough() -> None:
    bundle = instance().attest(PAYLOAD, log="v1", version="0.1")
    del entry(bundle)["inclusionProof"]
    for change in ({"keyDetails": "PKIX_ECDSA_P384_SHA_384"}, {"rawBytes": "AAAA"}):
        root = instance().trusted_root()
        root["tlogs"][0]["publicKey"] |= change
        assert "the promise of its log" in refusal(bundle, trust(root))


def test_an_instance_without_a_log_is_trusted_for_its_timestamps() -> None:
    root = instance().trusted_root() | {"tlogs": []}
    for make in (instance().attest, instance().sign_bytes):
        bundle = make(PAYLOAD if make == instance().attest else CONTENT, log=None)
        accepted(bundle, trust(root))
        assert "its log entry is missing" in refusal(bundle)


def test_without_a_log_the_signature_is_judged_all_the_same() -> None:
    root = instance().trusted_root() | {"tlogs": []}
    bundle = instance().attest(PAYLOAD, log=None)
    bundle["dsseEnvelope"]["payload"] = "e30="
    assert "sigstore does not verify it" in refusal(bundle, trust(root))
    assert "sigstore does not verify it" in refusal(
        instance().sign_bytes(b"other bytes", log=None), trust(root)
    )


ZEROES: tuple[tuple[str | int, ...], ...] = (
    ("tlogEntries", 0, "logIndex"),
    ("tlogEntries", 0, "inclusionProof", "logIndex"),
    ("tlogEntries", 0, "inclusionProof", "hashes"),
)


@pytest.mark.parametrize("null", [False, True])
def test_what_proto3_json_leaves_out_is_not_missed(null: bool) -> None:
    fresh = Instance(fulcio=instance().fulcio, tsa=instance().tsa, v2=RekorV2(before=0))
    bundle = fresh.attest(PAYLOAD)
    assert (entry(bundle)["logIndex"], entry(bundle)["inclusionProof"]["hashes"]) == ("0", [])
    for *way, last in ZEROES:
        place: Any = material(bundle)
        for step in way:
            place = place[step]
        if null:
            place[last] = None
        else:
            del place[last]
    accepted(bundle, trust(fresh.trusted_root()))


def test_the_rest_of_a_chain_is_not_trusted() -> None:
    bundle = stranger().attest(PAYLOAD, log="v1", version="0.2")
    chain = material(bundle)["x509CertificateChain"]["certificates"]
    theirs = stranger().trusted_root()["certificateAuthorities"][0]["certChain"]["certificates"]
    chain += theirs[:-1]
    ours = instance().trusted_root()
    root = stranger().trusted_root() | {"certificateAuthorities": ours["certificateAuthorities"]}
    assert "sigstore does not verify it" in refusal(bundle, trust(root))
    accepted(bundle, trust(stranger().trusted_root()))


@pytest.mark.parametrize("version", ["0.1", "0.2"])
def test_a_chain_with_a_root_certificate_is_refused(version: str) -> None:
    bundle = instance().attest(PAYLOAD, log="v1", version=version)
    chain = material(bundle)["x509CertificateChain"]["certificates"]
    chain += instance().trusted_root()["certificateAuthorities"][0]["certChain"]["certificates"]
    assert "contains a root certificate" in refusal(bundle)


def test_an_identity_that_is_not_trusted_is_named() -> None:
    who = trust(identities=(TrustedIdentity(ISSUER, "someone@example.org"),))
    found = judge(instance().attest(PAYLOAD), who)
    assert found.verdict is Verdict.UNTRUSTED
    for part in (SUBJECT, ISSUER, "expected 'someone@example.org'"):
        assert part in found.reason
    assert "--identity" in found.help


def test_who_signed_is_not_told_of_a_signature_that_is_not_valid() -> None:
    who = trust(identities=(TrustedIdentity(ISSUER, "someone@example.org"),))
    bundle = instance().attest(PAYLOAD)
    bundle["dsseEnvelope"]["payload"] = "e30="
    assert judge(bundle, who).verdict is Verdict.INVALID


@pytest.mark.parametrize(
    "other",
    [
        SUBJECT.upper(),
        SUBJECT[:-1],
        f"{SUBJECT}/",
        f"{SUBJECT}.example.net",
        ".*",
        f"{SUBJECT} ",
        "https://ci.example.org/*",
    ],
)
def test_an_identity_matches_character_by_character(other: str) -> None:
    bundle = instance().attest(PAYLOAD)
    assert (
        judge(bundle, trust(identities=(TrustedIdentity(ISSUER, other),))).verdict
        is Verdict.UNTRUSTED
    )
    issuers = (TrustedIdentity(ISSUER.upper(), SUBJECT), TrustedIdentity(f"{ISSUER}/", SUBJECT))
    assert judge(bundle, trust(identities=issuers)).verdict is Verdict.UNTRUSTED


def test_without_a_trusted_root_nothing_can_be_said() -> None:
    rootless = Trust("tests", identities=(TrustedIdentity(ISSUER, SUBJECT),))
    with pytest.raises(UnavailableError, match="no trusted root"):
        judge(instance().attest(PAYLOAD), rootless)


def test_other_bytes_are_not_what_was_signed() -> None:
    bundle = instance().sign_bytes(CONTENT)
    assert "sigstore does not verify it" in refusal(bundle, sha256="0" * 64)
    del bundle["messageSignature"]["messageDigest"]
    accepted(bundle)
    assert "sigstore does not verify it" in refusal(bundle, sha256="0" * 64)


def test_a_stranger_with_an_instance_of_his_own_is_refused() -> None:
    assert "is not in the trusted root" in refusal(stranger().attest(PAYLOAD))


def test_any_bit_of_the_evidence_counts() -> None:
    forms = (
        "v0.3, Rekor v1, DSSE",
        "v0.3, Rekor v2, message",
        "v0.3, Rekor v2, DSSE as such",
        "v0.3, Rekor v1, intoto 0.0.1",
        "v0.3, Rekor v1, intoto 0.0.2 and a timestamp",
    )
    for form in forms:
        good = json.dumps(FORMS[form]())
        leaves = list(_leaves(json.loads(good)))
        assert len(leaves) > 7
        for way in leaves:
            bundle = json.loads(good)
            place: Any = bundle
            for step in way[:-1]:
                place = place[step]
            place[way[-1]] = flipped(place[way[-1]], at=-1)
            try:
                decode(json.dumps(bundle).encode())
            except BundleError:
                continue
            assert judge(bundle).verdict is not Verdict.VALID, way


def _leaves(value: Any, way: tuple[str | int, ...] = ()) -> Any:
    """Yield the paths of all base64 values."""
    names = ("rawBytes", "keyId", "rootHash", "signedEntryTimestamp", "canonicalizedBody", "sig")
    more = ("payload", "signedTimestamp", "digest", "signature")
    if isinstance(value, dict | list):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(inner, (*way, step))
    elif way[-1] in (*names, *more) or "hashes" in way:
        yield way


@settings(max_examples=200)
@given(data=st.data(), replacement=values, form=st.sampled_from(sorted(FORMS)))
def test_any_part_replaced_by_anything_is_not_accepted(
    data: st.DataObject, replacement: Any, form: str
) -> None:
    good = json.dumps(_form(form))
    value = json.loads(good)
    place = value
    while True:
        steps = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not steps:
            return
        step = data.draw(st.sampled_from(steps))
        if not isinstance(place[step], dict | list) or data.draw(st.booleans()):
            place[step] = replacement
            break
        place = place[step]
    try:
        read = decode(json.dumps(value).encode())
    except BundleError:
        return
    if judging.judge(read, trust(), SHA256).verdict is Verdict.VALID:
        # Where it counts, what was replaced had no meaning: an empty list for none, a key id, the
        # digest that a message need not state.
        whole = decode(good.encode()).content
        plain = replace(whole, sha256=None) if isinstance(whole, MessageSignature) else whole
        assert read.content in (whole, plain)
        assert read.certificate == decode(good.encode()).certificate


@cache
def _form(form: str) -> Bundle:
    return FORMS[form]()
