# SPDX-License-Identifier: Apache-2.0
"""Signatures by the other algorithms of Sigstore's registry, with certificates."""

from __future__ import annotations

import base64
import hashlib
import json
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
    entry,
    flipped,
    instance,
    judge,
    material,
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


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("log", ["v1", "v2", "v2 dsse", "intoto 0.0.2"])
def test_a_statement_signed_by_each_kind_of_key_is_accepted(name: str, log: Any) -> None:
    accepted(instance().attest(PAYLOAD, key=KEYS[name], log=log))


@pytest.mark.parametrize("name", OTHERS)
def test_a_statement_of_an_instance_without_a_log_is_accepted(name: str) -> None:
    root = trust(instance().trusted_root() | {"tlogs": []})
    accepted(instance().attest(PAYLOAD, key=KEYS[name], log=None), root)


def other_payload(bundle: Bundle) -> None:
    bundle["dsseEnvelope"]["payload"] = "e30="


def other_signature(bundle: Bundle) -> None:
    (signed,) = bundle["dsseEnvelope"]["signatures"]
    signed["sig"] = flipped(signed["sig"])


def other_entry(bundle: Bundle) -> None:
    theirs = instance().attest(PAYLOAD, key=P384)
    material(bundle)["tlogEntries"] = material(theirs)["tlogEntries"]


def other_certificate(bundle: Bundle) -> None:
    theirs = instance().attest(PAYLOAD, key=ec.generate_private_key(ec.SECP384R1()))
    material(bundle)["certificate"] = material(theirs)["certificate"]


def other_proof(bundle: Bundle) -> None:
    hashes_of = entry(bundle)["inclusionProof"]["hashes"]
    hashes_of[0] = flipped(hashes_of[0])


@pytest.mark.parametrize(
    "change", [other_payload, other_signature, other_entry, other_certificate, other_proof]
)
@pytest.mark.parametrize("name", OTHERS)
def test_a_statement_that_was_changed_is_refused(name: str, change: Any) -> None:
    bundle = instance().attest(PAYLOAD, key=KEYS[name])
    change(bundle)
    refusal(bundle)


def test_without_a_log_the_signature_alone_is_refused_too() -> None:
    root = trust(instance().trusted_root() | {"tlogs": []})
    bundle = instance().attest(PAYLOAD, key=P384, log=None)
    other_payload(bundle)
    assert "not made by the key of its certificate" in refusal(bundle, root)


def test_a_certificate_by_another_authority_is_refused() -> None:
    bundle = stranger().attest(PAYLOAD, key=P384)
    ours, theirs = instance().trusted_root(), stranger().trusted_root()
    root = theirs | {"certificateAuthorities": ours["certificateAuthorities"]}
    assert "was not issued by an authority that was trusted then" in refusal(bundle, trust(root))


def test_a_certificate_that_no_trusted_log_promised_is_refused() -> None:
    bundle = instance().attest(PAYLOAD, key=P384)
    root = instance().trusted_root()
    root["ctlogs"][0]["publicKey"]["rawBytes"] = stranger().trusted_root()["ctlogs"][0][
        "publicKey"
    ]["rawBytes"]
    assert "promise of the certificate's transparency log" in refusal(bundle, trust(root))


def test_an_authority_that_was_not_in_service_is_refused() -> None:
    root = instance().trusted_root()
    root["certificateAuthorities"][0]["validFor"]["start"] = rfc3339(END)
    bundle = instance().attest(PAYLOAD, key=P384)
    assert "no certificate authority was trusted" in refusal(bundle, trust(root))


def test_a_timestamp_on_another_signature_is_refused() -> None:
    bundle = instance().attest(PAYLOAD, key=P384)
    other = instance().attest(PAYLOAD, key=P384)
    name = "timestampVerificationData"
    material(bundle)[name] = material(other)[name]
    assert "by an authority that was trusted then" in refusal(bundle)


