# SPDX-License-Identifier: Apache-2.0
"""Bundles that differ in one thing from a valid one: each is refused."""

from __future__ import annotations

import base64
import datetime
import json
import re
from collections.abc import Callable
from typing import Any, Final

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
    flip_hash,
    flip_signature,
    flipped,
    instance,
    material,
    mixed_root,
    refusal,
    signature,
    stamps,
    stranger,
    trust,
)
from tests.support.sigstore.ca import Request, claim, github, uri, usage
from tests.support.sigstore.instance import ISSUER, NOW, START, SUBJECT, Bundle, rfc3339
from tests.support.sigstore.rekor import Rekor, b64, root_hash

Change = Callable[[Bundle], object]

SECOND: Final = datetime.timedelta(seconds=1)
MINUTES: Final = datetime.timedelta(minutes=1)
BY_SIGSTORE: Final = "sigstore does not verify it"
NOT_SIGNED: Final = "its checkpoint is not signed by the log"
NOT_IN_THE_TREE: Final = "its inclusion proof does not match the tree of the log"
NO_PROMISE: Final = "the promise of its log"
OTHER_SIGNATURE: Final = "is of another signature"
OTHER_LOG: Final = "its checkpoint is from the log"
NOT_A_CHECKPOINT: Final = "not a signed checkpoint"
NOT_INT64: Final = "logIndex is not an int64"


def make(form: str, content: bytes | None = None, **how: Any) -> Bundle:
    """Return a valid bundle. The form is its log, with "bytes" before it for a bare file."""
    log: Any = form.removeprefix("bytes ")
    if log != form:
        return instance().sign_bytes(content or CONTENT, log=log, **how)
    return instance().attest(content or PAYLOAD, log=log, **how)


def malformed(bundle: Bundle) -> str:
    with pytest.raises(BundleError) as raised:
        decode(json.dumps(bundle).encode())
    return str(raised.value)


def proof(bundle: Bundle) -> Any:
    return entry(bundle)["inclusionProof"]


def entry_of(form: str, content: bytes | None = None) -> Change:
    """Replace the log entry with that of another bundle."""
    return lambda bundle: material(bundle).update(
        tlogEntries=material(make(form, content))["tlogEntries"]
    )


def change_entry(**changes: Any) -> Change:
    return lambda bundle: entry(bundle).update(changes)


def sign_checkpoint(bundle: Bundle, by: Rekor, origin: str | None = None, more: int = 0) -> None:
    """Sign the checkpoint again, with another log, origin or tree size."""
    size, root = int(proof(bundle)["treeSize"]) + more, base64.b64decode(proof(bundle)["rootHash"])
    proof(bundle)["checkpoint"]["envelope"] = by.checkpoint(size, root, origin)


def name_a_tree(bundle: Bundle) -> None:
    sign_checkpoint(bundle, instance().v2, f"{instance().v2.host} - 1")


def flip_checkpoint(bundle: Bundle) -> None:
    note, _, signed = proof(bundle)["checkpoint"]["envelope"].rstrip("\n").rpartition(" ")
    proof(bundle)["checkpoint"]["envelope"] = f"{note} {flipped(signed, 30)}\n"


def flip_promise(bundle: Bundle) -> None:
    promise = entry(bundle)["inclusionPromise"]
    promise["signedEntryTimestamp"] = flipped(promise["signedEntryTimestamp"])


def extend_body(bundle: Bundle) -> None:
    body = base64.b64decode(entry(bundle)["canonicalizedBody"])
    entry(bundle)["canonicalizedBody"] = b64(body + b" ")


def log_unreadable_body(bundle: Bundle) -> None:
    body = json.loads(base64.b64decode(entry(bundle)["canonicalizedBody"]))
    del body["spec"]["envelopeHash"]
    material(bundle)["tlogEntries"] = [instance().v1.add("dsse", body, int(NOW.timestamp()))]


def take_other_proof(bundle: Bundle) -> None:
    other = entry(make("v2"))
    entry(bundle).update({name: other[name] for name in ("inclusionProof", "logIndex")})


def add_stamp(stamp: Callable[[Bundle], bytes]) -> Change:
    return lambda bundle: stamps(bundle).append({"signedTimestamp": b64(stamp(bundle))})


def stamp_of_stranger(bundle: Bundle) -> bytes:
    return stranger().tsa.stamp(signature(bundle), NOW)


