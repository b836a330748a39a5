# SPDX-License-Identifier: Apache-2.0
"""The corpus: for each reader, valid documents and documents with one defect.

The documents are the same in every run. FOUND holds those that the fuzzer has found.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.sigstore.ca import claim, name, usage
from tests.support.sigstore.rekor import b64

START: Final = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
END: Final = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
V03: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
V01: Final = "application/vnd.dev.sigstore.bundle+json;version=0.1"
ROOT: Final = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
CLIENT: Final = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
SIGNING: Final = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
PERIOD: Final = {"start": "2026-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"}

# Keys that sign nothing outside this corpus: their private numbers are 1, 2, 3 and zeros.
LEAF: Final = ec.derive_private_key(1, ec.SECP256R1())
CA: Final = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
FORMAT: Final = PublicFormat.SubjectPublicKeyInfo
SIGNATURE: Final = encode_dss_signature(2, 3)

Corpus = dict[str, dict[str, bytes]]


def der(key: Any) -> bytes:
    found: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return found


def certificate(
    *, signing: bool = True, names: int = 1, issuer: str = "https://issuer.test"
) -> bytes:
    """A signing certificate. Ed25519 signs the same bytes in the same way."""
    subjects: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(f"https://ci.test/{n}") for n in range(names)
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(name("corpus"))
        .public_key(LEAF.public_key())
        .serial_number(1)
        .not_valid_before(START)
        .not_valid_after(END)
        .add_extension(usage(sign=True), critical=True)
        .add_extension(x509.SubjectAlternativeName(subjects), critical=True)
        .add_extension(claim(1, issuer), critical=False)
        .add_extension(claim(8, "https://issuer.test"), critical=False)
    )
    if signing:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
        builder = builder.add_extension(purpose, critical=False)
    return builder.sign(CA, None).public_bytes(Encoding.DER)


def statements() -> dict[str, Any]:
    subject = [{"name": "m.onnx", "digest": {"sha256": "0" * 64}}]
    right = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject,
        "predicateType": "https://example.org/predicate/v1",
        "predicate": {"row": {"id": "m", "onnx": "m.onnx", "smoke": True}, "deferrals": []},
    }
    return {
        "right": right,
        "v0.1": right | {"_type": "https://in-toto.io/Statement/v0.1"},
        "no-subjects": right | {"subject": []},
        "subject-twice": right | {"subject": subject * 2},
        "short-digest": right | {"subject": [{"name": "m", "digest": {"sha256": "00"}}]},
        "upper-case-digest": right | {"subject": [{"name": "m", "digest": {"sha256": "A" * 64}}]},
        "weak-digest": right | {"subject": [{"name": "m", "digest": {"md5": "0" * 32}}]},
        "no-predicate-type": {k: v for k, v in right.items() if k != "predicateType"},
        "deep-predicate": right | {"predicate": _nested(60)},
    }


def _nested(depth: int) -> Any:
    value: Any = "bottom"
    for _ in range(depth):
        value = {"a": [value]}
    return value


def bundles() -> dict[str, Any]:
    payload = b64(json.dumps(statements()["right"]).encode())
    envelope = {
        "payload": payload,
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"sig": b64(SIGNATURE)}],
    }
    key = {
        "mediaType": V03,
        "verificationMaterial": {"publicKey": {"hint": b64(bytes(32))}},
        "dsseEnvelope": envelope,
    }
    digest = b64(bytes(32))
    message = {
        "messageDigest": {"algorithm": "SHA2_256", "digest": digest},
        "signature": b64(SIGNATURE),
    }
    raw = {"rawBytes": b64(certificate())}
    v2 = {"hashedRekordV002": {"data": {"algorithm": "SHA2_256", "digest": digest}}}
    material = {
        "certificate": raw,
        "tlogEntries": [_entry("hashedrekord", "0.0.2", v2)],
        "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": b64(b"0")}]},
    }
    v1 = _entry("dsse", "0.0.1", {"signatures": []}) | {
        "integratedTime": "1767225600",
        "inclusionPromise": {"signedEntryTimestamp": b64(SIGNATURE)},
    }
    chain = {"x509CertificateChain": {"certificates": [raw, raw]}, "tlogEntries": [v1]}
    keyless = {"mediaType": V03, "verificationMaterial": material, "dsseEnvelope": envelope}
    return {
        "key-envelope": key,
        "key-message": {k: v for k, v in key.items() if k != "dsseEnvelope"}
        | {"messageSignature": message},
        "keyless-v2": keyless,
        "keyless-v1-chain": {
            "mediaType": V01,
            "verificationMaterial": chain,
            "dsseEnvelope": envelope,
        },
        "two-signatures": key | {"dsseEnvelope": envelope | {"signatures": [{"sig": "AA=="}] * 2}},
        "two-contents": key | {"messageSignature": message},
        "loose-base64": key | {"dsseEnvelope": envelope | {"payload": payload + "\n"}},
        "unknown-field": key | {"extra": {}},
        "other-payload-type": key | {"dsseEnvelope": envelope | {"payloadType": "text/plain"}},
        "invalid-certificate": keyless
        | {"verificationMaterial": material | {"certificate": {"rawBytes": "AAAA"}}},
    }


def _entry(kind: str, version: str, spec: dict[str, Any]) -> dict[str, Any]:
    body = {"apiVersion": version, "kind": kind, "spec": spec}
    note = f"log.test\n1\n{b64(bytes(32))}\n\n\u2014 log.test {b64(bytes(68))}\n"
    return {
        "logIndex": "0",
        "logId": {"keyId": b64(bytes(32))},
        "kindVersion": {"kind": kind, "version": version},
        "inclusionProof": {
            "logIndex": "0",
            "rootHash": b64(bytes(32)),
            "treeSize": "1",
            "checkpoint": {"envelope": note},
        },
        "canonicalizedBody": b64(json.dumps(body).encode()),
    }


def roots() -> dict[str, Any]:
    log: dict[str, Any] = {
        "baseUrl": "https://log.test",
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": b64(der(LEAF)),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": PERIOD,
        },
        "logId": {"keyId": b64(bytes(32))},
    }
    authority = {
        "subject": {"organization": "corpus", "commonName": "corpus"},
        "uri": "https://ca.test",
        "certChain": {"certificates": [{"rawBytes": b64(certificate())}]},
        "validFor": PERIOD,
    }
    right = {
        "mediaType": ROOT,
        "tlogs": [log],
        "certificateAuthorities": [authority],
        "ctlogs": [log],
        "timestampAuthorities": [authority],
    }
    key: dict[str, Any] = log["publicKey"]
    backwards = key | {"validFor": {"start": PERIOD["end"], "end": PERIOD["start"]}}
    return {
        "right": right,
        "empty": {"mediaType": ROOT},
        "client-trust-config": {
            "mediaType": CLIENT,
            "trustedRoot": right,
            "signingConfig": {"mediaType": SIGNING},
        },
        "other-media-type": right | {"mediaType": "text/plain"},
        "invalid-key": right | {"tlogs": [log | {"publicKey": key | {"rawBytes": "AAAA"}}]},
        "period-backwards": right | {"tlogs": [log | {"publicKey": backwards}]},
        "log-twice": right | {"tlogs": [log, log]},
    }


RIGHT_CONFIGURATION: Final = """\
registry = "model/registry.json"
repository = "example/models"
baseline = "git:origin/main"
[run]
timeout = 30
memory = "2 GiB"
[trust]
signatures = 2
trusted_root = "root.json"
[[trust.key]]
path = "release.pub"
not_before = 2026-01-01T00:00:00Z
[[trust.identity]]
issuer = "https://issuer.test"
subject = "release@example.org"
[[trust.github]]
repository = "example/models"
workflow = ".github/workflows/release.yml"
ref = "refs/tags/v*"
owner_id = 1
[[deferral]]
rule = "SID402"
rows = ["m_*"]
reason = "until the retrain"
reference = "ADR-1105"
expires = 2026-12-31
"""


def configurations() -> dict[str, str]:
    return {
        "minimal": 'registry = "registry.json"\n',
        "right": RIGHT_CONFIGURATION,
        "in-pyproject": f"[tool.provenance]\n{RIGHT_CONFIGURATION.partition('[run]')[0]}",
        "unknown-key": 'registry = "registry.json"\nregistery = 1\n',
        "climbs": 'registry = "../registry.json"\n',
        "not-toml": "registry =\n",
        "trust-is-a-string": 'registry = "registry.json"\ntrust = "everybody"\n',
        "nothing": "",
    }


TEXTS: Final[Mapping[str, Any]] = {
    "byte-order-mark": lambda t: "\ufeff" + t,
    "key-twice": lambda t: t.replace("{", '{"mediaType": 1, "mediaType": 2, ', 1),
    "trailing-data": lambda t: t + "{}",
    "not-a-number": lambda t: t.replace("{", '{"n": NaN, ', 1),
    "lone-surrogate": lambda t: t.replace("{", '{"n": "\\ud800", ', 1),
    "huge-number": lambda t: t.replace("{", '{"n": ' + "9" * 5000 + ", ", 1),
    "bottomless": lambda t: "[" * 3000 + t,
    "cut-short": lambda t: t[: len(t) // 2],
    "a-list": lambda t: f"[{t}]",
    "nothing": lambda _: "",
}
"""Changes that break any JSON document."""


def layouts() -> dict[str, Any]:
    """Return layouts of in-toto without a valid signature, and other documents."""
    key: dict[str, Any] = {
        "keyid": "ab" * 32,
        "keytype": "ecdsa",
        "scheme": "ecdsa-sha2-nistp256",
        "keyval": {"public": LEAF.public_key().public_bytes(Encoding.PEM, FORMAT).decode()},
    }
    rules = [["MATCH", "*", "WITH", "PRODUCTS", "FROM", "export"], ["DISALLOW", "*"]]
    step = {
        "_type": "step",
        "name": "export",
        "pubkeys": [key["keyid"]],
        "threshold": 1,
        "expected_command": [],
        "expected_materials": rules,
        "expected_products": rules,
    }
    inspection = {
        "_type": "inspection",
        "name": "untouched",
        "run": ["true"],
        "expected_materials": rules,
        "expected_products": [],
    }
    right = {
        "_type": "layout",
        "expires": "2027-01-01T00:00:00Z",
        "inspect": [inspection],
        "keys": {key["keyid"]: key},
        "readme": "",
        "steps": [step],
    }
    envelope: dict[str, Any] = {
        "payload": b64(json.dumps(right).encode()),
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"keyid": "ab" * 32, "sig": "AA=="}],
    }
    return {
        "right": right,
        "envelope": envelope,
        "no-signature": envelope | {"signatures": []},
        "two-signatures-of-one": envelope | {"signatures": envelope["signatures"] * 2},
        "threshold-of-true": right | {"steps": [step | {"threshold": True}]},
        "rule-of-another-kind": right | {"steps": [step | {"expected_products": [["BUY", "*"]]}]},
        "key-under-another-id": right | {"keys": {"cd" * 32: key}},
        "key-of-gpg": right | {"keys": {"ab" * 32: {"keyid": "ab" * 32, "subkeys": {}}}},
        "old-form": {"signed": right, "signatures": []},
    }


def links() -> dict[str, Any]:
    files = {"model/m.onnx": {"sha256": "0" * 64}}
    right = {
        "_type": "link",
        "name": "check",
        "command": [],
        "materials": files,
        "products": files,
        "byproducts": {},
        "environment": {},
    }
    return {
        "right": right,
        "two-digests": right | {"products": {"m": {"sha256": "0" * 64, "sha512": "0" * 128}}},
        "no-digest": right | {"products": {"m": {}}},
        "digest-is-a-number": right | {"materials": {"m": {"sha256": 3}}},
        "no-name": {k: v for k, v in right.items() if k != "name"},
        "name-is-a-list": right | {"name": ["check"]},
    }


FOUND: Final[Corpus] = {
    "certificate": {
        # `cryptography` only warns of a serial number that RFC 5280 forbids.
        "serial-zero.der": certificate().replace(b"\x02\x01\x01", b"\x02\x01\x00", 1)
    }
}
"""Documents that the fuzzer has found, by target and description."""


def corpus() -> Corpus:
    """Return every document by target and file name."""
    made: Corpus = {}
    for target, documents in (
        ("bundle", bundles()),
        ("statement", statements()),
        ("trusted-root", roots()),
        ("layout", layouts()),
        ("link", links()),
    ):
        first = json.dumps(next(iter(documents.values())), indent=1)
        made[target] = {f"{n}.json": json.dumps(d, indent=1).encode() for n, d in documents.items()}
        made[target] |= {f"json-{n}.json": change(first).encode() for n, change in TEXTS.items()}
    made["configuration"] = {f"{n}.toml": t.encode() for n, t in configurations().items()}
    made["certificate"] = {
        "right.der": certificate(),
        "not-for-code.der": certificate(signing=False),
        "two-names.der": certificate(names=2),
        "no-name.der": certificate(names=0),
        "two-issuers.der": certificate(issuer="https://other.test"),
        "key.der": der(LEAF),
        "nothing.der": b"",
    }
    for target, found in FOUND.items():
        made[target] |= found
    return made
