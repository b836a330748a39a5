# SPDX-License-Identifier: Apache-2.0
"""Trusted roots: the authorities and logs of a Sigstore instance, and when each was in service.

`sigstore` tries every key, so it gets a root that is reduced to what was in service at one moment.
Only this module checks periods. Both ends of a period are part of it (protobuf-specs, TimeRange).
"""

from __future__ import annotations

import datetime
import enum
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from provenance.artifacts import limits, paths
from provenance.artifacts.documents.strict_json import JsonError, parse_object
from provenance.attestations import recognition
from provenance.attestations.proto_json import Message, ProtoJsonError
from provenance.errors import InputError
from provenance.frozen import dataclass
from provenance.signing.certificate_path import Listed

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
MEDIA_TYPES: Final = (MEDIA_TYPE, "application/vnd.dev.sigstore.trustedroot.v0.2+json")
CLIENT_CONFIG: Final = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
SIGNING_CONFIG: Final = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
MAX_ENTRIES: Final = 256
MAX_INSTANCES: Final = 16
"""The maximum number of trusted roots in one file."""

MAX_CHAIN: Final = 32
"""The maximum number of certificates of one authority."""

_ROOT = ("mediaType", "tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities")
_LOG = ("baseUrl", "hashAlgorithm", "publicKey", "logId", "checkpointKeyId", "operator")
_AUTHORITY = ("subject", "uri", "certChain", "validFor", "operator")


class Instance(enum.Enum):
    """The public Sigstore instances."""

    PRODUCTION = "sigstore.dev"
    STAGING = "sigstage.dev"


@dataclass(frozen=True, slots=True)
class Period:
    """The period in which something was in service. None means that an end is open."""

    start: datetime.datetime | None = None
    end: datetime.datetime | None = None

    def contains(self, moment: datetime.datetime) -> bool:
        """Return whether `moment` is in the period; both ends are part of it."""
        return (self.start is None or self.start <= moment) and (
            self.end is None or moment <= self.end
        )

    def __str__(self) -> str:
        start = self.start.isoformat() if self.start else "the beginning"
        return f"from {start} to {self.end.isoformat()}" if self.end else f"since {start}"


@dataclass(frozen=True)
class Log:
    """A transparency log or a certificate transparency log.

    Attributes:
        url: The base URL of the log.
        log_id: The id that entries and certificates contain.
        public_key: The key, as DER SubjectPublicKeyInfo.
        key_details: The algorithm of the key, as trusted roots name it.
        period: When the log was in service.
    """

    url: str
    log_id: bytes
    public_key: bytes
    key_details: str
    period: Period = Period()

    @property
    def host(self) -> str:
        """The name that the log's checkpoints start with."""
        return urlsplit(self.url).hostname or ""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names that a log of Rekor v1 uses: its host, with or without the port."""
        return self.host, urlsplit(self.url).netloc


@dataclass(frozen=True)
class Authority:
    """A certificate authority or timestamp authority.

    Attributes:
        certificates: Its chain in DER: leaf or intermediate first, root last.
        period: When it was in service.
        is_whole: For a timestamp authority, whether the chain is complete, from its own certificate
            up to a self-signed root.
    """

    certificates: tuple[bytes, ...]
    period: Period = Period()
    is_whole: bool = False

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """The parsed certificates."""
        from cryptography.x509 import load_der_x509_certificate

        return tuple(map(load_der_x509_certificate, self.certificates))

    def in_service(self, moment: datetime.datetime) -> bool:
        """Return whether the authority was in service and its certificates valid at `moment`."""
        return self.period.contains(moment) and all(
            c.not_valid_before_utc <= moment <= c.not_valid_after_utc for c in self.chain
        )


@dataclass(frozen=True)
class TrustedRoot:
    """The trusted certificate authorities, logs and timestamp authorities of a Sigstore instance.

    A signature must verify with one root alone. The authorities of one instance and the logs of
    another cannot be combined.

    Attributes:
        source: Where it was read from, for messages.
        sha256: The SHA-256 of the file, in hex.
        logs: The transparency logs.
        ct_logs: The certificate transparency logs.
        authorities: The certificate authorities.
        timestamp_authorities: The timestamp authorities.
        others: The trusted roots of further instances in the same file.
    """

    source: str
    sha256: str
    logs: tuple[Log, ...]
    ct_logs: tuple[Log, ...]
    authorities: tuple[Authority, ...]
    timestamp_authorities: tuple[Authority, ...]
    others: tuple[TrustedRoot, ...] = ()

    @property
    def each(self) -> tuple[TrustedRoot, ...]:
        """The trusted root of each instance."""
        return (self, *self.others)

    def log(self, log_id: bytes) -> Log | None:
        """Return the transparency log with this id, or None."""
        return next((log for log in self.logs if log.log_id == log_id), None)

    def ct_log(self, log_id: bytes) -> Log | None:
        """Return the certificate transparency log with this id, or None."""
        return next((log for log in self.ct_logs if log.log_id == log_id), None)


def of_file(path: Path) -> TrustedRoot:
    """Return the trusted root in a file, which may be a client trust configuration.

    Raises:
        InputError: If the file cannot be read or is not valid.
    """
    try:
        data = paths.read_named_file(path, limits.TRUSTED_ROOT)
    except paths.FileError as e:
        raise InputError(f"trusted root {path}: {e.message}", help=e.help) from e
    return of_bytes(data, str(path))


def of_bytes(data: bytes, source: str) -> TrustedRoot:
    """Return the trusted root in `data`; `source` is where it was read from.

    Raises:
        InputError: If it is not valid.
    """
    try:
        return decode(data, source)
    except ProtoJsonError as e:
        raise InputError(
            f"{source}: {e}",
            help="A trusted root is the JSON that the operator of a Sigstore instance publishes.",
        ) from e


def decode(data: bytes, source: str) -> TrustedRoot:
    """Return the trusted root in `data`, which may be a client trust configuration.

    The data may have several roots, each on its own line, as `gh attestation trusted-root` writes
    them.

    Raises:
        ProtoJsonError: If a root is not valid.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    documents = tuple(dict.fromkeys(recognition.lines(data)))
    if len(documents) == 1:
        return _decode(documents[0], source, sha256)
    if len(documents) > MAX_INSTANCES:
        raise ProtoJsonError(
            f"it has {len(documents)} lines, at most {MAX_INSTANCES} are supported"
        )
    roots = []
    for number, line in enumerate(documents, 1):
        try:
            roots.append(_decode(line, source, sha256))
        except ProtoJsonError as e:
            raise ProtoJsonError(f"line {number}: {e}") from e
    first, *others = roots
    return replace(first, others=tuple(others))


