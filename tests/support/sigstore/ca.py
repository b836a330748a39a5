# SPDX-License-Identifier: Apache-2.0
"""A certificate authority as Fulcio is one, with its certificate transparency log."""

from __future__ import annotations

import datetime
import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ARC: Final = "1.3.6.1.4.1.57264.1"
SCT_LIST: Final = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
LIFETIME: Final = datetime.timedelta(minutes=10)

Key = ec.EllipticCurvePrivateKey
AnyKey = Key | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def algorithm_of(key: AnyKey) -> tuple[str, hashes.HashAlgorithm]:
    """How Sigstore names the algorithm of a key, and the hash function of entries about it."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "PKIX_ED25519", hashes.SHA512()
    if isinstance(key, rsa.RSAPrivateKey):
        return f"PKIX_RSA_PKCS1V15_{key.key_size}_SHA256", hashes.SHA256()
    name, function = {
        256: ("P256_SHA_256", hashes.SHA256()),
        384: ("P384_SHA_384", hashes.SHA384()),
        521: ("P521_SHA_512", hashes.SHA512()),
    }[key.curve.key_size]
    return f"PKIX_ECDSA_{name}", function


def sign(key: AnyKey, data: bytes, function: hashes.HashAlgorithm | None = None) -> bytes:
    """A signature as Sigstore's clients make it with such a key, or with another hash function."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    function = function or algorithm_of(key)[1]
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), function)
    return key.sign(data, ec.ECDSA(function))


def der(key: AnyKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def usage(*, sign: bool = False, issue: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=issue,
        crl_sign=issue,
        encipher_only=False,
        decipher_only=False,
    )


@dataclass(frozen=True)
class Authority:
    """A key with its certificate, and those above it, root last."""

    key: Key
    chain: tuple[x509.Certificate, ...]

    @property
    def certificate(self) -> x509.Certificate:
        return self.chain[0]


def make_authority(
    title: str,
    start: datetime.datetime,
    end: datetime.datetime,
    issuer: Authority | None = None,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
    *,
    leaf: bool = False,
) -> Authority:
    """A root, an intermediate below `issuer`, or, with `leaf`, one that issues nothing."""
    key = new_key()
    signing = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(title))
        .issuer_name(issuer.certificate.subject if issuer else name(title))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=not leaf, path_length=None), critical=True)
        .add_extension(usage(sign=leaf, issue=not leaf), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False
        )
    )
    if issuer is not None or leaf:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=leaf)
    certificate = builder.sign(signing, hashes.SHA256())
    return Authority(key, (certificate, *(issuer.chain if issuer else ())))


@dataclass
class CtLog:
    """A certificate transparency log: it answers a precertificate with a timestamp (RFC 6962)."""

    key: Key = field(default_factory=new_key)

    @property
    def log_id(self) -> bytes:
        return hashlib.sha256(der(self.key)).digest()

    def promise(self, tbs: bytes, issuer: Authority, stamp: int) -> bytes:
        """A SignedCertificateTimestamp over a precertificate, at so many milliseconds of time."""
        spki = issuer.certificate.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        signed = (
            struct.pack("!BBQH", 0, 0, stamp, 1)
            + hashlib.sha256(spki).digest()
            + len(tbs).to_bytes(3, "big")
            + tbs
            + struct.pack("!H", 0)
        )
        signature = self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        return (
            struct.pack("!B32sQH", 0, self.log_id, stamp, 0)
            + struct.pack("!BBH", 4, 3, len(signature))
            + signature
        )


def sct_list(promises: Sequence[bytes]) -> x509.UnrecognizedExtension:
    entries = b"".join(struct.pack("!H", len(p)) + p for p in promises)
    value = asn1.encode_der(struct.pack("!H", len(entries)) + entries)
    return x509.UnrecognizedExtension(SCT_LIST, value)


def claim(number: int, value: str, *, raw: bool | None = None) -> x509.UnrecognizedExtension:
    """A Fulcio extension. The first six are bare strings, the others DER."""
    bare = number < 7 if raw is None else raw
    content = value.encode() if bare else asn1.encode_der(value)
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{ARC}.{number}"), content)