def unsupported(bundle: Bundle, root: Trust | None = None) -> str:
    found = judge(bundle, root)
    assert found.verdict is Verdict.UNSUPPORTED, found
    return found.reason


@pytest.mark.parametrize("name", ["ECDSA P-384", "ECDSA P-521"])
def test_a_hash_function_that_sigstore_has_deprecated_is_unsupported(name: str) -> None:
    bundle = instance().attest(PAYLOAD, key=KEYS[name], function=hashes.SHA256(), log="v1")
    assert f"unsupported signature algorithm {name} with SHA-256" in unsupported(bundle)


def test_a_certificate_for_an_unknown_kind_of_key_is_unsupported() -> None:
    for key, kind in (
        (rsa.generate_private_key(65537, 2056), "RSA key of 2056 bits"),
        (ec.generate_private_key(ec.SECP256K1()), "elliptic curve secp256k1"),
    ):
        request = uri(SUBJECT, ISSUER)
        request.key = key.public_key()
        bundle = instance().attest(PAYLOAD, request)
        assert f"unsupported {kind}" in unsupported(bundle)
        certificate = base64.b64decode(material(bundle)["certificate"]["rawBytes"])
        assert f"unsupported {kind}" in str(description.of_certificate(certificate).problem)
    with pytest.raises(UnsupportedError, match="unsupported kind of key"):
        algorithms.of_key(ed448.Ed448PrivateKey.generate().public_key())


def test_a_document_of_this_project_is_signed_with_one_algorithm() -> None:
    ours = {"predicateType": REGISTRY_ROW}
    seed = {"predicate": {"buildDefinition": {"buildType": predicates.SEED_BUILD_TYPE}}}
    summary = {"predicate": {"verifier": {"id": predicates.VERIFIER}}}
    for value in (ours, seed, summary):
        bundle = instance().attest(json.dumps(value).encode(), key=P384)
        assert "for a document of this project" in unsupported(bundle)


def test_a_bare_file_counts_by_its_sha256_alone() -> None:
    made = instance().sign_bytes(CONTENT, key=KEYS["RSA 2048"])
    accepted(made)
    assert "of another signature" in refusal(made, sha256="0" * 64)
    assert "signature over a file" in unsupported(
        instance().sign_bytes(CONTENT, key=P384, log=None, timestamps=1),
        root=trust(instance().trusted_root() | {"tlogs": []}),
    )
    stated = instance().sign_bytes(CONTENT)
    digest = b64(hashlib.sha384(CONTENT).digest())
    stated["messageSignature"]["messageDigest"] = {"algorithm": "SHA2_384", "digest": digest}
    assert "can only be compared if the file is given" in unsupported(stated)


def test_both_forms_of_rsa_are_read() -> None:
    key = KEYS["RSA 2048"]
    assert isinstance(key, rsa.RSAPrivateKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    for form in (padding.PKCS1v15(), pss):
        made = key.sign(b"data", form, hashes.SHA256())
        assert algorithms.is_valid(key.public_key(), made, b"data")
        assert not algorithms.is_valid(key.public_key(), made, b"other")


@pytest.mark.parametrize("name", KEYS)
def test_a_log_may_sign_with_each_kind_of_key(name: str) -> None:
    key = KEYS[name]
    details = algorithms.of_key(key.public_key()).details[0]
    made = sign(key, b"note")
    assert algorithms.is_valid_by(details, der(key), made, b"note")
    assert not algorithms.is_valid_by(details, der(key), made, b"other")
    assert not algorithms.is_valid_by("PKIX_RSA_PSS_4096_SHA256", der(key), made, b"note")
    for spki in (der(key), b"none"):
        with pytest.raises(
            UnsupportedError, match="unsupported algorithm of a log's key: 'ML_DSA_65'"
        ):
            algorithms.is_valid_by("ML_DSA_65", spki, made, b"note")
    assert not algorithms.is_valid_by(details, b"none", made, b"note")
