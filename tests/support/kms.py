# SPDX-License-Identifier: Apache-2.0
"""Key management services as far as signing needs them: one key, on loopback, for real clients."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from securesystemslib.signer import (  # type: ignore[attr-defined]
    Key,
    SecretsHandler,
    Signature,
    Signer,
)

from tests.interop.instance.servers import HOST, Answer, answering
from tests.support.keys import KeyPair

PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


@contextmanager
def aws(key: KeyPair, status: int = 200) -> Iterator[dict[str, str]]:
    """AWS KMS. Yields the environment in which boto3 finds it."""

    def answer(_method: str, _path: str, body: bytes) -> Answer:
        if status != 200:
            return status, {"__type": "AccessDeniedException", "message": "not you"}
        asked = json.loads(body)
        assert (asked["MessageType"], asked["SigningAlgorithm"]) == ("DIGEST", "ECDSA_SHA_256")
        signature = key.key.sign(base64.b64decode(asked["Message"]), PREHASHED)
        return 200, {"KeyId": asked["KeyId"], "Signature": base64.b64encode(signature).decode()}

    with answering(answer) as port:
        yield {
            "AWS_ENDPOINT_URL_KMS": f"http://{HOST}:{port}",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "unused",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def vault(key: KeyPair, status: int = 200) -> Iterator[dict[str, str]]:
    """The transit engine of HashiCorp Vault. Yields the environment in which hvac finds it."""

    def answer(_method: str, path: str, body: bytes) -> Answer:
        if status != 200:
            return status, {"errors": ["permission denied"]}
        assert path == "/v1/transit/sign/release"
        asked = json.loads(body)
        assert asked["key_version"] == 3
        made = base64.b64encode(key.sign(base64.b64decode(asked["input"]))).decode()
        return 200, {"data": {"signature": f"vault:v3:{made}"}}

    with answering(answer) as port:
        yield {"VAULT_ADDR": f"http://{HOST}:{port}", "VAULT_TOKEN": "hvs.none"}


@dataclass
class FakeClient:
    """A client of `SIGNER_FOR_URI_SCHEME`, in place of one that is not installed.

    `opening` and `signing` are raised when the client is opened or signs. `secret` is the name of a
    secret that it asks for whenever it signs. The client calls `during` while it signs, and counts.
    """

    key: KeyPair
    opening: Exception | None = None
    signing: Exception | None = None
    secret: str | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    signed: int = 0
    during: Callable[[], object] = lambda: None

    def from_priv_key_uri(self, uri: str, public: Key, secrets: SecretsHandler | None) -> Signer:
        """As every signer of the library is opened."""
        if self.opening is not None:
            raise self.opening
        self.opened.append(uri)
        return _Signer(self, public, secrets)


class _Signer(Signer):
    def __init__(self, client: FakeClient, public: Key, secrets: SecretsHandler | None) -> None:
        self._client, self._public, self._secrets = client, public, secrets

    @property
    def public_key(self) -> Key:
        return self._public

    @classmethod
    def from_priv_key_uri(cls, *_args: Any) -> Signer:
        raise NotImplementedError

    def sign(self, payload: bytes) -> Signature:
        self._client.signed += 1
        self._client.during()
        if self._client.secret is not None:
            assert self._secrets is not None
            name = self._client.secret
            self._client.asked.append((name, self._secrets(name)))
        if self._client.signing is not None:
            raise self._client.signing
        return Signature(self._public.keyid, self._client.key.sign(payload).hex())
