# SPDX-License-Identifier: Apache-2.0
"""Bundles that differ in one thing from a valid one: each is refused."""

from __future__ import annotations

import base64
import datetime
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from provenance.attestations.bundle import BundleError, decode
from tests.fuzz.make_corpus import certificate
from tests.signing.workshop import (
    CONTENT,
    PAYLOAD,
    accepted,
    entry,
    flipped,
    instance,
    material,
    refusal,
    signature,
    stamps,
    stranger,
    trust,
)
from tests.support.sigstore.ca import Request, claim, github, uri, usage
from tests.support.sigstore.instance import ISSUER, NOW, START, SUBJECT, Bundle, rfc3339
from tests.support.sigstore.rekor import b64, root_hash

SECOND = datetime.timedelta(seconds=1)
MINUTES = datetime.timedelta(minutes=1)
NOT_SIGNED = "its checkpoint is not signed by the log"
NOT_IN_THE_TREE = "its inclusion proof does not match the tree of the log"


def malformed(bundle: Bundle) -> str:
    with pytest.raises(BundleError) as raised:
        decode(json.dumps(bundle).encode())
    return str(raised.value)


# --- entries that sigstore does not know -------------------------------------------------------


def as_such(payload: bytes = PAYLOAD) -> Bundle:
    """Return a bundle with an entry `dsse 0.0.2`, which only this project verifies."""
    return instance().attest(payload, log="v2 dsse")


def test_an_entry_of_an_envelope_is_not_one_of_a_message() -> None:
    bundle = instance().sign_bytes(CONTENT)
    material(bundle)["tlogEntries"] = material(as_such())["tlogEntries"]
    assert "is of an envelope" in refusal(bundle)


def test_an_entry_of_another_envelope() -> None:
    bundle, other = as_such(), as_such(b'{"other": "payload"}')
    material(bundle)["tlogEntries"] = material(other)["tlogEntries"]
    assert "payloadHash differs" in refusal(bundle)


def test_an_entry_whose_body_was_changed_is_in_no_tree() -> None:
    bundle = as_such()
    body = base64.b64decode(entry(bundle)["canonicalizedBody"])
    entry(bundle)["canonicalizedBody"] = b64(body + b" ")
    assert NOT_IN_THE_TREE in refusal(bundle)


def test_an_entry_whose_checkpoint_another_log_has_signed() -> None:
    bundle = as_such()
    proof = entry(bundle)["inclusionProof"]
    proof["checkpoint"]["envelope"] = stranger().v2.checkpoint(
        int(proof["treeSize"]), base64.b64decode(proof["rootHash"])
    )
    assert NOT_SIGNED in refusal(bundle)


@pytest.mark.parametrize("change", ["of the signature", "of the key's name", "not base64"])
def test_an_entry_whose_checkpoint_has_the_logs_name_on_another_signature(change: str) -> None:
    bundle = as_such()
    checkpoint = entry(bundle)["inclusionProof"]["checkpoint"]
    note, _, signed = checkpoint["envelope"].rstrip("\n").rpartition(" ")
    changes = {"of the signature": flipped(signed, 30), "of the key's name": flipped(signed, 2)}
    checkpoint["envelope"] = f"{note} {changes.get(change, 'A')}\n"
    assert NOT_SIGNED in refusal(bundle)


@pytest.mark.parametrize("change", ["none", "one less", "one more", "another"])
def test_an_entry_with_another_way_to_the_root(change: str) -> None:
    bundle = as_such()
    proof = entry(bundle)["inclusionProof"]
    ways = {
        "none": [],
        "one less": proof["hashes"][:-1],
        "one more": [*proof["hashes"], b64(b"0" * 32)],
        "another": [b64(b"0" * 32), *proof["hashes"][1:]],
    }
    proof["hashes"] = ways[change]
    assert NOT_IN_THE_TREE in refusal(bundle)


