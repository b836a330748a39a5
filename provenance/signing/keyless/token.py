# SPDX-License-Identifier: Apache-2.0
"""Where identity tokens come from: a file, the environment, the CI that this runs in, a browser.

A token is a secret: read anew for each certificate, never kept in a file, shown by no message.
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
    "In CI, allow the job to ask for an identity token (GitHub Actions: permissions: id-token: "
    f"write). Or put a token in {VARIABLES[0]}, or in a file for --identity-token FILE."
)

_AGAIN: Final = (
    "It has to be a JSON Web Token for the audience 'sigstore' that is valid now: they last some "
    "minutes. Ask for a new one."
)
_AUDIENCE: Final = "sigstore"
_LAST: Final = 253_402_300_799
"""9999-12-31T23:59:59Z, in seconds since 1970."""

_SKEW: Final = 5
"""Seconds by which clocks may differ, as in `sigstore`."""

Tokens: TypeAlias = Callable[[], IdentityToken]
"""Gives a token that is valid now. Raises UnavailableError or InputError."""


def of_file(path: Path) -> Tokens:
    """The token in a file, which may be replaced while this runs."""

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
    """Return the identity of this CI job, or None. Raises UnavailableError if it cannot be had."""
    return _ambient if _detect() is not None else None


def of_browser(issuer_url: str) -> Tokens:
    """Asks the user at the terminal to log in with a browser."""

    def log_in() -> IdentityToken:
        try:
            return Issuer(issuer_url).identity_token()
        except (IdentityError, IssuerError, OSError, ValueError, KeyError) as e:
            raise UnavailableError(
                f"the login with {issuer_url} gave no identity token ({type(e).__name__})",
                help=HELP,
            ) from None

    return log_in


def _ambient() -> IdentityToken:
    raw = _detect()
    if raw is None:
        raise UnavailableError("the identity of this job cannot be had any more", help=HELP)
    return _token(raw, "this job")


def _detect() -> str | None:
    try:
        return detect_credential()
    except IdentityError as e:
        # What the CI's own service answered may hold a token: only the first line, up to it.
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
    """What is wrong with a token, as far as its claims say; who signed it is for Fulcio to judge.

    No message quotes the token, or a claim in it that is not a time.
    """
    parts = raw.split(".")
    if len(parts) != 3:
        return "malformed: a JSON Web Token has three parts between dots"
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
            return f"it has no time {name!r}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"its time {name!r} is {type_name(value)}, expected a number of seconds"
        if not 0 <= value <= _LAST:
            return f"its time {name!r} is out of range"
        times[name] = float(value)
    for name in ("iss", "sub"):
        if not isinstance(claims.get(name), str):
            return f"it has no {name!r} that is a string"
    audience = claims.get("aud")
    if _AUDIENCE not in (audience if isinstance(audience, list) else [audience]):
        return f"it is for another audience than {_AUDIENCE!r}"
    now = time.time()
    if times["exp"] <= now:
        return f"it expired at {_utc(times['exp'])}"
    begins = max(times.get("nbf", 0.0), times["iat"])
    if begins > now + _SKEW:
        return f"it is valid only from {_utc(begins)}: is the clock of this machine right?"
    return None


def _utc(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
