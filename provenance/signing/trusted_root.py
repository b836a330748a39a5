# SPDX-License-Identifier: Apache-2.0
"""Trusted roots: the authorities and logs of a Sigstore instance, and when each was in service.

`sigstore` is given a root that is narrowed to one moment, because it tries every key. Periods are
judged here and nowhere else; both of their ends count (protobuf-specs, TimeRange).
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
"""Trusted roots of one file."""

MAX_CHAIN: Final = 32
"""Certificates of one authority."""

_ROOT = ("mediaType", "tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities")
_LOG = ("baseUrl", "hashAlgorithm", "publicKey", "logId", "checkpointKeyId", "operator")
_AUTHORITY = ("subject", "uri", "certChain", "validFor", "operator")


class Instance(enum.Enum):
    """The public Sigstore instances."""

    PRODUCTION = "sigstore.dev"
    STAGING = "sigstage.dev"


@dataclass(frozen=True, slots=True)
class Period:
    """When something was in service. None is an end that is open."""

    start: datetime.datetime | None = None
    end: datetime.datetime | None = None

    def contains(self, moment: datetime.datetime) -> bool:
        """Whether it was in service then; both ends count."""
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
        log_id: How entries and certificates name it.
        public_key: DER SubjectPublicKeyInfo.
        key_details: The key's algorithm, as trusted roots name it.
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
        """The names by which a log of Rekor v1 may call itself: its host, also with its port."""
        return self.host, urlsplit(self.url).netloc


@dataclass(frozen=True)
class Authority:
    """A certificate or timestamp authority: its chain, leaf or intermediate first, root last.

    Attributes:
        is_whole: Of a timestamp authority: its own certificate is first, and a self-signed root
            last. Otherwise it is listed in part.
    """

    certificates: tuple[bytes, ...]
    period: Period = Period()
    is_whole: bool = False

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """Its certificates, parsed."""
        from cryptography.x509 import load_der_x509_certificate

        return tuple(map(load_der_x509_certificate, self.certificates))

    def in_service(self, moment: datetime.datetime) -> bool:
        """Whether the authority and each of its certificates were valid then."""
        return self.period.contains(moment) and all(
            c.not_valid_before_utc <= moment <= c.not_valid_after_utc for c in self.chain
        )


@dataclass(frozen=True)
class TrustedRoot:
    """Whose certificates, logs and timestamps count. `source` says where it was read.

    `others` are those of further instances, if a file holds several. A signature holds by one of
    them as a whole: the authorities of one instance say nothing about the logs of another.
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
        """The transparency log that an entry names."""
        return next((log for log in self.logs if log.log_id == log_id), None)

    def ct_log(self, log_id: bytes) -> Log | None:
        """The certificate transparency log that a certificate names."""
        return next((log for log in self.ct_logs if log.log_id == log_id), None)


def of_file(path: Path) -> TrustedRoot:
    """Return the trusted root in a file, which may be a trust configuration. Raises InputError."""
    try:
        data = paths.read_named_file(path, limits.TRUSTED_ROOT)
    except paths.FileError as e:
        raise InputError(f"trusted root {path}: {e.message}", help=e.help) from e
    return of_bytes(data, str(path))


def of_bytes(data: bytes, source: str) -> TrustedRoot:
    """Return the trusted root in `data`; `source` is where it was read. Raises InputError."""
    try:
        return decode(data, source)
    except ProtoJsonError as e:
        raise InputError(
            f"{source}: {e}",
            help="A trusted root is the JSON that the operator of a Sigstore instance publishes.",
        ) from e


def decode(data: bytes, source: str) -> TrustedRoot:
    """Return the trusted root in `data`: on its own, or in a client trust configuration.

    `gh attestation trusted-root` writes the roots of several instances, one a line. Raises
    ProtoJsonError.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    documents = tuple(dict.fromkeys(recognition.lines(data)))
    if len(documents) == 1:
        return _decode(documents[0], source, sha256)
    if len(documents) > MAX_INSTANCES:
        raise ProtoJsonError(f"it has {len(documents)} lines, at most {MAX_INSTANCES} are read")
    found = []
    for number, line in enumerate(documents, 1):
        try:
            found.append(_decode(line, source, sha256))
        except ProtoJsonError as e:
            raise ProtoJsonError(f"line {number}: {e}") from e
    first, *others = found
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
            raise ProtoJsonError("the client trust configuration holds no trusted root")
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
        raise ProtoJsonError(f"{key} names one log twice")
    return logs


def _log(value: Message) -> Log:
    key = value.message("publicKey", ("rawBytes", "keyDetails", "validFor"))
    if value.text("hashAlgorithm") not in ("", "SHA2_256"):
        raise ProtoJsonError(f"{value.at('hashAlgorithm')} is not SHA2_256")
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
        raise ProtoJsonError(f"{chain.where} holds no certificate")
    for message, der in zip(messages, certificates, strict=True):
        try:
            x509.load_der_x509_certificate(der)
        except ValueError as e:
            raise ProtoJsonError(f"{message.where} is not an X.509 certificate") from e
    return Authority(certificates, _period(value))


def _arranged(authority: Authority) -> Authority:
    """A timestamp authority with its certificates in the order in which others read them."""
    from cryptography.hazmat.primitives.serialization import Encoding

    listed = Listed.of(authority.chain)
    if not listed.is_whole:
        return authority
    path = tuple(c.public_bytes(Encoding.DER) for c in listed.path)
    return replace(authority, certificates=path, is_whole=True)


def _period(holder: Message) -> Period:
    """Require that a period has a beginning."""
    period = holder.message("validFor", ("start", "end"))
    start = period.time("start")
    if start is None:
        raise ProtoJsonError(f"{period.where} has no start")
    return Period(start, period.time("end"))