def test_an_entry_as_such_is_judged_in_all_else_as_any_other() -> None:
    bundle = as_such()
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = b64(b"0" * 70)
    assert "is of another signature" in refusal(bundle)
    late = instance().attest(PAYLOAD, log="v2 dsse", signed_at=NOW + datetime.timedelta(minutes=11))
    assert "its certificate was valid from" in refusal(late)
    assert "is not in the trusted root" in refusal(stranger().attest(PAYLOAD, log="v2 dsse"))


# --- entries of Rekor v1 before it had `dsse` --------------------------------------------------


def relogged(bundle: Bundle, change: Callable[[Any], object]) -> Bundle:
    """Return the bundle with an entry whose changed body the log includes and promises."""
    body = json.loads(base64.b64decode(entry(bundle)["canonicalizedBody"]))
    change(body["spec"])
    logged = instance().v1.add("intoto", body, int(entry(bundle)["integratedTime"]))
    material(bundle)["tlogEntries"] = [logged]
    return bundle


def envelope(spec: Any) -> Any:
    return spec["content"]["envelope"]


def signed(spec: Any) -> Any:
    (found,) = envelope(spec)["signatures"]
    return found


def key_of_another(spec: Any) -> str:
    other = instance().attest(PAYLOAD, log="intoto 0.0.1")
    body = json.loads(base64.b64decode(entry(other)["canonicalizedBody"]))
    found: str = body["spec"]["publicKey"]
    return found


def in_pem(label: str, der: bytes) -> str:
    return b64(f"-----BEGIN {label}-----\n{b64(der)}\n-----END {label}-----\n".encode())


INTOTO: dict[str, tuple[Any, Callable[[Any], object], str]] = {
    "another payload": (
        "intoto 0.0.1",
        lambda s: s["content"]["payloadHash"].update(value="0" * 64),
        "payloadHash differs",
    ),
    "no payload": (
        "intoto 0.0.1",
        lambda s: s["content"].pop("payloadHash"),
        "payloadHash differs",
    ),
    "a hash of another kind": (
        "intoto 0.0.2",
        lambda s: s["content"]["payloadHash"].update(algorithm="sha1"),
        "payloadHash differs",
    ),
    "another certificate": (
        "intoto 0.0.1",
        lambda s: s.update(publicKey=key_of_another(s)),
        "publicKey differs",
    ),
    "no certificate": ("intoto 0.0.1", lambda s: s.pop("publicKey"), "publicKey differs"),
    "a certificate that is no base64": (
        "intoto 0.0.1",
        lambda s: s.update(publicKey="%"),
        "publicKey differs",
    ),
    "two certificates": (
        "intoto 0.0.1",
        lambda s: s.update(publicKey=b64(base64.b64decode(s["publicKey"]) * 2)),
        "publicKey differs",
    ),
    "a certificate under another label": (
        "intoto 0.0.1",
        lambda s: s.update(publicKey=in_pem("PUBLIC KEY", b"0")),
        "publicKey differs",
    ),
    "no envelope": ("intoto 0.0.2", lambda s: s["content"].pop("envelope"), "envelope differs"),
    "another payload type": (
        "intoto 0.0.2",
        lambda s: envelope(s).update(payloadType="text/plain"),
        "envelope differs",
    ),
    "another payload in the envelope": (
        "intoto 0.0.2",
        lambda s: envelope(s).update(payload=b64(b64(b"other").encode())),
        "envelope differs",
    ),
    "another signature": (
        "intoto 0.0.2",
        lambda s: signed(s).update(sig=b64(b64(b"other").encode())),
        "envelope differs",
    ),
    "a signature that is encoded once": (
        "intoto 0.0.2",
        lambda s: signed(s).update(sig=base64.b64decode(signed(s)["sig"]).decode()),
        "envelope differs",
    ),
    "the certificate of another": (
        "intoto 0.0.2",
        lambda s: signed(s).update(publicKey=key_of_another(s)),
        "envelope differs",
    ),
    "two signatures": (
        "intoto 0.0.2",
        lambda s: envelope(s).update(signatures=envelope(s)["signatures"] * 2),
        "envelope differs",
    ),
    "no signature": (
        "intoto 0.0.2",
        lambda s: envelope(s).update(signatures=[]),
        "envelope differs",
    ),
    "a signature with an unknown member": (
        "intoto 0.0.2",
        lambda s: signed(s).update(other=1),
        "envelope differs",
    ),
}


