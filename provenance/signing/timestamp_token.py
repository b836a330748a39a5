# SPDX-License-Identifier: Apache-2.0
"""RFC 3161 timestamp responses, as authorities write them (RFC 5652, signed data).

`rfc3161_client` requires strict DER, and verifies only chains that end in a self-signed root. This
module sorts the certificates of a response, rejects weak hash functions, and verifies signatures of
authorities that are trusted without the certificates above them.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from provenance.frozen import dataclass
from provenance.signing import algorithms

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name
    from rfc3161_client import TimeStampResponse

MAX_CERTIFICATES: Final = 32
"""The maximum number of certificates in a response. No real path is longer."""

_SEQUENCE, _SET, _OID, _OCTETS = 0x30, 0x31, 0x06, 0x04
_CONTEXT_0: Final = 0xA0

_NAMES: Final = {
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}
_SHA1: Final = bytes.fromhex("2b0e03021a")
_SHA1_SIGNATURES: Final = (bytes.fromhex("2a8648ce3d0401"), bytes.fromhex("2a864886f70d010105"))
_SIGNATURES: Final = {
    bytes.fromhex("2a864886f70d010101"): None,  # rsaEncryption uses the digest algorithm
    bytes.fromhex("2a864886f70d01010b"): "sha256",
    bytes.fromhex("2a864886f70d01010c"): "sha384",
    bytes.fromhex("2a864886f70d01010d"): "sha512",
    bytes.fromhex("2a8648ce3d040302"): "sha256",
    bytes.fromhex("2a8648ce3d040303"): "sha384",
    bytes.fromhex("2a8648ce3d040304"): "sha512",
}
"""The supported signature algorithms, and the hash function that each names."""

_CONTENT_TYPE: Final = bytes.fromhex("2a864886f70d010903")
_MESSAGE_DIGEST: Final = bytes.fromhex("2a864886f70d010904")
_TST_INFO: Final = bytes.fromhex("2a864886f70d0109100104")
_IMPRINTS: Final = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}


class TimestampError(ValueError):
    """A timestamp that is not valid. The message gives the reason."""


@dataclass(frozen=True)
class Token:
    """A timestamp response that can be read and uses no weak algorithms.

    Attributes:
        der: The response, with its certificates in the order that DER requires.
        response: The response as `rfc3161_client` reads it.
        time: The time of the timestamp.
        certificates: The certificates in the response, in DER.
    """

    der: bytes
    response: TimeStampResponse
    time: datetime.datetime
    certificates: tuple[bytes, ...]
    _named: tuple[Name, int]
    _signed: _SignedData

    def signer(self, known: list[Certificate]) -> Certificate | None:
        """Return the certificate among `known` that the response names as its signer, or None."""
        for certificate in known:
            if (certificate.issuer, certificate.serial_number) == self._named:
                return certificate
        return None

    def is_signed_by(self, signer: Certificate, message: bytes) -> bool:
        """Return whether the key of a certificate made this timestamp over `message`.

        Raises:
            UnsupportedError: If the kind of the key is not supported.
        """
        signed, imprint = self._signed, self.response.tst_info.message_imprint
        stated = _IMPRINTS[imprint.hash_algorithm.dotted_string]
        if hashlib.new(stated, message).digest() != imprint.message:
            return False
        if _attributes(signed.attributes) != {
            _CONTENT_TYPE: _TST_INFO,
            _MESSAGE_DIGEST: hashlib.new(signed.digest, signed.content).digest(),
        }:
            return False
        return algorithms.is_valid_over(
            signer.public_key(),
            signed.signature,
            bytes([_SET]) + signed.attributes[1:],
            signed.hash,
        )


@dataclass(frozen=True, slots=True)
class _SignedData:
    content: bytes
    attributes: bytes
    digest: str
    hash: str
    signature: bytes


def read(data: bytes) -> Token:
    """Return the timestamp response in `data`.

    Raises:
        TimestampError: If it cannot be read, or uses SHA-1.
        UnsupportedError: If its hash function or signature algorithm is not supported.
    """
    from rfc3161_client import decode_timestamp_response

    try:
        der, certificates = _in_order(data)
        response = decode_timestamp_response(der)
        time = response.tst_info.gen_time
        imprint = response.tst_info.message_imprint.hash_algorithm.dotted_string
        signers = [(s.issuer, s.serial_number) for s in response.signed_data.signer_infos]
    except (ValueError, KeyError) as e:  # KeyError: a name of a type that X.509 does not define
        raise TimestampError("its timestamp cannot be read") from e
    if len(certificates) > MAX_CERTIFICATES:
        raise TimestampError(
            f"its timestamp has {len(certificates)} certificates, expected at most "
            f"{MAX_CERTIFICATES}"
        )
    if len(signers) != 1:
        raise TimestampError(f"its timestamp has {len(signers)} signers, expected 1")
    try:
        signed = _signed_data(der)
    except _DerError as e:
        raise TimestampError("its timestamp cannot be read") from e
    if imprint == "1.3.14.3.2.26":
        raise TimestampError("its timestamp uses SHA-1, which is not secure")
    if imprint not in _IMPRINTS:
        raise algorithms.UnsupportedError(
            f"its timestamp uses an unsupported hash function ({imprint})"
        )
    return Token(der, response, time, certificates, signers[0], signed)


def in_order(data: bytes) -> bytes:
    """Return a response with its certificates in the order that DER requires.

    Data without certificates, or that is not such a response, is returned unchanged.
    """
    try:
        return _in_order(data)[0]
    except _DerError:
        return data


class _DerError(ValueError):
    """Bytes that are not the expected DER."""


def _element(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Return the tag of the element at `at`, and the begin and end of its value."""
    if at + 2 > end or data[at] & 0x1F == 0x1F:
        raise _DerError
    length, begin = data[at + 1], at + 2
    if length >= 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or begin + count > end:
            raise _DerError
        length = int.from_bytes(data[begin : begin + count], "big")
        begin += count
    if begin + length > end:
        raise _DerError
    return data[at], begin, begin + length


