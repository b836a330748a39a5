# SPDX-License-Identifier: Apache-2.0
"""RFC 3161 timestamps on signatures that a key made.

Those on signatures with a certificate are judged by `sigstore`, with everything else of them.
"""

from __future__ import annotations

from provenance.attestations.bundle import Bundle
from provenance.signing.judgement import Clock, Moment
from provenance.signing.trusted_root import Authority, TrustedRoot

NO_ROOT_HELP = (
    "Give the trusted root of the instance: --trusted-root FILE, or trusted_root in [trust]."
)


class TimestampError(ValueError):
    """A timestamp that no trusted authority made over this signature. The message says why."""


def judge(bundle: Bundle, root: TrustedRoot) -> tuple[Moment, ...]:
    """When the signature in `bundle` was made. Each timestamp has to be a trusted authority's.

    Raises:
        TimestampError: One is not.
    """
    return tuple(_moment(t, bundle.content.signature, root) for t in bundle.timestamps)


def _moment(timestamp: bytes, signature: bytes, root: TrustedRoot) -> Moment:
    from rfc3161_client import decode_timestamp_response

    try:
        response = decode_timestamp_response(timestamp)
        time = response.tst_info.gen_time
    except ValueError as e:
        raise TimestampError("its timestamp cannot be read") from e
    authorities = [a for a in root.timestamp_authorities if a.in_service(time)]
    if not any(_made(response, signature, a) for a in authorities):
        raise TimestampError(
            f"its timestamp of {time.isoformat()} is by no authority that was trusted then"
        )
    return Moment(time, Clock.TIMESTAMP)


def _made(response: object, signature: bytes, authority: Authority) -> bool:
    from cryptography import x509
    from rfc3161_client import TimeStampResponse, VerificationError, VerifierBuilder

    assert isinstance(response, TimeStampResponse)
    if len(authority.certificates) < 2:
        return False
    leaf, *between, root = (x509.load_der_x509_certificate(c) for c in authority.certificates)
    verifier = VerifierBuilder(tsa_certificate=leaf, intermediates=between, roots=[root]).build()
    try:
        return verifier.verify_message(response, signature)
    except (VerificationError, ValueError):
        return False
