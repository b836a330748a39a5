# SPDX-License-Identifier: Apache-2.0
"""The sources of identity tokens: a file, the environment, the CI service, or a browser.

A token is a secret. It is read again for each certificate, and never written to a file or shown in
a message.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from sigstore.oidc import IdentityError, IdentityToken, Issuer, IssuerError, detect_credential

from provenance.artifacts import limits
from provenance.artifacts.documents.strict_json import JsonError, parse_object, type_name
from provenance.artifacts.paths import FileError, read_named_file
from provenance.errors import InputError, UnavailableError

VARIABLES: Final = ("SIGSTORE_ID_TOKEN", "SIGSTORE_IDENTITY_TOKEN")
"""The environment variables that cosign and sigstore-python read."""

HELP: Final = (
    "In CI, allow the job to get an identity token (GitHub Actions: permissions: id-token: "
    f"write). Or put a token in {VARIABLES[0]}, or in a file for --identity-token FILE."
)

_AGAIN: Final = (
    "Get a new token: a JSON Web Token for the audience 'sigstore' that has not expired. Tokens "
    "are valid for some minutes only."
)
_AUDIENCE: Final = "sigstore"
_LAST: Final = 253_402_300_799
"""9999-12-31T23:59:59Z, in seconds since 1970."""

_SKEW: Final = 5
"""The tolerated difference between clocks in seconds, as in `sigstore`."""

Tokens: TypeAlias = Callable[[], IdentityToken]
"""Returns a token that is valid now. Raises UnavailableError or InputError."""


def of_file(path: Path) -> Tokens:
    """Read the token from a file, again for each certificate."""

    def read() -> IdentityToken:
        try:
            raw = read_named_file(path, limits.TOKEN)
        except FileError as e:
            raise InputError(f"identity token {path}: {e.message}", help=e.help) from e
        return _token(raw.decode("utf-8", "replace").strip(), str(path))

    return read


def of_environment() -> Tokens | None:
    """Return the token from the environment, or None."""
    for name in VARIABLES:
        if os.environ.get(name, "").strip():
            return lambda name=name: _token(  # type: ignore[misc]
                os.environ[name].strip(), f"${name}"
            )
    return None


def of_ci() -> Tokens | None:
    """Get the token from the CI service, or None if no CI service offers one.

    Raises:
        UnavailableError: If the CI service offers tokens, but returns none for this job.
    """
    return _ambient if _detect() is not None else None


def of_browser(issuer_url: str) -> Tokens:
    """Get the token by letting the user log in with a browser."""

    def log_in() -> IdentityToken:
        try:
            return Issuer(issuer_url).identity_token()
        except (IdentityError, IssuerError, OSError, ValueError, KeyError) as e:
            raise UnavailableError(
                f"the login at {issuer_url} returned no identity token ({type(e).__name__})",
                help=HELP,
            ) from None

    return log_in


def _ambient() -> IdentityToken:
    raw = _detect()
    if raw is None:
        raise UnavailableError("the identity of this job is no longer available", help=HELP)
    return _token(raw, "this job")


def _detect() -> str | None:
    try:
        return detect_credential()
    except IdentityError as e:
        # The answer of the CI service may contain a token, so it is cut off.
        reason = str(e).partition("body=")[0].strip(" (,")
        raise UnavailableError(
            f"this job has no identity token: {reason[:200]}", help=HELP
        ) from None


def _token(raw: str, source: str) -> IdentityToken:
    reason = _unusable(raw)
    if reason is not None:
        raise UnavailableError(f"identity token of {source}: {reason}", help=_AGAIN) from None
    try:
        return IdentityToken(raw)
    except IdentityError as e:
        raise UnavailableError(f"identity token of {source}: {e}", help=_AGAIN) from None
    except (TypeError, ValueError, KeyError, OverflowError) as e:
        raise UnavailableError(
            f"identity token of {source}: sigstore cannot read it ({type(e).__name__})",
            help=_AGAIN,
        ) from None


def _unusable(raw: str) -> str | None:
    """Return what is wrong with the claims of a token, or None. Fulcio verifies its signature.

    The reason does not quote the token, or any claim in it except times.
    """
    parts = raw.split(".")
    if len(parts) != 3:
        return "malformed: a JSON Web Token has three parts separated by dots"
    try:
        claims = parse_object(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (JsonError, binascii.Error, ValueError):
        return "malformed: its claims cannot be read"
    times: dict[str, float] = {}
    for name in ("iat", "exp", "nbf"):
        value = claims.get(name)
        if value is None:
            if name == "nbf":
                continue
            return f"the time {name!r} is missing"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"the time {name!r}: expected a number of seconds, found {type_name(value)}"
        if not 0 <= value <= _LAST:
            return f"the time {name!r} is out of range"
        times[name] = float(value)
    for name in ("iss", "sub"):
        if not isinstance(claims.get(name), str):
            return f"{name!r} is missing or not a string"
    audience = claims.get("aud")
    if _AUDIENCE not in (audience if isinstance(audience, list) else [audience]):
        return f"it is not for the audience {_AUDIENCE!r}"
    now = time.time()
    if times["exp"] <= now:
        return f"it expired at {_utc(times['exp'])}"
    begins = max(times.get("nbf", 0.0), times["iat"])
    if begins > now + _SKEW:
        return f"it is valid only from {_utc(begins)}; check the clock of this machine"
    return None


def _utc(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
