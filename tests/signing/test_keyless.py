# SPDX-License-Identifier: Apache-2.0
"""Bundles in every form of other clients are accepted, and unsigned content is refused."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any, Final

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
    mixed_root,
    no_log,
    other_payload,
    refusal,
    stranger,
    trust,
)
from tests.support.json_values import replaced_anywhere, values
from tests.support.sigstore.instance import ISSUER, NOW, SUBJECT, Instance
from tests.support.sigstore.rekor import RekorV2

BY_SIGSTORE: Final = "sigstore does not verify it"

FORMS: dict[str, dict[str, Any]] = {
    "v0.1, Rekor v1, message": {"bytes": True, "log": "v1", "version": "0.1"},
    "v0.2, Rekor v1, message": {"bytes": True, "log": "v1", "version": "0.2"},
    "v0.3, Rekor v1, message": {"bytes": True, "log": "v1"},
    "v0.3, Rekor v2, message": {"bytes": True, "log": "v2"},
    "v0.1, Rekor v1, DSSE": {"log": "v1", "version": "0.1"},
    "v0.2, Rekor v1, DSSE": {"log": "v1", "version": "0.2"},
    "v0.2, Rekor v2, DSSE": {"log": "v2", "version": "0.2"},
    "v0.3, Rekor v1, DSSE": {"log": "v1"},
    "v0.3, Rekor v2, DSSE": {"log": "v2"},
    "v0.3, Rekor v2, DSSE as such": {"log": "v2 dsse"},
    "v0.1, Rekor v1, intoto 0.0.1": {"log": "intoto 0.0.1", "version": "0.1"},
    "v0.2, Rekor v1, intoto 0.0.2": {"log": "intoto 0.0.2", "version": "0.2"},
    "v0.3, Rekor v1, intoto 0.0.1": {"log": "intoto 0.0.1"},
    "v0.3, Rekor v1, intoto 0.0.2 and a timestamp": {"log": "intoto 0.0.2", "timestamps": 1},
    "v0.3, Rekor v1 and a timestamp": {"log": "v1", "timestamps": 1},
    "v0.3, Rekor v2 and two timestamps": {"timestamps": 2},
}


@cache
def text_of(form: str) -> str:
    how = dict(FORMS[form])
    if how.pop("bytes", False):
        return json.dumps(instance().sign_bytes(CONTENT, **how))
    return json.dumps(instance().attest(PAYLOAD, **how))


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_bundle_is_accepted(form: str) -> None:
    found = accepted(json.loads(text_of(form)))
    assert found.signer is not None
    assert (found.signer.name, found.signer.issuer) == (SUBJECT, ISSUER)
    assert found.signer.entries[0] == TrustedIdentity(ISSUER, SUBJECT)
    assert {m.time for m in found.signer.moments} == {NOW}


@pytest.mark.parametrize("form", ["v0.1, Rekor v1, message", "v0.1, Rekor v1, DSSE"])
def test_promise_is_enough_in_bundles_of_v0_1(form: str) -> None:
    bundle = json.loads(text_of(form))
    del entry(bundle)["inclusionProof"]["checkpoint"]
    accepted(bundle)
    del entry(bundle)["inclusionProof"]
    accepted(bundle)
    for change in ({"keyDetails": "PKIX_ECDSA_P384_SHA_384"}, {"rawBytes": "AAAA"}):
        root = instance().trusted_root()
        root["tlogs"][0]["publicKey"] |= change
        assert "the promise of its log" in refusal(bundle, trust(root))
    time = entry(bundle)["integratedTime"]
    entry(bundle)["integratedTime"] = str(int(time) + 1)
    assert "the promise of its log" in refusal(bundle)
    entry(bundle)["integratedTime"] = time
    promise = entry(bundle)["inclusionPromise"]
    promise["signedEntryTimestamp"] = flipped(promise["signedEntryTimestamp"])
    assert "the promise of its log" in refusal(bundle)


@pytest.mark.parametrize("proof", [True, False])
def test_log_and_authorities_state_the_time(proof: bool) -> None:
    bundle = instance().attest(PAYLOAD, log="v1", version="0.1", timestamps=2)
    if not proof:
        del entry(bundle)["inclusionProof"]
    signer = accepted(bundle).signer
    assert signer is not None
    assert [m.clock for m in signer.moments] == [Clock.LOG, Clock.TIMESTAMP, Clock.TIMESTAMP]


def test_instance_without_a_log_is_trusted_for_its_timestamps() -> None:
    for bundle in (
        instance().attest(PAYLOAD, log=None),
        instance().sign_bytes(CONTENT, log=None),
    ):
        accepted(bundle, no_log())
        assert "its log entry is missing" in refusal(bundle)
    bundle = instance().attest(PAYLOAD, log=None)
    other_payload(bundle)
    assert BY_SIGSTORE in refusal(bundle, no_log())
    assert BY_SIGSTORE in refusal(instance().sign_bytes(b"other bytes", log=None), no_log())


@pytest.mark.parametrize("null", [False, True])
def test_zeros_may_be_left_out_as_in_proto3_json(null: bool) -> None:
    fresh = Instance(fulcio=instance().fulcio, tsa=instance().tsa, v2=RekorV2(before=0))
    bundle = fresh.attest(PAYLOAD)
    proof = entry(bundle)["inclusionProof"]
    assert (entry(bundle)["logIndex"], proof["hashes"]) == ("0", [])
    for place, name in ((entry(bundle), "logIndex"), (proof, "logIndex"), (proof, "hashes")):
        if null:
            place[name] = None
        else:
            del place[name]
    accepted(bundle, trust(fresh.trusted_root()))


def test_chain_in_a_bundle_is_not_trusted() -> None:
    bundle = stranger().attest(PAYLOAD, log="v1", version="0.2")
    (theirs,) = stranger().trusted_root()["certificateAuthorities"]
    chain = material(bundle)["x509CertificateChain"]["certificates"]
    chain += theirs["certChain"]["certificates"][:-1]
    assert BY_SIGSTORE in refusal(bundle, mixed_root("certificateAuthorities"))
    accepted(bundle, mixed_root())
    for version in ("0.1", "0.2"):
        bundle = instance().attest(PAYLOAD, log="v1", version=version)
        (ours,) = instance().trusted_root()["certificateAuthorities"]
        chain = material(bundle)["x509CertificateChain"]["certificates"]
        chain += ours["certChain"]["certificates"]
        assert "contains a root certificate" in refusal(bundle)


@pytest.mark.parametrize(
    ("issuer", "subject"),
    [
        (ISSUER, "someone@example.org"),
        (ISSUER, SUBJECT.upper()),
        (ISSUER, SUBJECT[:-1]),
        (ISSUER, f"{SUBJECT}/"),
        (ISSUER, f"{SUBJECT}.example.net"),
        (ISSUER, f"{SUBJECT} "),
        (ISSUER, ".*"),
        (ISSUER, "https://ci.example.org/*"),
        (ISSUER.upper(), SUBJECT),
        (f"{ISSUER}/", SUBJECT),
    ],
)
def test_identity_matches_character_by_character(issuer: str, subject: str) -> None:
    who = trust(identities=(TrustedIdentity(issuer, subject),))
    bundle = instance().attest(PAYLOAD)
    found = judge(bundle, who)
    assert found.verdict is Verdict.UNTRUSTED
    expected = subject if issuer == ISSUER else issuer
    for part in (SUBJECT, ISSUER, f"expected {expected!r}"):
        assert part in found.reason
    assert "--identity" in found.help
    other_payload(bundle)
    assert judge(bundle, who).verdict is Verdict.INVALID  # whatever its signer


def test_keyless_signature_needs_a_trusted_root() -> None:
    rootless = Trust("tests", identities=(TrustedIdentity(ISSUER, SUBJECT),))
    with pytest.raises(UnavailableError, match="no trusted root"):
        judge(instance().attest(PAYLOAD), rootless)


def test_signature_of_other_bytes_is_refused() -> None:
    bundle = instance().sign_bytes(CONTENT)
    assert BY_SIGSTORE in refusal(bundle, sha256="0" * 64)
    del bundle["messageSignature"]["messageDigest"]
    accepted(bundle)
    assert BY_SIGSTORE in refusal(bundle, sha256="0" * 64)


BASE64: Final = {
    *("rawBytes", "keyId", "rootHash", "signedEntryTimestamp", "canonicalizedBody", "sig"),
    *("payload", "signedTimestamp", "digest", "signature"),
}


def encoded_values(value: Any, hashes: bool = False) -> Iterator[tuple[Any, Any]]:
    """Yield the containers of all base64 values, with the key of each."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(inner, str) and (hashes or key in BASE64):
                yield value, key
            yield from encoded_values(inner, key == "hashes")


