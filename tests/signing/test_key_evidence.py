# SPDX-License-Identifier: Apache-2.0
"""Log entries and timestamps of signatures with a key, and keys trusted for a period."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import UnavailableError
from provenance.signing import trusted_root
from provenance.signing.judgement import Clock, Moment, Verdict
from provenance.signing.keyless import instance as instances
from provenance.signing.trust import Trust, TrustedKey
from provenance.signing.trusted_root import Period, TrustedRoot
from tests.signing.workshop import (
    CONTENT,
    PAYLOAD,
    SHA256,
    accepted,
    instance,
    judge,
    material,
    refusal,
    signature,
    stranger,
)
from tests.signing.workshop import trust as keyless_trust
from tests.support.cases import dsse_bundle, message_bundle
from tests.support.keys import KeyPair, public_der, public_pem
from tests.support.sigstore.instance import NOW, Bundle, Instance, pae
from tests.support.sigstore.rekor import b64
from tests.support.verifying import verify_blob

DAY = datetime.timedelta(days=1)
ALWAYS = None
NOT_THEN = "by an authority that was trusted then"
OTHER_SIGNATURE = "its log entry is of another signature"


def trust(key: KeyPair, *periods: Period | None, root: Any = True) -> Trust:
    """Return trust in a key for each period, with the root of the instance, another or none."""
    keys = tuple(
        TrustedKey.of_pem(key.public.read_bytes(), f"{i}.pub", period)
        for i, period in enumerate(periods)
    )
    if isinstance(root, dict):
        return Trust("tests", keys, root=keyless_trust(root).root)
    return Trust("tests", keys, root=keyless_trust().root if root else None)


def moments(bundle: Bundle, who: Trust) -> list[Moment]:
    signer = accepted(bundle, who).signer
    assert signer is not None
    return list(signer.moments)


def untrusted(bundle: Bundle, who: Trust) -> str:
    found = judge(bundle, who)
    assert found.verdict is Verdict.UNTRUSTED, found
    return found.reason


def add_stamp(bundle: Bundle, at: datetime.datetime = NOW, by: Instance | None = None) -> Bundle:
    stamp = b64((by or instance()).tsa.stamp(signature(bundle), at))
    stamps = {"rfc3161Timestamps": [{"signedTimestamp": stamp}]}
    material(bundle)["timestampVerificationData"] = stamps
    return bundle


def stamped(key: KeyPair, at: datetime.datetime = NOW, by: Instance | None = None) -> Bundle:
    return add_stamp(dsse_bundle(PAYLOAD, key), at, by)


# --- periods and timestamps --------------------------------------------------------------------


def test_key_counts_only_in_its_periods(key: KeyPair) -> None:
    assert moments(stamped(key), trust(key, Period(NOW, NOW))) == [Moment(NOW, Clock.TIMESTAMP)]
    for period in (Period(NOW + DAY, None), Period(None, NOW - DAY)):
        assert "2026-06-01T12:00:00" in untrusted(stamped(key), trust(key, period))
    bare = dsse_bundle(PAYLOAD, key)
    assert "no timestamp shows when" in untrusted(bare, trust(key, Period(NOW, None)))
    several = trust(key, Period(NOW + DAY, None), Period(None, NOW))
    signer = accepted(stamped(key), several).signer
    assert signer is not None
    assert signer.entries[0] == several.keys[1]


def test_untrusted_timestamp_is_refused(key: KeyPair) -> None:
    assert NOT_THEN in refusal(stamped(key, by=stranger()), trust(key, Period(NOW)))
    assert NOT_THEN in refusal(stamped(key, by=stranger()), trust(key, ALWAYS))
    early = stamped(key, NOW - 500 * DAY)
    assert "no timestamp authority was trusted at" in refusal(
        early, trust(key, Period(NOW - 999 * DAY))
    )
    broken = stamped(key)
    stamps = {"rfc3161Timestamps": [{"signedTimestamp": "AAAA"}]}
    material(broken)["timestampVerificationData"] = stamps
    assert "cannot be read" in refusal(broken, trust(key, Period(NOW)))


def test_only_a_key_with_a_period_needs_a_trusted_root(key: KeyPair) -> None:
    accepted(stamped(key), trust(key, ALWAYS, root=False))
    for evidence in (stamped(key), logged(key, "dsse 0.0.1")):
        with pytest.raises(UnavailableError, match="no trusted root"):
            judge(evidence, trust(key, Period(NOW), root=False))


# --- log entries -------------------------------------------------------------------------------


def logged(
    key: KeyPair, kind: str, *, signer: KeyPair | None = None, by: Instance | None = None
) -> Bundle:
    """Return a key bundle with an entry like that of cosign."""
    name, version, *_ = kind.split()
    enveloped = name == "dsse" or kind == "hashedrekord 0.0.2"
    bundle = dsse_bundle(PAYLOAD, key) if enveloped else message_bundle(CONTENT, key)
    signed, who = b64(signature(bundle)), (signer or key).key
    payload, pem = hashlib.sha256(PAYLOAD).digest(), b64(public_pem(who))
    verifier = {
        "publicKey": {"rawBytes": b64(public_der(who))},
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
    }
    over = hashlib.sha256(pae(PAYLOAD)).digest() if enveloped else bytes.fromhex(SHA256)
    specs: dict[str, dict[str, Any]] = {
        "dsse 0.0.1": {
            "payloadHash": {"algorithm": "sha256", "value": payload.hex()},
            "signatures": [{"signature": signed, "verifier": pem}],
        },
        "dsse 0.0.2": {
            "dsseV002": {
                "payloadHash": {"algorithm": "SHA2_256", "digest": b64(payload)},
                "signatures": [{"content": signed, "verifier": verifier}],
            }
        },
        "hashedrekord 0.0.1": {
            "data": {"hash": {"algorithm": "sha256", "value": SHA256}},
            "signature": {"content": signed, "publicKey": {"content": pem}},
        },
        "hashedrekord 0.0.2": {
            "hashedRekordV002": {
                "data": {"algorithm": "SHA2_256", "digest": b64(over)},
                "signature": {"content": signed, "verifier": verifier},
            }
        },
    }
    body = {"apiVersion": version, "kind": name, "spec": specs[f"{name} {version}"]}
    logs, time = by or instance(), int(NOW.timestamp())
    entry = logs.v1.add(name, body, time) if version == "0.0.1" else logs.v2.add(name, body)
    material(bundle)["tlogEntries"] = [entry]
    return bundle


KINDS = (
    *("dsse 0.0.1", "dsse 0.0.2"),
    *("hashedrekord 0.0.1", "hashedrekord 0.0.2", "hashedrekord 0.0.2 message"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_entry_must_be_of_the_signature(key: KeyPair, other_key: KeyPair, kind: str) -> None:
    bundle, other = logged(key, kind), logged(key, kind)
    accepted(bundle, trust(key, ALWAYS))
    assert OTHER_SIGNATURE in refusal(logged(key, kind, signer=other_key), trust(key, ALWAYS))
    bundle["verificationMaterial"] = other["verificationMaterial"]
    assert OTHER_SIGNATURE in refusal(bundle, trust(key, ALWAYS))


@pytest.mark.parametrize("kind", KINDS)
def test_entry_must_be_in_a_trusted_log(key: KeyPair, kind: str) -> None:
    bundle, other = logged(key, kind), logged(key, kind)
    (entry,), (theirs,) = (material(b)["tlogEntries"] for b in (bundle, other))
    for member in ("inclusionProof", "inclusionPromise", "logIndex", "integratedTime"):
        if member in theirs:
            entry[member] = theirs[member]
    reason = refusal(bundle, trust(key, ALWAYS))
    assert "the promise of its log" in reason or "does not match the tree of the log" in reason
    unknown = logged(key, kind, by=stranger())
    assert "is not in the trusted root" in refusal(unknown, trust(key, ALWAYS))
    assert moments(unknown, trust(key, ALWAYS, root=False)) == []


def test_entry_of_a_message_for_an_envelope_is_refused(key: KeyPair) -> None:
    bundle, other = logged(key, "dsse 0.0.1"), logged(key, "hashedrekord 0.0.1")
    for one, two in ((bundle, other), (other, bundle)):
        mixed = json.loads(json.dumps(one)) | {"verificationMaterial": two["verificationMaterial"]}
        assert OTHER_SIGNATURE in refusal(mixed, trust(key, ALWAYS))


def test_only_rekor_v1_states_a_time(key: KeyPair) -> None:
    now = trust(key, Period(NOW, NOW))
    assert moments(logged(key, "dsse 0.0.1"), now) == [Moment(NOW, Clock.LOG)]
    untrusted(logged(key, "hashedrekord 0.0.2"), now)
    both = add_stamp(logged(key, "dsse 0.0.1"), NOW + DAY)
    accepted(both, trust(key, Period(NOW, NOW + DAY)))
    untrusted(both, now)


@pytest.mark.parametrize("kind", ["dsse 0.0.1", "hashedrekord 0.0.2"])
def test_log_must_be_in_service_with_a_known_kind_of_key(key: KeyPair, kind: str) -> None:
    root = instance().trusted_root()
    for log in root["tlogs"]:
        log["publicKey"]["validFor"]["end"] = "2026-05-01T00:00:00Z"
    former = trust(key, ALWAYS, root=root)
    assert "was in service from" in refusal(add_stamp(logged(key, kind)), former)
    root = instance().trusted_root()
    for log in root["tlogs"]:
        log["publicKey"]["keyDetails"] = "ML_DSA_65"
    found = judge(logged(key, kind), trust(key, ALWAYS, root=root))
    assert found.verdict is Verdict.UNSUPPORTED
    assert "unsupported algorithm of a log's key: 'ML_DSA_65'" in found.reason


# --- fetching the root of the public instance --------------------------------------------------


def of_a_file(key: KeyPair, kind: str) -> Bundle:
    """Return a bundle over a file, with a timestamp, a log entry, or neither."""
    if kind in KINDS:
        return logged(key, kind)
    bundle = message_bundle(CONTENT, key)
    return add_stamp(bundle) if kind == "timestamp" else bundle


@pytest.mark.parametrize(
    ("kind", "period", "fetched", "code"),
    [
        ("hashedrekord 0.0.1", Period(NOW, NOW), True, 0),
        ("timestamp", Period(NOW, NOW), True, 0),
        # Neither an entry of Rekor v2 nor a bare signature states a time: no root can help.
        ("hashedrekord 0.0.2 message", Period(NOW, NOW), False, 1),
        ("nothing", Period(NOW, NOW), False, 1),
        ("hashedrekord 0.0.1", ALWAYS, False, 0),
        ("timestamp", ALWAYS, False, 0),
    ],
)
def test_public_root_is_fetched_only_for_evidence_of_a_needed_time(
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
    if (
        kind == "hashedrekord 0.0.1" and period is ALWAYS
    ):  # a trusted identity beside the key changes nothing
        both = Trust("tests", who.keys, keyless_trust().identities)
        assert verify_blob(f"sha256:{SHA256}", both, bundle=path).exit_code == 0
        assert asked == []