def _decode(data: bytes, source: str, sha256: str) -> TrustedRoot:
    named = recognition.name_of(data)
    if named not in (None, recognition.TRUSTED_ROOT, recognition.CLIENT_CONFIG):
        raise ProtoJsonError(f"it is {named}, expected a trusted root")
    try:
        value = parse_object(data)
    except JsonError as e:
        raise ProtoJsonError(f"the trusted root {e}") from e
    if value.get("mediaType") == CLIENT_CONFIG:
        Message(value, "", ("mediaType", "trustedRoot", "signingConfig"))
        inner = value.get("trustedRoot")
        if not isinstance(inner, dict):
            raise ProtoJsonError("the client trust configuration has no trusted root")
        value = inner
    root = Message(value, "", _ROOT)
    if root.text("mediaType") not in MEDIA_TYPES:
        raise ProtoJsonError(
            f"its mediaType is {root.text('mediaType')[:120]!r}, expected {MEDIA_TYPE}"
        )
    return TrustedRoot(
        source=source,
        sha256=sha256,
        logs=_logs(root, "tlogs"),
        ct_logs=_logs(root, "ctlogs"),
        authorities=_authorities(root, "certificateAuthorities"),
        timestamp_authorities=tuple(
            _arranged(a) for a in _authorities(root, "timestampAuthorities")
        ),
    )


def _logs(root: Message, key: str) -> tuple[Log, ...]:
    logs = tuple(_log(m) for m in root.messages(key, _LOG, MAX_ENTRIES))
    if len({log.log_id for log in logs}) != len(logs):
        raise ProtoJsonError(f"{key} has the same log twice")
    return logs


def _log(value: Message) -> Log:
    key = value.message("publicKey", ("rawBytes", "keyDetails", "validFor"))
    if value.text("hashAlgorithm") not in ("", "SHA2_256"):
        raise ProtoJsonError(
            f"{value.at('hashAlgorithm')}: expected SHA2_256, "
            f"found {value.text('hashAlgorithm')[:60]!r}"
        )
    return Log(
        url=value.text("baseUrl"),
        log_id=value.message("logId", ("keyId",)).octets("keyId"),
        public_key=key.octets("rawBytes"),
        key_details=key.text("keyDetails"),
        period=_period(key) if key.has("validFor") else Period(),
    )


def _authorities(root: Message, key: str) -> tuple[Authority, ...]:
    return tuple(_authority(m) for m in root.messages(key, _AUTHORITY, MAX_ENTRIES))


def _authority(value: Message) -> Authority:
    from cryptography import x509

    chain = value.message("certChain", ("certificates",))
    messages = chain.messages("certificates", ("rawBytes",), MAX_CHAIN)
    certificates = tuple(m.octets("rawBytes") for m in messages)
    if not certificates:
        raise ProtoJsonError(f"{chain.where} has no certificate")
    for message, der in zip(messages, certificates, strict=True):
        try:
            x509.load_der_x509_certificate(der)
        except ValueError as e:
            raise ProtoJsonError(f"{message.where} is not an X.509 certificate") from e
    return Authority(certificates, _period(value))


def _arranged(authority: Authority) -> Authority:
    """Return a timestamp authority with its certificates in the usual order, if complete."""
    from cryptography.hazmat.primitives.serialization import Encoding

    listed = Listed.of(authority.chain)
    if not listed.is_whole:
        return authority
    path = tuple(c.public_bytes(Encoding.DER) for c in listed.path)
    return replace(authority, certificates=path, is_whole=True)


def _period(holder: Message) -> Period:
    """Return the period of a log or authority, which must have a start.

    Raises:
        ProtoJsonError: If it has no start.
    """
    period = holder.message("validFor", ("start", "end"))
    start = period.time("start")
    if start is None:
        raise ProtoJsonError(f"{period.where} has no start")
    return Period(start, period.time("end"))