@pytest.mark.parametrize("name", INTOTO)
def test_an_intoto_entry_about_something_else(name: str) -> None:
    log, change, reason = INTOTO[name]
    assert reason in refusal(relogged(instance().attest(PAYLOAD, log=log), change))


def test_an_intoto_entry_may_wrap_its_certificate_elsewhere_and_repeat_the_payload() -> None:
    def rewrite(spec: Any) -> None:
        der = x509.load_pem_x509_certificate(base64.b64decode(signed(spec)["publicKey"]))
        signed(spec).update(
            publicKey=in_pem("CERTIFICATE", der.public_bytes(Encoding.DER)), keyid=""
        )
        envelope(spec)["payload"] = b64(b64(PAYLOAD).encode())

    accepted(relogged(instance().attest(PAYLOAD, log="intoto 0.0.2"), rewrite))


@pytest.mark.parametrize("log", ["intoto 0.0.1", "intoto 0.0.2"])
def test_an_intoto_entry_is_in_the_log_and_promised(log: Any) -> None:
    bundle = instance().attest(PAYLOAD, log=log)
    promise = entry(bundle)["inclusionPromise"]
    promise["signedEntryTimestamp"] = flipped(promise["signedEntryTimestamp"])
    assert "the promise of its log" in refusal(bundle)
    bundle = instance().attest(PAYLOAD, log=log)
    hashes = entry(bundle)["inclusionProof"]["hashes"]
    hashes[0] = flipped(hashes[0])
    assert NOT_IN_THE_TREE in refusal(bundle)
    late = instance().attest(PAYLOAD, log=log, signed_at=NOW + 11 * MINUTES)
    assert "its certificate was valid from" in refusal(late)


def test_an_intoto_entry_does_not_make_another_signature_valid() -> None:
    """The kind 0.0.1 does not contain the signature, which is verified nevertheless."""
    bundle = instance().attest(PAYLOAD, log="intoto 0.0.1")
    (found,) = bundle["dsseEnvelope"]["signatures"]
    found["sig"] = flipped(found["sig"])
    assert "sigstore does not verify it" in refusal(bundle)


def test_a_body_that_sigstore_cannot_read_is_refused_in_one_line() -> None:
    """The parser of `sigstore` would list all errors, for its developers."""
    bundle = instance().attest(PAYLOAD, log="v1")
    body = json.loads(base64.b64decode(entry(bundle)["canonicalizedBody"]))
    del body["spec"]["envelopeHash"]
    logged = instance().v1.add("dsse", body, int(NOW.timestamp()))
    material(bundle)["tlogEntries"] = [logged]
    assert (
        refusal(bundle) == "sigstore does not verify it: invalid DSSE log entry: it cannot be read"
    )


# --- what was logged ---------------------------------------------------------------------------


@pytest.mark.parametrize("log", ["v1", "v2", "v2 dsse"])
def test_a_log_entry_of_another_signature(log: Any) -> None:
    bundle = instance().attest(PAYLOAD, log=log, timestamps=1)
    other = instance().attest(PAYLOAD, log=log, timestamps=1)
    material(bundle)["tlogEntries"] = material(other)["tlogEntries"]
    refused = "is of another signature" if log == "v2 dsse" else "sigstore does not verify it"
    assert refused in refusal(bundle)


@pytest.mark.parametrize("log", ["v1", "v2"])
def test_a_log_entry_of_another_artifact(log: Any) -> None:
    bundle = instance().sign_bytes(CONTENT, log=log)
    other = instance().sign_bytes(b"other", log=log)
    material(bundle)["tlogEntries"] = material(other)["tlogEntries"]
    assert "sigstore does not verify it" in refusal(bundle)