def late_stamp(bundle: Bundle) -> bytes:
    return instance().tsa.stamp(signature(bundle), NOW + 11 * MINUTES)


def malform_stamp(bundle: Bundle) -> None:
    stamps(bundle)[0]["signedTimestamp"] = "AAAA"


def put_certificate(raw: Callable[[], str]) -> Change:
    return lambda bundle: material(bundle)["certificate"].update(rawBytes=raw())


def certificate_of_authority() -> str:
    (authority,) = instance().trusted_root()["certificateAuthorities"]
    found: str = authority["certChain"]["certificates"][0]["rawBytes"]
    return found


def certificate_of_another() -> str:
    found: str = material(make("v2"))["certificate"]["rawBytes"]
    return found


# Only this project verifies an entry of the kind `dsse 0.0.2`: `sigstore` does not know it.
REFUSED: dict[str, tuple[str, Change, str]] = {
    "entry of a statement for bytes": ("bytes v2", entry_of("v2 dsse"), "is of an envelope"),
    "entry of bytes for a statement": ("v1", entry_of("bytes v1"), BY_SIGSTORE),
    "entry of other bytes in v1": ("bytes v1", entry_of("bytes v1", b"other"), BY_SIGSTORE),
    "entry of other bytes in v2": ("bytes v2", entry_of("bytes v2", b"other"), BY_SIGSTORE),
    "entry of another payload": ("v2 dsse", entry_of("v2 dsse", b"{}"), "payloadHash differs"),
    "entry of another signature in v1": ("v1", entry_of("v1"), BY_SIGSTORE),
    "entry of another signature in v2": ("v2", entry_of("v2"), BY_SIGSTORE),
    "entry of another signature": ("v2 dsse", entry_of("v2 dsse"), OTHER_SIGNATURE),
    "changed body": ("v2 dsse", extend_body, NOT_IN_THE_TREE),
    "changed signature": ("v2 dsse", flip_signature, OTHER_SIGNATURE),
    # An entry `intoto 0.0.1` does not contain the signature, which is verified nevertheless.
    "changed signature in intoto": ("intoto 0.0.1", flip_signature, BY_SIGSTORE),
    "checkpoint that sigstore verifies": ("v2", flip_checkpoint, BY_SIGSTORE),
    "checkpoint of Rekor v2 with a tree": ("v2", name_a_tree, OTHER_LOG),
    "another hash": ("v2 dsse", flip_hash, NOT_IN_THE_TREE),
    "another hash in intoto 0.0.1": ("intoto 0.0.1", flip_hash, NOT_IN_THE_TREE),
    "proof of another entry": ("v2", take_other_proof, BY_SIGSTORE),
    "changed promise in intoto 0.0.1": ("intoto 0.0.1", flip_promise, NO_PROMISE),
    "changed time of a promise": ("v1", change_entry(integratedTime="1780315201"), BY_SIGSTORE),
    # The parser of `sigstore` would list all errors, for its developers.
    "body that sigstore cannot read": ("v1", log_unreadable_body, "log entry: it cannot be read"),
    "late timestamp": ("v1", add_stamp(late_stamp), "but its certificate was valid"),
    "stranger's timestamp beside a promise": ("v1", add_stamp(stamp_of_stranger), BY_SIGSTORE),
    "stranger's timestamp beside another": ("v2", add_stamp(stamp_of_stranger), BY_SIGSTORE),
    "malformed timestamp": ("v2", malform_stamp, "timestamp cannot be read"),
    "malformed certificate": ("v2", put_certificate(lambda: "AAAA"), "not an X.509 certificate"),
    "another certificate": ("v2", put_certificate(certificate_of_another), BY_SIGSTORE),
    "an authority": ("v2", put_certificate(certificate_of_authority), "certificate is not valid"),
}


@pytest.mark.parametrize(("form", "change", "reason"), REFUSED.values(), ids=REFUSED)
def test_changed_bundle_is_refused(form: str, change: Change, reason: str) -> None:
    bundle = make(form)
    change(bundle)
    found = refusal(bundle)
    assert reason in found
    assert "\n" not in found


def test_timestamp_of_a_stranger_alone_is_refused() -> None:
    bundle = make("v2")
    stamps(bundle)[:] = [{"signedTimestamp": b64(stamp_of_stranger(bundle))}]
    assert BY_SIGSTORE in refusal(bundle)


