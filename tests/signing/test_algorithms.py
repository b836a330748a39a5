# SPDX-License-Identifier: Apache-2.0
"""Signatures by the other algorithms of Sigstore's registry, with certificates."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

from provenance.attestations import predicates
from provenance.attestations.signed_row import REGISTRY_ROW
from provenance.signing import algorithms, description
from provenance.signing.algorithms import UnsupportedError
from provenance.signing.judgement import Verdict
from provenance.signing.trust import Trust
from tests.signing.workshop import (
    CONTENT,
    PAYLOAD,
    accepted,
    flip_hash,
    flip_signature,
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
from tests.support.sigstore.ca import AnyKey, der, sign, uri
from tests.support.sigstore.instance import END, ISSUER, SUBJECT, Bundle, rfc3339
from tests.support.sigstore.rekor import b64

KEYS: dict[str, AnyKey] = {
    "ECDSA P-256": ec.generate_private_key(ec.SECP256R1()),
    "ECDSA P-384": ec.generate_private_key(ec.SECP384R1()),
    "ECDSA P-521": ec.generate_private_key(ec.SECP521R1()),
    "RSA 2048": rsa.generate_private_key(65537, 2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
}
OTHERS = sorted(KEYS.keys() - {"ECDSA P-256"})
P384 = KEYS["ECDSA P-384"]
NO_LOG_KEY = "unsupported algorithm of a log's key: 'ML_DSA_65'"


@pytest.mark.parametrize("name", KEYS)
def test_statement_signed_by_each_kind_of_key_is_accepted(name: str) -> None:
    logs: tuple[Any, ...] = ("v1", "v2", "v2 dsse", "intoto 0.0.2")
    for log in logs:
        accepted(instance().attest(PAYLOAD, key=KEYS[name], log=log))
    accepted(instance().attest(PAYLOAD, key=KEYS[name], log=None), no_log())


def other(part: str) -> Callable[[Bundle], None]:
    """Replace a part of the verification material with that of another signature."""

    def change(bundle: Bundle) -> None:
        theirs = instance().attest(PAYLOAD, key=ec.generate_private_key(ec.SECP384R1()))
        material(bundle)[part] = material(theirs)[part]

    return change


CHANGES: dict[str, tuple[Callable[[Bundle], None], str]] = {
    "payload": (other_payload, ""),
    "signature": (flip_signature, ""),
    "proof": (flip_hash, "does not match the tree"),
    "entry": (other("tlogEntries"), "of another signature"),
    "certificate": (other("certificate"), ""),
    "timestamp": (other("timestampVerificationData"), "by an authority that was trusted then"),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
def test_changed_statement_is_refused(
    name: str, change: Callable[[Bundle], None], reason: str
) -> None:
    bundle = instance().attest(PAYLOAD, key=KEYS[name])
    change(bundle)
    assert reason in refusal(bundle)


def test_changed_statement_without_a_log_is_refused() -> None:
    bundle = instance().attest(PAYLOAD, key=P384, log=None)
    other_payload(bundle)
    assert "not made by the key of its certificate" in refusal(bundle, no_log())


def test_untrusted_services_are_refused() -> None:
    bundle = stranger().attest(PAYLOAD, key=P384)
    reason = "was not issued by an authority that was trusted then"
    assert reason in refusal(bundle, mixed_root("certificateAuthorities"))
    root = stranger().trusted_root()
    key = instance().trusted_root()["ctlogs"][0]["publicKey"]["rawBytes"]
    root["ctlogs"][0]["publicKey"]["rawBytes"] = key
    assert "promise of the certificate's transparency log" in refusal(bundle, trust(root))
    root = stranger().trusted_root()
    root["certificateAuthorities"][0]["validFor"]["start"] = rfc3339(END)
    assert "no certificate authority was trusted" in refusal(bundle, trust(root))


def unsupported(bundle: Bundle, root: Trust | None = None) -> str:
    found = judge(bundle, root)
    assert found.verdict is Verdict.UNSUPPORTED, found
    return found.reason


@pytest.mark.parametrize("name", ["ECDSA P-384", "ECDSA P-521"])
def test_hash_function_that_sigstore_deprecated_is_unsupported(name: str) -> None:
    bundle = instance().attest(PAYLOAD, key=KEYS[name], function=hashes.SHA256(), log="v1")
    assert f"unsupported signature algorithm {name} with SHA-256" in unsupported(bundle)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (rsa.generate_private_key(65537, 2056), "RSA key of 2056 bits"),
        (ec.generate_private_key(ec.SECP256K1()), "elliptic curve secp256k1"),
    ],
)
def test_certificate_for_another_kind_of_key_is_unsupported(key: AnyKey, kind: str) -> None:
    request = uri(SUBJECT, ISSUER)
    request.key = key.public_key()
    bundle = instance().attest(PAYLOAD, request)
    assert f"unsupported {kind}" in unsupported(bundle)
    certificate = base64.b64decode(material(bundle)["certificate"]["rawBytes"])
    assert f"unsupported {kind}" in str(description.of_certificate(certificate).problem)


def test_another_kind_of_key_is_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="unsupported kind of key"):
        algorithms.of_key(ed448.Ed448PrivateKey.generate().public_key())


@pytest.mark.parametrize(
    "document",
    [
        {"predicateType": REGISTRY_ROW},
        {"predicate": {"buildDefinition": {"buildType": predicates.SEED_BUILD_TYPE}}},
        {"predicate": {"verifier": {"id": predicates.VERIFIER}}},
    ],
    ids=["row", "seed", "summary"],
)
def test_document_of_this_project_has_one_algorithm(document: object) -> None:
    bundle = instance().attest(json.dumps(document).encode(), key=P384)
    assert "for a document of this project" in unsupported(bundle)


def test_bare_file_is_verified_by_its_sha256_alone() -> None:
    made = instance().sign_bytes(CONTENT, key=KEYS["RSA 2048"])
    accepted(made)
    assert "of another signature" in refusal(made, sha256="0" * 64)
    without = instance().sign_bytes(CONTENT, key=P384, log=None, timestamps=1)
    assert "signature over a file" in unsupported(without, no_log())
    stated = instance().sign_bytes(CONTENT)
    digest = b64(hashlib.sha384(CONTENT).digest())
    stated["messageSignature"]["messageDigest"] = {"algorithm": "SHA2_384", "digest": digest}
    assert "can only be compared if the file is given" in unsupported(stated)


def test_both_paddings_of_rsa_are_valid() -> None:
    key = KEYS["RSA 2048"]
    assert isinstance(key, rsa.RSAPrivateKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    for form in (padding.PKCS1v15(), pss):
        made = key.sign(b"data", form, hashes.SHA256())
        assert algorithms.is_valid(key.public_key(), made, b"data")
        assert not algorithms.is_valid(key.public_key(), made, b"other")


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_log_may_sign_with_each_kind_of_key(key: AnyKey) -> None:
    details = algorithms.of_key(key.public_key()).details[0]
    made = sign(key, b"note")
    assert algorithms.is_valid_by(details, der(key), made, b"note")
    assert not algorithms.is_valid_by(details, der(key), made, b"other")
    assert not algorithms.is_valid_by(details, b"none", made, b"note")
    assert not algorithms.is_valid_by("PKIX_RSA_PSS_4096_SHA256", der(key), made, b"note")
    for spki in (der(key), b"none"):
        with pytest.raises(UnsupportedError, match=NO_LOG_KEY):
            algorithms.is_valid_by("ML_DSA_65", spki, made, b"note")