def test_a_log_entry_of_a_message_for_an_envelope() -> None:
    bundle = instance().attest(PAYLOAD, log="v1")
    other = instance().sign_bytes(CONTENT, log="v1")
    material(bundle)["tlogEntries"] = material(other)["tlogEntries"]
    assert "sigstore does not verify it" in refusal(bundle)


def test_a_log_entry_whose_body_is_of_another_kind_than_it_says() -> None:
    bundle = instance().attest(PAYLOAD, log="v1")
    entry(bundle)["kindVersion"] = {"kind": "hashedrekord", "version": "0.0.1"}
    assert "not of the same kind as what was logged" in malformed(bundle)


@pytest.mark.parametrize("body", [b"not json", b"[]", b'{"kind": 1, "kind": 2}'])
def test_a_log_entry_whose_body_two_readers_read_differently(body: bytes) -> None:
    bundle = instance().attest(PAYLOAD, log="v1")
    entry(bundle)["canonicalizedBody"] = b64(body)
    assert "canonicalizedBody" in malformed(bundle)


def test_a_log_entry_by_another_log_under_the_name_of_a_trusted_one() -> None:
    bundle = stranger().attest(PAYLOAD)
    entry(bundle)["logId"]["keyId"] = b64(instance().v2.log_id)
    mixed = instance().trusted_root()
    theirs = stranger().trusted_root()
    for part in ("certificateAuthorities", "ctlogs", "timestampAuthorities"):
        mixed[part] = theirs[part]
    assert "sigstore does not verify it" in refusal(bundle, trust(mixed))


@pytest.mark.parametrize("log", ["v1", "v2"])
@pytest.mark.parametrize("origin", ["rekor.elsewhere.test", "rekor.elsewhere.test - 1", ""])
def test_a_checkpoint_of_another_origin(log: Any, origin: str) -> None:
    rekor = instance().v1 if log == "v1" else instance().v2
    bundle = instance().attest(PAYLOAD, log=log)
    proof = entry(bundle)["inclusionProof"]
    size, root = int(proof["treeSize"]), base64.b64decode(proof["rootHash"])
    proof["checkpoint"]["envelope"] = rekor.checkpoint(size, root, origin or f"{rekor.host}.x")
    assert "its checkpoint is from the log" in refusal(bundle)


def test_rekor_v2_has_one_tree_and_no_number_for_it() -> None:
    bundle = instance().attest(PAYLOAD)
    proof = entry(bundle)["inclusionProof"]
    size, root = int(proof["treeSize"]), base64.b64decode(proof["rootHash"])
    v2 = instance().v2
    proof["checkpoint"]["envelope"] = v2.checkpoint(size, root, f"{v2.host} - 1")
    assert "its checkpoint is from the log" in refusal(bundle)


@pytest.mark.parametrize("log", ["v1", "v2"])
def test_a_checkpoint_of_another_tree_size(log: Any) -> None:
    rekor = instance().v1 if log == "v1" else instance().v2
    bundle = instance().attest(PAYLOAD, log=log)
    proof = entry(bundle)["inclusionProof"]
    root = base64.b64decode(proof["rootHash"])
    proof["checkpoint"]["envelope"] = rekor.checkpoint(int(proof["treeSize"]) + 1, root)
    assert "is for a tree with" in malformed(bundle)


def test_a_checkpoint_of_an_earlier_tree() -> None:
    v2 = instance().v2
    before = list(v2.leaves)
    bundle = instance().attest(PAYLOAD)
    old = v2.checkpoint(int(entry(bundle)["inclusionProof"]["treeSize"]), root_hash(before))
    entry(bundle)["inclusionProof"]["checkpoint"]["envelope"] = old
    assert "another root hash than its checkpoint" in malformed(bundle)


def test_a_checkpoint_that_is_not_signed_by_the_log() -> None:
    bundle = instance().attest(PAYLOAD)
    checkpoint = entry(bundle)["inclusionProof"]["checkpoint"]
    note, _, signed = checkpoint["envelope"].rpartition(" ")
    checkpoint["envelope"] = f"{note} {flipped(signed.strip())}\n"
    assert "sigstore does not verify it" in refusal(bundle)


