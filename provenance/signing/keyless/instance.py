# SPDX-License-Identifier: Apache-2.0
"""Sigstore instances to sign with, and the trusted roots of the public instances."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import platformdirs
from cryptography.hazmat.primitives.serialization import Encoding
from sigstore.errors import Error
from sigstore.models import ClientTrustConfig

from provenance.artifacts import limits
from provenance.artifacts.documents.strict_json import parse_object, type_name
from provenance.artifacts.paths import FileError, read_named_file
from provenance.attestations import recognition
from provenance.errors import InputError, UnavailableError
from provenance.frozen import dataclass
from provenance.signing import trusted_root
from provenance.signing.services import LogService
from provenance.signing.trusted_root import SIGNING_CONFIG, TrustedRoot

_CONFIG_HELP: Final = (
    "A client trust configuration is the JSON with a trusted root and a signing configuration "
    "(v0.2) that the operator of the instance publishes. A trusted root alone is for verifying; "
    "give it with --trusted-root."
)
_MAKE: Final = {
    trusted_root.Instance.PRODUCTION: ClientTrustConfig.production,
    trusted_root.Instance.STAGING: ClientTrustConfig.staging,
}


@dataclass(frozen=True)
class SigningInstance:
    """A Sigstore instance to sign with.

    Attributes:
        source: Where its configuration was read from, for messages.
        config: The services of the instance.
        root: The trusted root of the instance.
    """

    source: str
    config: ClientTrustConfig
    root: TrustedRoot


def of_file(path: Path) -> SigningInstance:
    """Return the instance that a client trust configuration describes.

    Raises:
        InputError: If the file cannot be read or is not valid.
    """
    try:
        data = read_named_file(path, limits.TRUSTED_ROOT)
    except FileError as e:
        raise InputError(f"trust configuration {path}: {e.message}", help=e.help) from e
    named = recognition.name_of(data)
    if named != recognition.CLIENT_CONFIG:
        raise InputError(
            f"trust configuration {path}: expected a client trust configuration, found "
            f"{named or 'another document'}",
            help=_CONFIG_HELP,
        )
    root = trusted_root.of_bytes(data, str(path))
    _check_signing(parse_object(data), path)
    try:
        config = ClientTrustConfig.from_json(data.decode("utf-8"))
        _ = config.signing_config, config.trusted_root  # these are parsed on access
    except (Error, ValueError) as e:
        raise InputError(
            f"trust configuration {path}: cannot sign with this instance: {_line(e)}",
            help=_CONFIG_HELP,
        ) from e
    return SigningInstance(str(path), config, root)


def _check_signing(config: Mapping[str, Any], path: Path) -> None:
    """Check that the signing configuration has a supported version.

    Raises:
        InputError: If it has not.
    """
    value = config.get("signingConfig")
    where = f"trust configuration {path}: signingConfig"
    if not isinstance(value, dict):
        raise InputError(
            f"{where}: expected an object, found {type_name(value)}", help=_CONFIG_HELP
        )
    version = value.get("mediaType")
    if version != SIGNING_CONFIG:
        shown = repr(version[:120]) if isinstance(version, str) else type_name(version)
        raise InputError(
            f"{where}.mediaType: expected {SIGNING_CONFIG!r}, found {shown}",
            help=_CONFIG_HELP,
        )


def of_public(instance: trusted_root.Instance) -> SigningInstance:
    """Return a public instance, as its TUF repository describes it.

    Raises:
        UnavailableError: If the repository does not answer.
    """
    config = _load(instance, offline=False)
    return SigningInstance(instance.value, config, _root(instance, config))


def log_service(instance: SigningInstance) -> LogService:
    """Return the log that `sigstore` chooses for an instance."""
    api = _url(instance.config.signing_config.get_tlogs()[0])
    return LogService(f"{api}/log/entries", 1 if api.endswith("/api/v1") else 2)


def timestamp_urls(instance: SigningInstance) -> tuple[str, ...]:
    """Return the timestamp authorities that `sigstore` chooses for an instance."""
    return tuple(_url(a) for a in instance.config.signing_config.get_tsas())


def _url(client: object) -> str:
    """Return the URL of a `sigstore` client.

    These clients are not public and their `url` is not documented, but there is no other way to
    know which service was chosen.
    """
    url: str = client.url  # type: ignore[attr-defined]
    return url


def fetch_root(instance: trusted_root.Instance, *, offline: bool) -> TrustedRoot:
    """Return the trusted root of a public instance, updated with TUF unless `offline`.

    Raises:
        UnavailableError: If the repository does not answer, or the cached root cannot be used.
    """
    return _root(instance, _load(instance, offline=offline))


def _load(instance: trusted_root.Instance, *, offline: bool) -> ClientTrustConfig:
    try:
        return _MAKE[instance](offline=offline)
    except (Error, OSError, ValueError) as e:
        raise UnavailableError(
            f"the trusted root of {instance.value} could not be fetched: {_line(e)}",
            help="Use the cached root with --offline, or give the root with --trusted-root FILE.",
        ) from e


def _root(instance: trusted_root.Instance, config: ClientTrustConfig) -> TrustedRoot:
    """Read the trusted root from the cache of `sigstore`, and compare it with the loaded one."""
    # The README of `sigstore` documents this folder.
    repository = quote(f"https://tuf-repo-cdn.{instance.value}", safe="")
    cache = Path(platformdirs.user_cache_dir("sigstore-python", "sigstore"))
    path = cache / "tuf" / repository / "trusted_root.json"
    try:
        root = trusted_root.of_bytes(read_named_file(path, limits.TRUSTED_ROOT), instance.value)
        loaded = config.trusted_root.get_fulcio_certs()
    except (FileError, InputError) as e:
        raise UnavailableError(
            f"the cached trusted root of {instance.value} ({path}): {e.message}",
            help="Give it with --trusted-root FILE.",
        ) from e
    except (Error, ValueError) as e:
        raise UnavailableError(
            f"the trusted root of {instance.value} cannot be used: {_line(e)}",
            help="Give it with --trusted-root FILE.",
        ) from e
    cached = {c for a in root.authorities for c in a.certificates}
    if {c.public_bytes(Encoding.DER) for c in loaded} != cached:
        raise UnavailableError(
            f"{path} differs from the trusted root that sigstore loaded",
            help="Give it with --trusted-root FILE.",
        )
    return root


def _line(error: Exception) -> str:
    """Return an error of `sigstore` as one line. Of a list of errors, only the first is shown."""
    errors = getattr(error, "errors", None)
    if callable(errors):
        first = errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        return f"{place or 'it'} cannot be read"[:300]
    text = " ".join(str(error).split())
    return text[:300] or type(error).__name__
