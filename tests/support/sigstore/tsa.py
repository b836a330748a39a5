# SPDX-License-Identifier: Apache-2.0
"""A timestamp authority (RFC 3161)."""

from __future__ import annotations

import datetime
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.sigstore.ca import make_authority


@dataclass
class TimestampAuthority:
    """Says that it has seen a signature at a time."""

    start: datetime.datetime
    end: datetime.datetime

    def __post_init__(self) -> None:
        stamping = ExtendedKeyUsageOID.TIME_STAMPING
        root = make_authority("simulated timestamp root", self.start, self.end)
        self.authority = make_authority(
            "simulated timestamps", self.start, self.end, root, stamping, leaf=True
        )

    def stamp(self, signature: bytes, at: datetime.datetime, **how: Any) -> bytes:
        """A granted timestamp response over a signature, DER."""
        name = how.get("imprint", "sha256")
        return self.stamp_digest(hashlib.new(name, signature).digest(), at, **how)

    def stamp_digest(
        self,
        digest: bytes,
        at: datetime.datetime,
        nonce: int | None = None,
        *,
        imprint: str = "sha256",
        function: hashes.HashAlgorithm | None = None,
        carried: Sequence[x509.Certificate] | None = None,
    ) -> bytes:
        """A response over the digest of a signature.

        It signs with another hash `function`, and its answer has the certificates `carried`, in
        their order, if these are given.
        """
        function = function or hashes.SHA256()
        chosen = {"algorithm": function.name}
        imprinted = {"hash_algorithm": {"algorithm": imprint}, "hashed_message": digest}
        info = {
            "version": "v1",
            "policy": "1.3.6.1.4.1.57264.2",
            "message_imprint": imprinted,
            "serial_number": secrets.randbits(63) | 1,
            "gen_time": at,
            "nonce": nonce or secrets.randbits(63) | 1,
        }
        content = tsp.TSTInfo(info).dump()
        der = self.authority.certificate.public_bytes(Encoding.DER)
        own = asn1_x509.Certificate.load(der)
        named = tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(der).digest()}]})
        over = hashlib.new(function.name, content).digest()
        attributes = cms.CMSAttributes(
            [
                {"type": "content_type", "values": ["tst_info"]},
                {"type": "message_digest", "values": [over]},
                {"type": "signing_certificate_v2", "values": [named]},
            ]
        )
        number = {"issuer": own.issuer, "serial_number": own.serial_number}
        signer = {
            "version": "v1",
            "sid": cms.SignerIdentifier({"issuer_and_serial_number": number}),
            "digest_algorithm": algos.DigestAlgorithm(chosen),
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": f"{function.name}_ecdsa"},
            "signature": self.authority.key.sign(attributes.dump(), ec.ECDSA(function)),
        }
        given = [c.public_bytes(Encoding.DER) for c in carried or ()]
        certificates = [asn1_x509.Certificate.load(c) for c in given] or [own]
        stamped = core.ParsableOctetString(content)
        signed = {
            "version": "v3",
            "digest_algorithms": [chosen],
            "encap_content_info": {"content_type": "tst_info", "content": stamped},
            "certificates": certificates if carried is None or carried else None,
            "signer_infos": [cms.SignerInfo(signer)],
        }
        token = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)})
        response = tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token})
        found: bytes = response.dump()
        # Sets are sorted when they are encoded, which many authorities do not.
        return found.replace(b"".join(sorted(given)), b"".join(given)) if given else found