def _elements(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the elements in a range: tag, begin of the element, and begin and end of its value."""
    at = begin
    while at < end:
        tag, value, after = _element(data, at, end)
        yield tag, at, value, after
        at = after


def _into(data: bytes, begin: int, end: int, *steps: tuple[int, int]) -> tuple[int, int]:
    """Return the range of a nested value. Each step is the index of an element, and its tag."""
    for place, tag in steps:
        elements = list(_elements(data, begin, end))
        if place >= len(elements) or elements[place][0] != tag:
            raise _DerError
        begin, end = elements[place][2:]
    return begin, end


def _signed_range(data: bytes) -> tuple[int, int]:
    """Return the range of the members of the SignedData in a response."""
    _, begin, end = _element(data, 0, len(data))
    return _into(data, begin, end, (1, _SEQUENCE), (1, _CONTEXT_0), (0, _SEQUENCE))


def _in_order(data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """Return the response with its certificates sorted as DER requires, and the certificates.

    The certificates are not signed, and sorting them changes no length.
    """
    begin, end = _signed_range(data)
    for tag, _, value, after in _elements(data, begin, end):
        if tag == _CONTEXT_0:
            certificates = sorted(data[at:stop] for _, at, _, stop in _elements(data, value, after))
            ordered = data[:value] + b"".join(certificates) + data[after:]
            return ordered, tuple(certificates)
    return data, ()


def _signed_data(data: bytes) -> _SignedData:
    """Return the data that the only signer signed.

    Raises:
        TimestampError: If nothing is signed, or SHA-1 is used.
        UnsupportedError: If the signature algorithm is not supported.
        _DerError: If it cannot be read.
    """
    begin, end = _signed_range(data)
    at, stop = _into(data, begin, end, (2, _SEQUENCE), (1, _CONTEXT_0), (0, _OCTETS))
    content = data[at:stop]
    tag, _, at, stop = list(_elements(data, begin, end))[-1]
    if tag != _SET:
        raise _DerError
    _, at, stop = _element(data, at, stop)  # the only SignerInfo
    parts = list(_elements(data, at, stop))
    if len(parts) < 6 or parts[3][0] != _CONTEXT_0:
        raise TimestampError("its timestamp has no signed attributes")
    digest = _oid(data, parts[2])
    algorithm = _oid(data, parts[4])
    if digest == _SHA1 or algorithm in _SHA1_SIGNATURES:
        raise TimestampError("its timestamp is signed with SHA-1, which is not secure")
    if digest not in _NAMES or algorithm not in _SIGNATURES:
        raise algorithms.UnsupportedError("its timestamp has an unsupported signature algorithm")
    if parts[5][0] != _OCTETS:
        raise _DerError
    attributes = data[parts[3][1] : parts[3][3]]
    signature = data[parts[5][2] : parts[5][3]]
    name = _NAMES[digest]
    return _SignedData(content, attributes, name, _SIGNATURES[algorithm] or name, signature)


def _oid(data: bytes, part: tuple[int, int, int, int]) -> bytes:
    """Return the object identifier of an AlgorithmIdentifier."""
    tag, _, begin, end = part
    if tag != _SEQUENCE:
        raise _DerError
    begin, end = _into(data, begin, end, (0, _OID))
    return data[begin:end]


def _attributes(data: bytes) -> dict[bytes, bytes]:
    """Return the content type and the message digest among the signed attributes, by OID.

    Returns an empty dict if an attribute occurs twice or has several values.
    """
    values: dict[bytes, bytes] = {}
    try:
        _, begin, end = _element(data, 0, len(data))
        for _, _, value, after in _elements(data, begin, end):
            at, stop = _into(data, value, after, (0, _OID))
            oid = data[at:stop]
            if oid not in (_CONTENT_TYPE, _MESSAGE_DIGEST):
                continue
            at, stop = _into(data, value, after, (1, _SET))
            _, begin_value, end_value = _element(data, at, stop)
            if oid in values or end_value != stop:
                return {}
            values[oid] = data[begin_value:end_value]
    except _DerError:
        return {}
    return values