def test_an_inclusion_proof_of_another_entry() -> None:
    bundle = instance().attest(PAYLOAD)
    other = instance().attest(PAYLOAD)
    entry(bundle)["inclusionProof"] = entry(other)["inclusionProof"]
    entry(bundle)["logIndex"] = entry(other)["logIndex"]
    assert "sigstore does not verify it" in refusal(bundle)


def test_an_entry_with_another_number_than_its_proof() -> None:
    bundle = instance().attest(PAYLOAD)
    entry(bundle)["logIndex"] = "0"
    assert "its proof is for" in malformed(bundle)


def test_two_log_entries() -> None:
    bundle = instance().attest(PAYLOAD)
    material(bundle)["tlogEntries"] *= 2
    assert "2 log entries" in malformed(bundle)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"inclusionProof": None}, "no inclusion proof"),
        ({"inclusionPromise": {"signedEntryTimestamp": "AAAA"}}, "but no integratedTime"),
        (
            {"kindVersion": {"kind": "rekord", "version": "0.0.1"}},
            "is unsupported: expected one of the kinds",
        ),
        (
            {"kindVersion": {"kind": "intoto", "version": "0.0.2"}},
            "not of the same kind as what was",
        ),
        ({"kindVersion": None}, "kindVersion is null"),
        ({"logId": None}, "logId is null"),
        ({"canonicalizedBody": ""}, "canonicalizedBody is missing"),
        ({"integratedTime": "-1"}, "integratedTime is not an int64"),
        ({"integratedTime": "253402300800"}, "after the year 9999"),
        ({"logIndex": "007"}, "logIndex is not an int64"),
        ({"logIndex": 1.5}, "logIndex is not an int64"),
        ({"logIndex": str(2**63)}, "logIndex is not an int64"),
        ({"unknown": 1}, "unknown field"),
    ],
)
def test_a_log_entry_that_is_not_whole(change: dict[str, Any], reason: str) -> None:
    bundle = instance().attest(PAYLOAD)
    entry(bundle).update(change)
    assert reason in malformed(bundle)


def test_a_promise_of_a_log_that_makes_none() -> None:
    bundle = instance().attest(PAYLOAD)
    entry(bundle)["integratedTime"] = "1"
    entry(bundle)["inclusionPromise"] = {"signedEntryTimestamp": "AAAA"}
    assert "which Rekor v2 never makes" in malformed(bundle)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"checkpoint": None}, "no checkpoint"),
        ({"rootHash": "AAAA"}, "not 32 bytes long"),
        ({"hashes": ["AAAA"]}, "not 32 bytes long"),
        ({"hashes": "AAAA"}, "hashes is a string"),
        ({"hashes": [b64(bytes(32))] * 65}, "more than 64"),
        ({"hashes": [1]}, r"hashes[0] is missing"),
        ({"treeSize": "1", "logIndex": "1"}, "for entry 1 of a tree with 1 entries"),
        ({"checkpoint": {"envelope": ""}}, "not a signed checkpoint"),
        ({"checkpoint": {"envelope": "a\n1\n"}}, "not a signed checkpoint"),
        ({"checkpoint": {"envelope": "a\n1\nAA==\n\nnobody\n"}}, "not a signed checkpoint"),
        ({"checkpoint": {"envelope": "a\n-1\nAA==\n\n\u2014 a AAAAAAAA\n"}}, "no valid tree size"),
        ({"checkpoint": {"envelope": "a\n1\n!\n\n\u2014 a AAAAAAAA\n"}}, "no valid root hash"),
    ],
)
def test_a_proof_that_is_not_whole(change: dict[str, Any], reason: str) -> None:
    bundle = instance().attest(PAYLOAD)
    entry(bundle)["inclusionProof"].update(change)
    assert reason in malformed(bundle)