@pytest.mark.parametrize("log", ["v1", "v2"])
@pytest.mark.parametrize("origin", ["rekor.elsewhere.test", "rekor.elsewhere.test - 1", None])
def test_checkpoint_of_another_origin_is_refused(log: str, origin: str | None) -> None:
    rekor: Rekor = getattr(instance(), log)
    bundle = make(log)
    sign_checkpoint(bundle, rekor, origin or f"{rekor.host}.x")
    assert OTHER_LOG in refusal(bundle)


def test_timestamp_on_another_signature_is_refused() -> None:
    bundle = make("v2")
    stamps(bundle)[0]["signedTimestamp"] = b64(instance().tsa.stamp(b"another", NOW))
    assert BY_SIGSTORE in refusal(bundle)


def test_unsigned_time_is_refused() -> None:
    bundle = make("v1")
    del entry(bundle)["inclusionPromise"]
    assert "the time of the signature is missing" in refusal(bundle)


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


def key_of_another() -> str:
    body = json.loads(base64.b64decode(entry(make("intoto 0.0.1"))["canonicalizedBody"]))
    found: str = body["spec"]["publicKey"]
    return found


def in_pem(label: str, der: bytes) -> str:
    return b64(f"-----BEGIN {label}-----\n{b64(der)}\n-----END {label}-----\n".encode())


def doubled(text: str) -> str:
    return b64(base64.b64decode(text) * 2)


def twice(text: str) -> str:
    return b64(b64(text.encode()).encode())


def encode_once(spec: Any) -> None:
    signed(spec)["sig"] = base64.b64decode(signed(spec)["sig"]).decode()


INTOTO: dict[str, tuple[str, Callable[[Any], object]]] = {
    "payloadHash: another": ("0.0.1", lambda s: s["content"]["payloadHash"].update(value="0" * 64)),
    "payloadHash: none": ("0.0.1", lambda s: s["content"].pop("payloadHash")),
    "payloadHash: sha1": ("0.0.2", lambda s: s["content"]["payloadHash"].update(algorithm="sha1")),
    "publicKey: another": ("0.0.1", lambda s: s.update(publicKey=key_of_another())),
    "publicKey: none": ("0.0.1", lambda s: s.pop("publicKey")),
    "publicKey: not base64": ("0.0.1", lambda s: s.update(publicKey="%")),
    "publicKey: two": ("0.0.1", lambda s: s.update(publicKey=doubled(s["publicKey"]))),
    "publicKey: a key": ("0.0.1", lambda s: s.update(publicKey=in_pem("PUBLIC KEY", b"0"))),
    "envelope: none": ("0.0.2", lambda s: s["content"].pop("envelope")),
    "envelope: another type": ("0.0.2", lambda s: envelope(s).update(payloadType="text/plain")),
    "envelope: another payload": ("0.0.2", lambda s: envelope(s).update(payload=twice("other"))),
    "envelope: another signature": ("0.0.2", lambda s: signed(s).update(sig=twice("other"))),
    "envelope: signature encoded once": ("0.0.2", encode_once),
    "envelope: another key": ("0.0.2", lambda s: signed(s).update(publicKey=key_of_another())),
    "envelope: two signatures": ("0.0.2", lambda s: envelope(s).update(signatures=[signed(s)] * 2)),
    "envelope: no signature": ("0.0.2", lambda s: envelope(s).update(signatures=[])),
    "envelope: unknown member": ("0.0.2", lambda s: signed(s).update(other=1)),
}


@pytest.mark.parametrize("name", INTOTO)
def test_intoto_entry_about_something_else_is_refused(name: str) -> None:
    version, change = INTOTO[name]
    field, _, _ = name.partition(":")
    assert f"{field} differs" in refusal(relogged(make(f"intoto {version}"), change))


def test_intoto_entry_may_repeat_the_payload_and_wrap_its_certificate_elsewhere() -> None:
    def rewrite(spec: Any) -> None:
        found = x509.load_pem_x509_certificate(base64.b64decode(signed(spec)["publicKey"]))
        pem = in_pem("CERTIFICATE", found.public_bytes(Encoding.DER))
        signed(spec).update(publicKey=pem, keyid="")
        envelope(spec)["payload"] = twice(PAYLOAD.decode())

    accepted(relogged(make("intoto 0.0.2"), rewrite))


