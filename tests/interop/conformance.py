# SPDX-License-Identifier: Apache-2.0
"""The conformance client, run as the conformance suite runs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.interop.credentials import Identity
from tests.interop.peers import HERE
from tests.interop.release import refusal_of

CLIENT: Final = HERE / "conformance-client"


def sign(file: Path, bundle: Path, by: Identity, *more: str) -> None:
    """Run `sign-bundle` with the token as an argument, as the protocol requires."""
    instance = by.instance
    options = ("--identity-token", instance.token(), "--bundle", bundle)
    roots = ("--signing-config", instance.signing_config, "--trusted-root", instance.trusted_root)
    error = refusal_of([sys.executable, CLIENT, "sign-bundle", *options, *roots, *more, file], {})
    assert error is None, error


def verify(target: str | Path, bundle: Path, by: Identity) -> str | None:
    """Return None if `verify-bundle` accepts, else its error."""
    expected = ("--certificate-identity", by.subject, "--certificate-oidc-issuer", by.issuer)
    root = ("--trusted-root", by.instance.trusted_root)
    options = ("--bundle", bundle, *expected, *root)
    return refusal_of([sys.executable, CLIENT, "verify-bundle", *options, target], {})