# --- when it was -------------------------------------------------------------------------------

PARTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "Rekor v1": lambda root: root["tlogs"][0]["publicKey"],
    "Rekor v2": lambda root: root["tlogs"][1]["publicKey"],
    "certificate authority": lambda root: root["certificateAuthorities"][0],
    "certificate transparency log": lambda root: root["ctlogs"][0]["publicKey"],
    "timestamp authority": lambda root: root["timestampAuthorities"][0],
}


@pytest.mark.parametrize("part", PARTS)
def test_what_was_not_in_service_when_it_was_signed(part: str) -> None:
    log: Any = "v1" if part == "Rekor v1" else "v2"
    bundle = instance().attest(PAYLOAD, log=log)
    for start, end, counts in (
        (NOW, NOW, True),  # both ends count
        (START, NOW, True),
        (NOW, None, True),
        (START, NOW - SECOND, False),
        (NOW + SECOND, None, False),
    ):
        root = instance().trusted_root()
        period = {"start": rfc3339(start)} | ({"end": rfc3339(end)} if end else {})
        PARTS[part](root)["validFor"] = period
        if counts:
            accepted(bundle, trust(root))
        else:
            reason = refusal(bundle, trust(root))
            assert "in service" in reason or "trusted" in reason or "refuses" in reason


def test_a_log_without_a_period_was_always_in_service() -> None:
    root = instance().trusted_root()
    for part in ("Rekor v2", "certificate transparency log"):
        del PARTS[part](root)["validFor"]
    accepted(instance().attest(PAYLOAD), trust(root))


def test_a_period_that_ends_after_today_does_not_help_an_earlier_signature() -> None:
    root = instance().trusted_root()
    PARTS["Rekor v1"](root)["validFor"] = {"start": "2026-06-02T00:00:00Z"}
    reason = refusal(instance().attest(PAYLOAD, log="v1"), trust(root))
    assert "was in service since 2026-06-02" in reason


@pytest.mark.parametrize("log", ["v1", "v2"])
def test_signed_at_the_ends_of_the_certificate(log: Any) -> None:
    for after in (0 * MINUTES, 10 * MINUTES):
        accepted(instance().attest(PAYLOAD, log=log, signed_at=NOW + after))


@pytest.mark.parametrize("log", ["v1", "v2"])
@pytest.mark.parametrize("after", [-SECOND, 10 * MINUTES + SECOND])
def test_signed_before_or_after_the_certificate(log: Any, after: datetime.timedelta) -> None:
    reason = refusal(instance().attest(PAYLOAD, log=log, signed_at=NOW + after))
    assert "but its certificate was valid" in reason


def test_a_timestamp_after_the_certificate_beside_a_good_promise() -> None:
    bundle = instance().attest(PAYLOAD, log="v1")
    late = instance().tsa.stamp(signature(bundle), NOW + 11 * MINUTES)
    stamps(bundle).append({"signedTimestamp": b64(late)})
    assert "but its certificate was valid" in refusal(bundle)


def test_a_timestamp_by_nobody_who_is_trusted() -> None:
    bundle = instance().attest(PAYLOAD, timestamps=0)
    theirs = stranger().tsa.stamp(signature(bundle), NOW)
    stamps(bundle).append({"signedTimestamp": b64(theirs)})
    assert "sigstore does not verify it" in refusal(bundle)


@pytest.mark.parametrize("log", ["v1", "v2"])
def test_a_timestamp_by_a_stranger_beside_good_evidence(log: Any) -> None:
    bundle = instance().attest(PAYLOAD, log=log)
    theirs = stranger().tsa.stamp(signature(bundle), NOW)
    stamps(bundle).append({"signedTimestamp": b64(theirs)})
    assert "sigstore does not verify it" in refusal(bundle)


def test_a_timestamp_on_another_signature() -> None:
    bundle = instance().attest(PAYLOAD)
    stamps(bundle)[0]["signedTimestamp"] = b64(instance().tsa.stamp(b"another", NOW))
    assert "sigstore does not verify it" in refusal(bundle)