# --- bundles that cannot be read ---------------------------------------------------------------


RAW: Final = {"rawBytes": "AAAA"}
CHAIN: Final = "x509CertificateChain"
PROMISE: Final = {"signedEntryTimestamp": "AAAA"}
TIMED: Final = {"integratedTime": "1", "inclusionPromise": PROMISE}
ENVELOPE: Final = "a\n{}\n{}\n\n\u2014 a AAAAAAAA\n"
HASHES: Final = [b64(bytes(32))] * 65


def kind(name: str, version: str) -> dict[str, Any]:
    return {"kindVersion": {"kind": name, "version": version}}


def envelope_of(text: str) -> dict[str, Any]:
    return {"checkpoint": {"envelope": text}}


ENTRIES: dict[str, tuple[dict[str, Any], str]] = {
    "no proof": ({"inclusionProof": None}, "no inclusion proof"),
    "promise without a time": ({"inclusionPromise": PROMISE}, "but no integratedTime"),
    "promise of Rekor v2": (TIMED, "which Rekor v2 never makes"),
    "unknown kind": (kind("rekord", "0.0.1"), "is unsupported: expected one of the kinds"),
    "kind that was not logged": (kind("intoto", "0.0.2"), "not of the same kind as what was"),
    "no kind": ({"kindVersion": None}, "kindVersion is null"),
    "no log id": ({"logId": None}, "logId is null"),
    "no body": ({"canonicalizedBody": ""}, "canonicalizedBody is missing"),
    "negative time": ({"integratedTime": "-1"}, "integratedTime is not an int64"),
    "time after the year 9999": ({"integratedTime": "253402300800"}, "after the year 9999"),
    "another index than the proof": ({"logIndex": "0"}, "its proof is for"),
    "index with zeros": ({"logIndex": "007"}, NOT_INT64),
    "fraction as index": ({"logIndex": 1.5}, NOT_INT64),
    "index of 64 bits": ({"logIndex": str(2**63)}, NOT_INT64),
    "unknown field": ({"unknown": 1}, "unknown field"),
}
PROOFS: dict[str, tuple[dict[str, Any], str]] = {
    "no checkpoint": ({"checkpoint": None}, "no checkpoint"),
    "short root hash": ({"rootHash": "AAAA"}, "not 32 bytes long"),
    "short hash": ({"hashes": ["AAAA"]}, "not 32 bytes long"),
    "hashes as a string": ({"hashes": "AAAA"}, "hashes is a string"),
    "too many hashes": ({"hashes": HASHES}, "more than 64"),
    "hash as a number": ({"hashes": [1]}, "hashes[0] is missing"),
    "index after the tree": (
        {"treeSize": "1", "logIndex": "1"},
        "entry 1 of a tree with 1 entries",
    ),
    "empty checkpoint": (envelope_of(""), NOT_A_CHECKPOINT),
    "checkpoint without a root hash": (envelope_of("a\n1\n"), NOT_A_CHECKPOINT),
    "unsigned checkpoint": (envelope_of("a\n1\nAA==\n\nx\n"), NOT_A_CHECKPOINT),
    "negative tree size": (envelope_of(ENVELOPE.format(-1, "AA==")), "no valid tree size"),
    "root hash not in base64": (envelope_of(ENVELOPE.format(1, "!")), "no valid root hash"),
}
MATERIALS: dict[str, tuple[str, dict[str, Any], str]] = {
    "two entries": ("0.3", {"tlogEntries": [{}, {}]}, "2 log entries"),
    "chain in v0.3": ("0.3", {CHAIN: {"certificates": [RAW]}}, "expected one certificate"),
    "certificate in v0.2": ("0.2", {"certificate": RAW}, "before v0.3"),
    "empty chain": ("0.2", {CHAIN: {"certificates": []}}, "has no certificate"),
}


@pytest.mark.parametrize(("changes", "reason"), ENTRIES.values(), ids=ENTRIES)
def test_malformed_log_entry_is_not_read(changes: dict[str, Any], reason: str) -> None:
    bundle = make("v2")
    entry(bundle).update(changes)
    assert reason in malformed(bundle)


