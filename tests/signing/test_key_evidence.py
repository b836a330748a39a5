# SPDX-License-Identifier: Apache-2.0
"""Log entries and timestamps of signatures with a key, and keys trusted for a period."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import UnavailableError
from provenance.signing import trusted_root
from provenance.signing.judgement import Clock, Judgement, Verdict
from provenance.signing.keyless import instance as instances
from provenance.signing.trust import Trust, TrustedKey
from provenance.signing.trusted_root import Period, TrustedRoot
from tests.signing.workshop import CONTENT, PAYLOAD, SHA256, instance, judge, refusal, stranger
from tests.signing.workshop import trust as keyless_trust
from tests.support.cases import dsse_bundle, message_bundle
from tests.support.keys import KeyPair, public_der, public_pem
from tests.support.sigstore.instance import NOW, Bundle, pae
from tests.support.sigstore.rekor import b64
from tests.support.verifying import verify_blob

DAY = datetime.timedelta(days=1)


def trust(key: KeyPair, *periods: Period | None, root: bool = True) -> Trust:
    keys = tuple(
        TrustedKey.of_pem(key.public.read_bytes(), f"{i}.pub", period)
        for i, period in enumerate(periods)
    )
    return Trust("tests", keys, root=keyless_trust().root if root else None)


def stamped(key: KeyPair, at: datetime.datetime = NOW, by: Any = None) -> Bundle:
    return add_stamp(dsse_bundle(PAYLOAD, key), at, by)


def add_stamp(bundle: Bundle, at: datetime.datetime, by: Any = None) -> Bundle:
    signature = base64.b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"])
    stamp = (by or instance()).tsa.stamp(signature, at)
    bundle["verificationMaterial"]["timestampVerificationData"] = {
        "rfc3161Timestamps": [{"signedTimestamp": b64(stamp)}]
    }
    return bundle


def found(bundle: Bundle, who: Trust) -> Judgement:
    return judge(bundle, who)


def test_a_key_counts_in_its_time(key: KeyPair) -> None:
    period = Period(NOW, NOW)  # both ends count
    judgement = found(stamped(key), trust(key, period))
    assert judgement.verdict is Verdict.VALID
    assert judgement.signer is not None
    assert [(m.time, m.clock) for m in judgement.signer.moments] == [(NOW, Clock.TIMESTAMP)]


@pytest.mark.parametrize("period", [Period(NOW + DAY, None), Period(None, NOW - DAY)])
def test_a_key_does_not_count_out_of_its_time(key: KeyPair, period: Period) -> None:
    judgement = found(stamped(key), trust(key, period))
    assert judgement.verdict is Verdict.UNTRUSTED
    assert "2026-06-01T12:00:00" in judgement.reason


def test_a_key_with_a_time_does_not_count_without_a_timestamp(key: KeyPair) -> None:
    judgement = found(dsse_bundle(PAYLOAD, key), trust(key, Period(NOW, None)))
    assert judgement.verdict is Verdict.UNTRUSTED
    assert "no timestamp shows when" in judgement.reason


def test_a_key_may_count_for_several_times(key: KeyPair) -> None:
    who = trust(key, Period(NOW + DAY, None), Period(None, NOW))
    judgement = found(stamped(key), who)
    assert judgement.signer is not None
    assert judgement.signer.entries[0] == who.keys[1]


def test_a_timestamp_by_a_stranger_does_not_count(key: KeyPair) -> None:
    assert "by an authority that was trusted then" in refusal(
        stamped(key, by=stranger()), trust(key, Period(NOW))
    )
    assert "no timestamp authority was trusted at" in refusal(
        stamped(key, NOW - 500 * DAY), trust(key, Period(NOW - 999 * DAY))
    )


def test_a_timestamp_that_is_none_does_not_count(key: KeyPair) -> None:
    bundle = stamped(key)
    material = bundle["verificationMaterial"]["timestampVerificationData"]
    material["rfc3161Timestamps"][0]["signedTimestamp"] = "AAAA"
    assert "cannot be read" in refusal(bundle, trust(key, Period(NOW)))


def test_a_timestamp_needs_a_trusted_root_only_where_somebody_asks_when(key: KeyPair) -> None:
    assert found(stamped(key), trust(key, None, root=False)).verdict is Verdict.VALID
    for evidence in (stamped(key), logged(key, "dsse 0.0.1")):
        with pytest.raises(UnavailableError, match="no trusted root"):
            found(evidence, trust(key, Period(NOW), root=False))


def test_a_timestamp_has_to_hold_where_there_is_a_root_though_nobody_asks_when(
    key: KeyPair,
) -> None:
    assert "by an authority that was trusted then" in refusal(
        stamped(key, by=stranger()), trust(key, None)
    )


# --- log entries -------------------------------------------------------------------------------


def logged(key: KeyPair, kind: str, *, signer: KeyPair | None = None, by: Any = None) -> Bundle:
    """Return a key bundle with an entry like that of cosign."""
    enveloped = kind != "hashedrekord 0.0.1" and not kind.endswith("message")
    bundle = dsse_bundle(PAYLOAD, key) if enveloped else message_bundle(CONTENT, key)
    signature = (
        bundle["dsseEnvelope"]["signatures"][0]["sig"]
        if enveloped
        else bundle["messageSignature"]["signature"]
    )
    who = signer or key
    pem = b64(public_pem(who.key))
    if kind == "dsse 0.0.1":
        spec: dict[str, Any] = {
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(PAYLOAD).hexdigest()},
            "signatures": [{"signature": signature, "verifier": pem}],
        }
    elif kind == "hashedrekord 0.0.1":
        spec = {
            "data": {"hash": {"algorithm": "sha256", "value": SHA256}},
            "signature": {"content": signature, "publicKey": {"content": pem}},
        }
    elif kind == "dsse 0.0.2":
        verifier = {
            "publicKey": {"rawBytes": b64(public_der(who.key))},
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        }
        data = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(PAYLOAD).digest())}
        signed = [{"content": signature, "verifier": verifier}]
        spec = {"dsseV002": {"payloadHash": data, "signatures": signed}}
    else:
        digest = hashlib.sha256(pae(PAYLOAD)).digest() if enveloped else bytes.fromhex(SHA256)
        verifier = {"publicKey": {"rawBytes": b64(public_der(who.key))}}
        spec = {
            "hashedRekordV002": {
                "data": {"algorithm": "SHA2_256", "digest": b64(digest)},
                "signature": {"content": signature, "verifier": verifier},
            }
        }
    name, version, *_ = kind.split()
    body = {"apiVersion": version, "kind": name, "spec": spec}
    logs = by or instance()
    entry = (
        logs.v1.add(name, body, int(NOW.timestamp()))
        if version == "0.0.1"
        else logs.v2.add(name, body)
    )
    bundle["verificationMaterial"]["tlogEntries"] = [entry]
    return bundle


KINDS = (
    "dsse 0.0.1",
    "dsse 0.0.2",
    "hashedrekord 0.0.1",
    "hashedrekord 0.0.2",
    "hashedrekord 0.0.2 message",
)


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_of_this_signature_is_in_order(key: KeyPair, kind: str) -> None:
    assert found(logged(key, kind), trust(key, None)).verdict is Verdict.VALID


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_of_another_key_is_refused(key: KeyPair, other_key: KeyPair, kind: str) -> None:
    bundle = logged(key, kind, signer=other_key)
    assert "its log entry is of another signature" in refusal(bundle, trust(key, None))


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_of_another_signature_is_refused(key: KeyPair, kind: str) -> None:
    bundle, other = logged(key, kind), logged(key, kind)
    bundle["verificationMaterial"] = other["verificationMaterial"]
    assert "its log entry is of another signature" in refusal(bundle, trust(key, None))


def test_an_entry_of_a_message_for_an_envelope_is_refused(key: KeyPair) -> None:
    bundle, other = logged(key, "dsse 0.0.1"), logged(key, "hashedrekord 0.0.1")
    for one, two in ((bundle, other), (other, bundle)):
        mixed = json.loads(json.dumps(one))
        mixed["verificationMaterial"] = two["verificationMaterial"]
        assert "its log entry is of another signature" in refusal(mixed, trust(key, None))


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_of_a_log_that_nobody_trusts_is_refused(key: KeyPair, kind: str) -> None:
    bundle = logged(key, kind, by=stranger())
    assert "is not in the trusted root" in refusal(bundle, trust(key, None))


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_that_is_not_in_the_log_is_refused(key: KeyPair, kind: str) -> None:
    bundle, other = logged(key, kind), logged(key, kind)
    entries = [b["verificationMaterial"]["tlogEntries"][0] for b in (bundle, other)]
    for member in ("inclusionProof", "inclusionPromise", "logIndex", "integratedTime"):
        if member in entries[1]:
            entries[0][member] = entries[1][member]
    reason = refusal(bundle, trust(key, None))
    assert "the promise of its log" in reason or "does not match the tree of the log" in reason


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_trusted_root_an_entry_counts_for_nothing(key: KeyPair, kind: str) -> None:
    bundle = logged(key, kind, by=stranger())
    judgement = found(bundle, trust(key, None, root=False))
    assert judgement.verdict is Verdict.VALID
    assert judgement.signer is not None
    assert judgement.signer.moments == ()


def test_an_older_log_says_when_and_a_newer_does_not(key: KeyPair) -> None:
    dated = trust(key, Period(NOW, NOW))
    judgement = found(logged(key, "dsse 0.0.1"), dated)
    assert judgement.signer is not None
    assert [(m.time, m.clock) for m in judgement.signer.moments] == [(NOW, Clock.LOG)]
    assert found(logged(key, "hashedrekord 0.0.2"), dated).verdict is Verdict.UNTRUSTED


def test_both_a_log_and_a_timestamp_have_to_be_in_the_time_of_a_key(key: KeyPair) -> None:
    bundle = logged(key, "dsse 0.0.1")
    add_stamp(bundle, NOW + DAY)
    assert found(bundle, trust(key, Period(NOW, NOW + DAY))).verdict is Verdict.VALID
    assert found(bundle, trust(key, Period(NOW, NOW))).verdict is Verdict.UNTRUSTED


def test_a_log_that_was_not_in_service_says_nothing(key: KeyPair) -> None:
    root = instance().trusted_root()
    for log in root["tlogs"]:
        log["publicKey"]["validFor"]["end"] = "2026-05-01T00:00:00Z"
    who = Trust("tests", trust(key, None).keys, root=keyless_trust(root).root)
    bundle = logged(key, "hashedrekord 0.0.2")
    add_stamp(bundle, NOW)
    for evidence in (bundle, logged(key, "dsse 0.0.1")):
        assert "was in service from" in refusal(evidence, who)


# --- which evidence has the root of the public instance fetched -----------------------------------


def of_a_file(key: KeyPair, kind: str) -> Bundle:
    """Return a bundle over a file, with or without the time of the signature."""
    if kind == "timestamp":
        bundle = message_bundle(CONTENT, key)
        signature = base64.b64decode(bundle["messageSignature"]["signature"])
        stamps = [{"signedTimestamp": b64(instance().tsa.stamp(signature, NOW))}]
        bundle["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
        return bundle
    return message_bundle(CONTENT, key) if kind == "nothing" else logged(key, kind)


@pytest.mark.parametrize(
    ("kind", "period", "fetched", "code"),
    [
        ("hashedrekord 0.0.1", Period(NOW, NOW), True, 0),
        ("timestamp", Period(NOW, NOW), True, 0),
        # Neither an entry of Rekor v2 nor a bare signature says when: no root can help.
        ("hashedrekord 0.0.2 message", Period(NOW, NOW), False, 1),
        ("nothing", Period(NOW, NOW), False, 1),
        ("hashedrekord 0.0.1", None, False, 0),
        ("timestamp", None, False, 0),
    ],
)
def test_the_root_of_the_public_instance_is_fetched_for_what_says_when_a_dated_key_signed(
    key: KeyPair,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    period: Period | None,
    fetched: bool,
    code: int,
) -> None:
    asked = []

    def fetch(which: trusted_root.Instance, *, offline: bool) -> TrustedRoot | None:
        asked.append((which, offline))
        return keyless_trust().root

    monkeypatch.setattr(instances, "fetch_root", fetch)
    path = tmp_path / "bundle.sigstore.json"
    path.write_text(json.dumps(of_a_file(key, kind)), "utf-8")
    who = trust(key, period, root=False)
    report = verify_blob(f"sha256:{SHA256}", who, bundle=path)
    assert asked == ([(trusted_root.Instance.PRODUCTION, False)] if fetched else [])
    assert report.exit_code == code, report.failing


def test_the_promise_of_a_log_needs_no_root_for_a_key_without_a_period_beside_an_identity(
    key: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(instances, "fetch_root")
    path = tmp_path / "bundle.sigstore.json"
    path.write_text(json.dumps(of_a_file(key, "hashedrekord 0.0.1")), "utf-8")
    who = Trust("tests", trust(key, None).keys, keyless_trust().identities)
    assert verify_blob(f"sha256:{SHA256}", who, bundle=path).exit_code == 0


def test_a_log_with_a_key_of_an_unknown_kind_is_unsupported(key: KeyPair) -> None:
    root = instance().trusted_root()
    for log in root["tlogs"]:
        log["publicKey"]["keyDetails"] = "ML_DSA_65"
    who = Trust("tests", trust(key, None).keys, root=keyless_trust(root).root)
    for kind in ("dsse 0.0.1", "hashedrekord 0.0.2"):
        judgement = found(logged(key, kind), who)
        assert judgement.verdict is Verdict.UNSUPPORTED
        assert "unsupported algorithm of a log's key: 'ML_DSA_65'" in judgement.reason