def test_a_timestamp_where_no_authority_is_trusted() -> None:
    root = instance().trusted_root() | {"timestampAuthorities": []}
    assert "no timestamp authority" in refusal(instance().attest(PAYLOAD), trust(root))


def test_a_timestamp_that_is_none() -> None:
    bundle = instance().attest(PAYLOAD)
    stamps(bundle)[0]["signedTimestamp"] = "AAAA"
    assert "timestamp cannot be read" in refusal(bundle)


def test_the_same_timestamp_twice() -> None:
    bundle = instance().attest(PAYLOAD)
    material(bundle)["timestampVerificationData"]["rfc3161Timestamps"] *= 2
    assert "the same timestamp twice" in malformed(bundle)


def test_a_time_that_nobody_signed() -> None:
    bundle = instance().attest(PAYLOAD, log="v1")
    del entry(bundle)["inclusionPromise"]
    assert "the time of the signature is missing" in refusal(bundle)


def test_a_promised_time_that_was_changed() -> None:
    bundle = instance().attest(PAYLOAD, log="v1")
    entry(bundle)["integratedTime"] = str(int(NOW.timestamp()) + 1)
    assert "sigstore does not verify it" in refusal(bundle)


# --- who it was --------------------------------------------------------------------------------


def asked(**changes: Any) -> Request:
    """Return a certificate request of the release identity with `changes`."""
    request = uri(SUBJECT, ISSUER)
    for field, value in changes.items():
        setattr(request, field, value)
    return request


CA: tuple[x509.ExtensionType, bool] = (x509.BasicConstraints(ca=True, path_length=None), True)
CRITICAL = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")

CERTIFICATES: dict[str, tuple[Callable[[], Request], str]] = {
    "for servers": (
        lambda: asked(purposes=[ExtendedKeyUsageOID.SERVER_AUTH]),
        "not for code signing",
    ),
    "for anything": (
        lambda: asked(purposes=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]),
        "not for code signing",
    ),
    "without a purpose": (
        lambda: asked(purposes=None),
        "does not state that it is for code signing",
    ),
    "without a usage": (
        lambda: asked(key_usage=None),
        "does not state that it is for code signing",
    ),
    "not for signatures": (lambda: asked(key_usage=usage()), "not for code signing"),
    "that issues": (
        lambda: asked(key_usage=usage(sign=True, issue=True), extensions=[CA]),
        "of an authority",
    ),
    "with an unknown critical extension": (
        lambda: asked(extensions=[(CRITICAL, True)]),
        "critical extension 1.2.3.4 is unknown",
    ),
    "with two subjects": (
        lambda: asked(
            names=[x509.UniformResourceIdentifier(n) for n in (SUBJECT, "https://evil.test")]
        ),
        "names 2 subjects",
    ),
    "with a subject of each kind": (
        lambda: asked(
            names=[x509.UniformResourceIdentifier(SUBJECT), x509.RFC822Name("a@example.org")]
        ),
        "names 2 subjects",
    ),
    "without a subject": (lambda: asked(names=[]), "names no subject"),
    "for a host": (lambda: asked(names=[x509.DNSName("example.org")]), "not a URI, an"),
    "with two issuers": (
        lambda: asked(claims={1: "https://evil.test", 8: ISSUER}),
        "its issuer is 'https://issuer.example.org' in one extension",
    ),
    "with two issuers, the other way": (
        lambda: asked(claims={1: ISSUER, 8: "https://evil.test"}),
        "its issuer is 'https://evil.test' in one extension",
    ),
    "with two refs": (
        lambda: github(changes={6: "refs/heads/main"}),
        "its source repository ref is 'refs/tags/v3.0.0' in one extension",
    ),
    "without an issuer": (lambda: asked(claims={}), "names no OIDC issuer"),
    "with an issuer that is no text": (
        lambda: asked(claims={}, extensions=[(claim(8, ISSUER, raw=True), False)]),
        "issuer cannot be read",
    ),
    "never logged": (lambda: asked(promises=0), "has 0 timestamps"),
    "logged twice": (lambda: asked(promises=2), "has 2 timestamps"),
    "logged after the year 9999": (lambda: asked(logged=1 << 63), "time of its .* out of range"),
}