@dataclass
class Request:
    """What a certificate is asked for. A test changes a part of it.

    `claims` are Fulcio's extensions by the last number of their OID; each of `extensions` has
    whether it is critical; `logged` is in milliseconds, and by default the time of issue.
    """

    names: list[x509.GeneralName]
    claims: dict[int, str]
    key: PublicKey | None = None
    purposes: list[x509.ObjectIdentifier] | None = field(
        default_factory=lambda: [ExtendedKeyUsageOID.CODE_SIGNING]
    )
    key_usage: x509.KeyUsage | None = field(default_factory=lambda: usage(sign=True))
    extensions: list[tuple[x509.ExtensionType, bool]] = field(default_factory=list)
    promises: int = 1
    logged: int | None = None


def email(address: str, issuer: str) -> Request:
    return Request([x509.RFC822Name(address)], {1: issuer, 8: issuer})


def uri(subject: str, issuer: str) -> Request:
    """What Fulcio writes for a machine identity that is a URI."""
    return Request([x509.UniformResourceIdentifier(subject)], {1: issuer, 8: issuer})


def github(
    repository: str = "lusoris/vmaf",
    workflow: str = ".github/workflows/supply-chain.yml",
    ref: str = "refs/tags/v3.0.0",
    issuer: str = "https://token.actions.githubusercontent.com",
    changes: Mapping[int, str] | None = None,
) -> Request:
    """What Fulcio writes for a GitHub Actions workflow."""
    server = "https://github.com"
    owner = repository.partition("/")[0]
    at = f"{server}/{repository}/{workflow}@{ref}"
    claims: dict[int, str] = {
        1: issuer,
        2: "push",
        3: "a" * 40,
        4: "supply chain",
        5: repository,
        6: ref,
        8: issuer,
        9: at,
        10: "a" * 40,
        11: "github-hosted",
        12: f"{server}/{repository}",
        13: "a" * 40,
        14: ref,
        15: "1234",
        16: f"{server}/{owner}",
        17: "5678",
        18: at,
        19: "a" * 40,
        20: "push",
        21: f"{server}/{repository}/actions/runs/1/attempts/1",
        22: "public",
    }
    claims |= dict(changes or {})
    return Request([x509.UniformResourceIdentifier(claims[9])], claims)


@dataclass
class Fulcio:
    """A certificate authority of two certificates: a root and the intermediate that issues."""

    start: datetime.datetime
    end: datetime.datetime
    ct: CtLog = field(default_factory=CtLog)

    def __post_init__(self) -> None:
        root = make_authority("simulated root", self.start, self.end)
        self.authority = make_authority("simulated issuer", self.start, self.end, root)

    def issue(
        self,
        request: Request,
        key: PublicKey,
        at: datetime.datetime,
        lifetime: datetime.timedelta = LIFETIME,
    ) -> x509.Certificate:
        """A certificate, logged in the certificate transparency log."""
        builder: Any = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.authority.certificate.subject)
            .public_key(request.key or key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(at)
            .not_valid_after(at + lifetime)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.key.public_key()),
                critical=False,
            )
        )
        if request.key_usage is not None:
            builder = builder.add_extension(request.key_usage, critical=True)
        if request.purposes is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(request.purposes), critical=False)
        if request.names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(request.names), critical=True
            )
        for number, value in request.claims.items():
            builder = builder.add_extension(claim(number, value), critical=False)
        for extension, critical in request.extensions:
            builder = builder.add_extension(extension, critical=critical)
        before = builder.sign(self.authority.key, hashes.SHA256())
        promises = [
            self.ct.promise(
                before.tbs_certificate_bytes,
                self.authority,
                int(at.timestamp() * 1000) if request.logged is None else request.logged,
            )
            for _ in range(request.promises)
        ]
        if promises:
            builder = builder.add_extension(sct_list(promises), critical=False)
        certificate: x509.Certificate = builder.sign(self.authority.key, hashes.SHA256())
        return certificate
