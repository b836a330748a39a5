# SPDX-License-Identifier: Apache-2.0
"""An OpenID Connect issuer whose tokens have the claims of a GitHub Actions job."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.interop.instance.servers import Answer, answering

AUDIENCE: Final = "sigstore"
REPOSITORY: Final = "example/models"
WORKFLOW: Final = ".github/workflows/release.yml"
REF: Final = "refs/tags/v1.0.0"
_KEY_ID: Final = "loopback"

CLAIMS: Final[Mapping[str, str]] = {
    "repository": REPOSITORY,
    "repository_id": "1105",
    "repository_owner": "example",
    "repository_owner_id": "321",
    "repository_visibility": "public",
    "ref": REF,
    "sha": "0123456789abcdef0123456789abcdef01234567",
    "workflow": "release",
    "workflow_ref": f"{REPOSITORY}/{WORKFLOW}@{REF}",
    "workflow_sha": "0123456789abcdef0123456789abcdef01234567",
    "job_workflow_ref": f"{REPOSITORY}/{WORKFLOW}@{REF}",
    "job_workflow_sha": "0123456789abcdef0123456789abcdef01234567",
    "event_name": "push",
    "runner_environment": "github-hosted",
    "run_id": "42",
    "run_attempt": "1",
    "environment": "release",
}
"""What a job of a tagged release says of itself, as GitHub documents its tokens."""


@dataclass(frozen=True)
class Issuer:
    key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Run the issuer until the end of the block, and yield its URL."""
        url = ""

        def answer(method: str, path: str, _body: bytes) -> Answer:
            if path == "/.well-known/openid-configuration":
                return 200, _discovery(url)
            if path == "/jwks":
                return 200, {"keys": [self._jwk()]}
            return 404, {"error": f"{method} {path}"}

        with answering(answer) as port:
            url = f"http://localhost:{port}"
            yield url

    def token(self, url: str, lifetime: float = 600, **claims: str) -> str:
        """Return a signed token of a job; `claims` replace `CLAIMS`. `lifetime` is in seconds."""
        now = int(time.time())
        said = {**CLAIMS, **claims}
        payload: dict[str, Any] = {
            "iss": url,
            "aud": AUDIENCE,
            "sub": f"repo:{said['repository']}:ref:{said['ref']}",
            "iat": now,
            "nbf": now - 5,
            "exp": int(now + lifetime),
            **said,
        }
        return jwt.encode(payload, self.key, algorithm="RS256", headers={"kid": _KEY_ID})

    def _jwk(self) -> dict[str, Any]:
        jwk: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        return {**jwk, "kid": _KEY_ID, "use": "sig", "alg": "RS256"}


def _discovery(url: str) -> dict[str, Any]:
    return {
        "issuer": url,
        "jwks_uri": f"{url}/jwks",
        "authorization_endpoint": f"{url}/authorize",
        "token_endpoint": f"{url}/token",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
