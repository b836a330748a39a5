# SPDX-License-Identifier: Apache-2.0
"""The signer of a release, and how others verify it: a key, or an identity at an instance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tests.interop.instance.instance import Instance


@dataclass(frozen=True)
class Key:
    """An ECDSA P-256 key pair in PEM, the private key as PKCS#8."""

    private: Path
    public: Path

    @property
    def verifying(self) -> tuple[str | Path, ...]:
        """Return the options with which `provenance verify` trusts this key."""
        return ("--key", self.public)

    def __str__(self) -> str:
        return "key"


@dataclass(frozen=True)
class Identity:
    """The workflow of the instance's issuer."""

    instance: Instance

    @property
    def subject(self) -> str:
        return self.instance.subject

    @property
    def issuer(self) -> str:
        return self.instance.issuer_url

    @property
    def verifying(self) -> tuple[str | Path, ...]:
        """Return the options with which `provenance verify` trusts this identity."""
        return (
            *("--identity", self.subject, "--issuer", self.issuer),
            *("--trusted-root", self.instance.trusted_root),
        )

    def __str__(self) -> str:
        return "keyless"


Credential: TypeAlias = Key | Identity