@pytest.mark.parametrize(("changes", "reason"), PROOFS.values(), ids=PROOFS)
def test_malformed_proof_is_not_read(changes: dict[str, Any], reason: str) -> None:
    bundle = make("v2")
    proof(bundle).update(changes)
    assert reason in malformed(bundle)


@pytest.mark.parametrize(("version", "changes", "reason"), MATERIALS.values(), ids=MATERIALS)
def test_malformed_material_is_not_read(version: str, changes: dict[str, Any], reason: str) -> None:
    bundle = make("v2", version=version)
    if "tlogEntries" not in changes:
        material(bundle).pop("certificate", None)
        material(bundle).pop(CHAIN, None)
    material(bundle).update(changes)
    assert reason in malformed(bundle)


@pytest.mark.parametrize("log", ["v1", "v2"])
def test_checkpoint_of_another_tree_is_not_read(log: str) -> None:
    bundle, rekor = make(log), getattr(instance(), log)
    sign_checkpoint(bundle, rekor, more=1)
    assert "is for a tree with" in malformed(bundle)
    root = root_hash(rekor.leaves[:-1])
    earlier = rekor.checkpoint(int(proof(bundle)["treeSize"]), root)
    proof(bundle)["checkpoint"]["envelope"] = earlier
    assert "another root hash than its checkpoint" in malformed(bundle)


def test_bundle_with_the_same_timestamp_twice_is_not_read() -> None:
    bundle = make("v2")
    stamps(bundle).extend(stamps(bundle))
    assert "the same timestamp twice" in malformed(bundle)


def test_bundle_of_v0_1_without_a_promise_is_not_read() -> None:
    bundle = make("v1", version="0.1", timestamps=1)
    del entry(bundle)["inclusionPromise"]
    assert "no promise, which v0.1 requires" in malformed(bundle)
    del entry(bundle)["inclusionProof"]
    assert "neither an inclusion proof nor a promise" in malformed(bundle)


@pytest.mark.parametrize("body", [b"not json", b"[]", b'{"kind": 1, "kind": 2}'])
def test_log_entry_that_two_readers_read_differently_is_not_read(body: bytes) -> None:
    bundle = make("v1")
    entry(bundle)["canonicalizedBody"] = b64(body)
    assert "canonicalizedBody" in malformed(bundle)


# --- the time ----------------------------------------------------------------------------------

PARTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "Rekor v1": lambda root: root["tlogs"][0]["publicKey"],
    "Rekor v2": lambda root: root["tlogs"][1]["publicKey"],
    "certificate authority": lambda root: root["certificateAuthorities"][0],
    "certificate transparency log": lambda root: root["ctlogs"][0]["publicKey"],
    "timestamp authority": lambda root: root["timestampAuthorities"][0],
}


@pytest.mark.parametrize("part", PARTS)
def test_service_counts_only_while_it_was_in_service(part: str) -> None:
    bundle = make("v1" if part == "Rekor v1" else "v2")
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
            assert re.search("in service|trusted|refuses", refusal(bundle, trust(root)))


def test_period_of_a_log_may_be_open() -> None:
    root = instance().trusted_root()
    for part in ("Rekor v2", "certificate transparency log"):
        del PARTS[part](root)["validFor"]
    accepted(make("v2"), trust(root))
    PARTS["Rekor v1"](root)["validFor"] = {"start": "2026-06-02T00:00:00Z"}
    assert "was in service since 2026-06-02" in refusal(make("v1"), trust(root))


@pytest.mark.parametrize("log", ["v1", "v2", "v2 dsse", "intoto 0.0.1", "intoto 0.0.2"])
def test_signature_counts_only_while_its_certificate_is_valid(log: str) -> None:
    for after in (0 * MINUTES, 10 * MINUTES):
        accepted(make(log, signed_at=NOW + after))
    for after in (-SECOND, 10 * MINUTES + SECOND):
        found = refusal(make(log, signed_at=NOW + after))
        assert "but its certificate was valid from" in found


# --- the certificate ---------------------------------------------------------------------------


def asked(**changes: Any) -> Request:
    """Return a certificate request of the release identity with `changes`."""
    request = uri(SUBJECT, ISSUER)
    for field, value in changes.items():
        setattr(request, field, value)
    return request


