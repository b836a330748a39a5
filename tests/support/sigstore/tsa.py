# SPDX-License-Identifier: Apache-2.0
"""A timestamp authority (RFC 3161)."""

from __future__ import annotations

import datetime
import hashlib
import secrets
from dataclasses import dataclass

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
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

    def stamp(self, signature: bytes, at: datetime.datetime) -> bytes:
        """A granted timestamp response over a signature, DER."""
        return self.stamp_digest(hashlib.sha256(signature).digest(), at)

    def stamp_digest(self, digest: bytes, at: datetime.datetime, nonce: int | None = None) -> bytes:
        """The same over the SHA-256 of a signature, which is all that an authority is told."""
        sha256 = {"algorithm": "sha256"}
        info = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": "1.3.6.1.4.1.57264.2",
                "message_imprint": {
                    "hash_algorithm": sha256,
                    "hashed_message": digest,
                },
                "serial_number": secrets.randbits(63) | 1,
                "gen_time": at,
                "nonce": nonce or secrets.randbits(63) | 1,
            }
        )
        content = info.dump()
        der = self.authority.certificate.public_bytes(Encoding.DER)
        certificate = asn1_x509.Certificate.load(der)
        attributes = cms.CMSAttributes(
            [
                {"type": "content_type", "values": ["tst_info"]},
                {"type": "message_digest", "values": [hashlib.sha256(content).digest()]},
                {
                    "type": "signing_certificate_v2",
                    "values": [
                        tsp.SigningCertificateV2(
                            {"certs": [{"cert_hash": hashlib.sha256(der).digest()}]}
                        )
                    ],
                },
            ]
        )
        signed = self.authority.key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256()))
        signer = cms.SignerInfo(
            {
                "version": "v1",
                "sid": cms.SignerIdentifier(
                    {
                        "issuer_and_serial_number": {
                            "issuer": certificate.issuer,
                            "serial_number": certificate.serial_number,
                        }
                    }
                ),
                "digest_algorithm": algos.DigestAlgorithm(sha256),
                "signed_attrs": attributes,
                "signature_algorithm": {"algorithm": "sha256_ecdsa"},
                "signature": signed,
            }
        )
        token = cms.ContentInfo(
            {
                "content_type": "signed_data",
                "content": cms.SignedData(
                    {
                        "version": "v3",
                        "digest_algorithms": [sha256],
                        "encap_content_info": {
                            "content_type": "tst_info",
                            "content": core.ParsableOctetString(content),
                        },
                        "certificates": [certificate],
                        "signer_infos": [signer],
                    }
                ),
            }
        )
        response = tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token})
        found: bytes = response.dump()
        return found