@pytest.mark.parametrize(
    "form",
    [
        "v0.3, Rekor v1, DSSE",
        "v0.3, Rekor v2, message",
        "v0.3, Rekor v2, DSSE as such",
        "v0.3, Rekor v1, intoto 0.0.1",
        "v0.3, Rekor v1, intoto 0.0.2 and a timestamp",
    ],
)
def test_each_bit_of_the_evidence_counts(form: str) -> None:
    bundle = json.loads(text_of(form))
    places = list(encoded_values(bundle))
    assert len(places) > 7
    for place, key in places:
        good = place[key]
        place[key] = flipped(good, at=-1)
        with contextlib.suppress(BundleError):
            assert judge(bundle).verdict is not Verdict.VALID, key
        place[key] = good
    accepted(bundle)


@settings(max_examples=200)
@given(data=st.data(), replacement=values, form=st.sampled_from(sorted(FORMS)))
def test_bundle_with_any_part_replaced_is_not_accepted(
    data: st.DataObject, replacement: Any, form: str
) -> None:
    value = replaced_anywhere(json.loads(text_of(form)), replacement, data)
    try:
        read = decode(json.dumps(value).encode())
    except BundleError:
        return
    if judging.judge(read, trust(), SHA256).verdict is Verdict.VALID:
        # Only what has no meaning was replaced: an empty list for none, a key id, the digest that a
        # message need not state.
        good = decode(text_of(form).encode())
        whole = good.content
        plain = replace(whole, sha256=None) if isinstance(whole, MessageSignature) else whole
        assert read.content in (whole, plain)
        assert read.certificate == good.certificate