@pytest.mark.parametrize("kind", CERTIFICATES)
def test_a_certificate(kind: str) -> None:
    request, reason = CERTIFICATES[kind]
    found = refusal(instance().attest(PAYLOAD, request()))
    assert found.startswith("its certificate is not valid: ")
    assert re.search(reason, found)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_certificate_whose_number_is_zero() -> None:
    bundle = instance().attest(PAYLOAD)
    zero = certificate().replace(b"\x02\x01\x01", b"\x02\x01\x00", 1)
    material(bundle)["certificate"]["rawBytes"] = b64(zero)
    assert "serial number is not positive" in refusal(bundle)


def test_a_certificate_by_an_authority_that_is_not_trusted() -> None:
    bundle = stranger().attest(PAYLOAD)
    root = stranger().trusted_root()
    root["certificateAuthorities"] = instance().trusted_root()["certificateAuthorities"]
    assert "sigstore does not verify it" in refusal(bundle, trust(root))


def test_a_certificate_logged_where_nobody_looks() -> None:
    bundle = stranger().attest(PAYLOAD)
    root = stranger().trusted_root()
    root["ctlogs"] = instance().trusted_root()["ctlogs"]
    assert "certificate's transparency log" in refusal(bundle, trust(root))


def test_a_promise_by_another_log_under_the_name_of_a_trusted_one() -> None:
    bundle = stranger().attest(PAYLOAD)
    root = stranger().trusted_root()
    key = instance().trusted_root()["ctlogs"][0]["publicKey"]
    root["ctlogs"][0]["publicKey"] = key
    assert "sigstore does not verify it" in refusal(bundle, trust(root))


def test_a_certificate_that_is_none() -> None:
    bundle = instance().attest(PAYLOAD)
    material(bundle)["certificate"]["rawBytes"] = "AAAA"
    assert "not an X.509 certificate" in refusal(bundle)


def test_the_certificate_of_another_signature() -> None:
    bundle = instance().attest(PAYLOAD)
    other = instance().attest(PAYLOAD)
    material(bundle)["certificate"] = material(other)["certificate"]
    assert "sigstore does not verify it" in refusal(bundle)


def test_the_authority_in_the_place_of_the_signer() -> None:
    bundle = instance().attest(PAYLOAD)
    authorities = instance().trusted_root()["certificateAuthorities"]
    material(bundle)["certificate"] = authorities[0]["certChain"]["certificates"][0]
    assert "its certificate is not valid" in refusal(bundle)


# --- the bundle itself -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "holder", "reason"),
    [
        ("0.3", "x509CertificateChain", "expected one certificate"),
        ("0.2", "certificate", "before v0.3"),
    ],
)
def test_the_certificate_of_another_version(version: str, holder: str, reason: str) -> None:
    bundle = instance().attest(PAYLOAD, version=version)
    raw = {"rawBytes": "AAAA"}
    for kind in ("certificate", "x509CertificateChain"):
        material(bundle).pop(kind, None)
    material(bundle)[holder] = raw if holder == "certificate" else {"certificates": [raw]}
    assert reason in malformed(bundle)


def test_a_chain_of_nothing() -> None:
    bundle = instance().attest(PAYLOAD, version="0.2")
    material(bundle)["x509CertificateChain"] = {"certificates": []}
    assert "has no certificate" in malformed(bundle)


def test_the_first_version_without_a_promise() -> None:
    bundle = instance().attest(PAYLOAD, log="v1", version="0.1", timestamps=1)
    del entry(bundle)["inclusionPromise"]
    assert "no promise, which v0.1 requires" in malformed(bundle)
    del entry(bundle)["inclusionProof"]
    assert "neither an inclusion proof nor a promise" in malformed(bundle)