EVIL: Final = "https://evil.test"
URIS: Final = [x509.UniformResourceIdentifier(name) for name in (SUBJECT, EVIL)]
EMAIL: Final = x509.RFC822Name("a@example.org")
ANY: Final = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
CA: Final = (x509.BasicConstraints(ca=True, path_length=None), True)
UNKNOWN: Final = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
CRITICAL: Final = (UNKNOWN, True)
ISSUING: Final = usage(sign=True, issue=True)
RAW_ISSUER: Final = (claim(8, ISSUER, raw=True), False)
NOT_FOR_CODE: Final = "not for code signing"
NO_PURPOSE: Final = "does not state that it is for code signing"

CERTIFICATES: dict[str, tuple[Request, str]] = {
    "for servers": (asked(purposes=[ExtendedKeyUsageOID.SERVER_AUTH]), NOT_FOR_CODE),
    "for any purpose": (asked(purposes=[ANY]), NOT_FOR_CODE),
    "without a purpose": (asked(purposes=None), NO_PURPOSE),
    "without a usage": (asked(key_usage=None), NO_PURPOSE),
    "not for signatures": (asked(key_usage=usage()), NOT_FOR_CODE),
    "that issues": (asked(key_usage=ISSUING, extensions=[CA]), "of an authority"),
    "with a critical extension": (asked(extensions=[CRITICAL]), "extension 1.2.3.4 is unknown"),
    "with two subjects": (asked(names=URIS), "names 2 subjects"),
    "with a subject of each kind": (asked(names=[URIS[0], EMAIL]), "names 2 subjects"),
    "without a subject": (asked(names=[]), "names no subject"),
    "for a host": (asked(names=[x509.DNSName("example.org")]), "not a URI, an"),
    "with another old issuer": (asked(claims={1: EVIL, 8: ISSUER}), f"issuer is '{ISSUER}' in one"),
    "with another new issuer": (asked(claims={1: ISSUER, 8: EVIL}), f"issuer is '{EVIL}' in one"),
    "with two refs": (github(changes={6: "refs/heads/x"}), "ref is 'refs/tags/v3.0.0' in one"),
    "without an issuer": (asked(claims={}), "names no OIDC issuer"),
    "with a raw issuer": (asked(claims={}, extensions=[RAW_ISSUER]), "issuer cannot be read"),
    "never logged": (asked(promises=0), "has 0 timestamps"),
    "logged twice": (asked(promises=2), "has 2 timestamps"),
    "logged after the year 9999": (asked(logged=1 << 63), "time of its .* out of range"),
}


@pytest.mark.parametrize(("request_", "reason"), CERTIFICATES.values(), ids=CERTIFICATES)
def test_invalid_certificate_is_refused(request_: Request, reason: str) -> None:
    found = refusal(instance().attest(PAYLOAD, request_))
    assert found.startswith("its certificate is not valid: ")
    assert re.search(reason, found)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_certificate_with_the_serial_number_zero_is_refused() -> None:
    bundle = make("v2")
    zero = certificate().replace(b"\x02\x01\x01", b"\x02\x01\x00", 1)
    material(bundle)["certificate"]["rawBytes"] = b64(zero)
    assert "serial number is not positive" in refusal(bundle)


def test_certificate_of_an_untrusted_authority_is_refused() -> None:
    bundle = stranger().attest(PAYLOAD)
    assert BY_SIGSTORE in refusal(bundle, mixed_root("certificateAuthorities"))


def test_certificate_in_an_untrusted_transparency_log_is_refused() -> None:
    bundle = stranger().attest(PAYLOAD)
    assert "certificate's transparency log" in refusal(bundle, mixed_root("ctlogs"))
    root = stranger().trusted_root()
    (ours,) = instance().trusted_root()["ctlogs"]
    root["ctlogs"][0]["publicKey"] = ours["publicKey"]  # under the id of the other log
    assert BY_SIGSTORE in refusal(bundle, trust(root))


def test_log_under_the_id_of_a_trusted_log_is_refused() -> None:
    bundle = stranger().attest(PAYLOAD)
    entry(bundle)["logId"]["keyId"] = b64(instance().v2.log_id)
    assert BY_SIGSTORE in refusal(bundle, mixed_root("tlogs"))


@pytest.mark.parametrize("log", ["v2", "v2 dsse"])
def test_bundle_of_another_instance_is_refused(log: Any) -> None:
    assert "is not in the trusted root" in refusal(stranger().attest(PAYLOAD, log=log))
