# SPDX-License-Identifier: Apache-2.0
"""The instance behind HTTP on loopback, as clients that sign meet it, with faults where wanted."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Literal

import jwt
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.sigstore.ca import PublicKey, uri
from tests.support.sigstore.instance import Instance, rfc3339

HOST: Final = "127.0.0.1"
SUBJECT: Final = "https://ci.example.org/release"
ISSUER: Final = "https://issuer.example.org"
CONFIG: Final = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
SIGNING_CONFIG: Final = "application/vnd.dev.sigstore.signingconfig.v0.2+json"

Service = Literal["ca", "log", "tsa", "oidc"]
SIGNING: Final[tuple[Service, ...]] = ("ca", "log", "tsa")


class NoAnswerError(Exception):
    """The connection is closed without an answer."""


@dataclass(frozen=True)
class Answer:
    content: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Request:
    """What a service is asked; `number` counts the requests to it from 1."""

    number: int
    method: str
    path: str
    body: bytes
    headers: dict[str, str]


Fault = Callable[[Request, Callable[[Request], Answer]], Answer]
"""Answers in the place of a service, which it is given."""


@dataclass
class Services:
    """A running instance, with faults by service, and counts of requests and certificates."""

    instance: Instance
    rekor: Literal[1, 2] = 2
    lifetime: datetime.timedelta = datetime.timedelta(minutes=10)
    faults: dict[Service, Fault] = field(default_factory=dict)
    requests: dict[Service, int] = field(default_factory=dict)
    urls: dict[Service, str] = field(default_factory=dict)
    certificates: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)

    def write_config(self, path: Path) -> Path:
        start = rfc3339(self.instance.fulcio.start)

        def service(name: Service, version: int) -> dict[str, Any]:
            return {
                "url": self.urls[name],
                "majorApiVersion": version,
                "validFor": {"start": start},
                "operator": "simulated.test",
            }

        signing = {
            "mediaType": SIGNING_CONFIG,
            "caUrls": [service("ca", 1)],
            "oidcUrls": [service("oidc", 1)],
            "rekorTlogUrls": [service("log", self.rekor)],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": [{**service("tsa", 1), "url": self.urls["tsa"] + "/api/v1/timestamp"}],
            "tsaConfig": {"selector": "ANY"},
        }
        value = {
            "mediaType": CONFIG,
            "trustedRoot": self.instance.trusted_root(),
            "signingConfig": signing,
        }
        path.write_text(json.dumps(value), "utf-8")
        return path

    def token(self, lifetime: float = 600, **claims: Any) -> str:
        """An identity token; who issued it is not checked here."""
        now = datetime.datetime.now(datetime.UTC)
        said = {
            "iss": ISSUER,
            "aud": "sigstore",
            "sub": SUBJECT,
            "iat": now,
            "exp": now + datetime.timedelta(seconds=lifetime),
        }
        return jwt.encode(said | claims, "not a secret, and long enough for HS256", "HS256")

    def answer(self, service: Service, request: Request) -> Answer:
        return {"ca": self._ca, "log": self._log, "tsa": self._tsa, "oidc": self._oidc}[service](
            request
        )

    def _ca(self, request: Request) -> Answer:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, options={"verify_signature": False})
        asked = base64.b64decode(json.loads(request.body)["certificateSigningRequest"])
        key = x509.load_pem_x509_csr(asked).public_key()
        return _json(self.certify(key, claims["sub"], claims["iss"]))  # type: ignore[arg-type]

    def certify(self, key: PublicKey, subject: str, issuer: str) -> dict[str, Any]:
        with self.lock:
            self.certificates += 1
        authority = self.instance.fulcio
        start = _now()
        certificate = authority.issue(uri(subject, issuer), key, start, self.lifetime)
        chain = (certificate, *authority.authority.chain)
        pem = [c.public_bytes(Encoding.PEM).decode() for c in chain]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": pem}}}

    def _log(self, request: Request) -> Answer:
        asked = json.loads(request.body)
        with self.lock:
            return _json(self._v1(asked) if self.rekor == 1 else self._v2(asked), 201)

    def _v2(self, asked: dict[str, Any]) -> dict[str, Any]:
        record = asked["hashedRekordRequestV002"]
        data = {"algorithm": "SHA2_256", "digest": record["digest"]}
        spec = {"hashedRekordV002": {"data": data, "signature": record["signature"]}}
        body = {"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": spec}
        return self.instance.v2.add("hashedrekord", body)

    def _v1(self, asked: dict[str, Any]) -> dict[str, Any]:
        proposed = asked["spec"]["proposedContent"]
        envelope = json.loads(proposed["envelope"])
        payload = base64.b64decode(envelope["payload"])
        spec = {
            "envelopeHash": _sha256(proposed["envelope"].encode()),
            "payloadHash": _sha256(payload),
            "signatures": [
                {"signature": s["sig"], "verifier": v}
                for s, v in zip(envelope["signatures"], proposed["verifiers"], strict=True)
            ],
        }
        body = {"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}
        entry = self.instance.v1.add("dsse", body, int(_now().timestamp()))
        proof = entry["inclusionProof"]
        answer = {
            "body": entry["canonicalizedBody"],
            "integratedTime": int(entry["integratedTime"]),
            "logID": self.instance.v1.log_id.hex(),
            "logIndex": int(entry["logIndex"]),
            "verification": {
                "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
                "inclusionProof": {
                    "checkpoint": proof["checkpoint"]["envelope"],
                    "hashes": [base64.b64decode(h).hex() for h in proof["hashes"]],
                    "logIndex": int(proof["logIndex"]),
                    "rootHash": base64.b64decode(proof["rootHash"]).hex(),
                    "treeSize": int(proof["treeSize"]),
                },
            },
        }
        return {"1" * 80: answer}

    def _tsa(self, request: Request) -> Answer:
        asked = tsp.TimeStampReq.load(request.body)
        digest, nonce = asked["message_imprint"]["hashed_message"].native, asked["nonce"].native
        return Answer(self.instance.tsa.stamp_digest(digest, _now(), nonce), 201)

    def _oidc(self, request: Request) -> Answer:
        url = self.urls["oidc"]
        target = urllib.parse.urlsplit(request.path)
        if target.path == "/.well-known/openid-configuration":
            ends = {"authorization_endpoint": "authorize", "token_endpoint": "token"}
            return _json({name: f"{url}/{end}" for name, end in ends.items()})
        if target.path == "/authorize":
            asked = dict(urllib.parse.parse_qsl(target.query))
            back = urllib.parse.urlencode({"code": "code-of-the-login", "state": asked["state"]})
            return Answer(b"", 302, (("Location", f"{asked['redirect_uri']}?{back}"),))
        return _json({"access_token": self.token()})


@contextmanager
def serving(
    *, rekor: Literal[1, 2] = 2, lifetime: datetime.timedelta = datetime.timedelta(minutes=10)
) -> Iterator[Services]:
    """An instance of its own, until the end of the block."""
    services = Services(Instance.today(), rekor, lifetime)
    names: tuple[Service, ...] = (*SIGNING, "oidc")
    servers = []
    for name in names:
        server = _Server((HOST, 0), _handler(services, name))
        services.urls[name] = f"http://{HOST}:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
    try:
        yield services
    finally:
        services.over.set()
        for server in servers:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has heard enough and hangs up is no error of the server."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(services: Services, name: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._respond()

        def do_POST(self) -> None:
            self._respond()

        def _respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with services.lock:
                number = services.requests[name] = services.requests.get(name, 0) + 1
            request = Request(number, self.command, self.path, body, dict(self.headers))
            fault = services.faults.get(name)
            try:
                if fault is not None:
                    answer = fault(request, lambda r: services.answer(name, r))
                else:
                    answer = services.answer(name, request)
            except NoAnswerError:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for header, value in answer.headers:
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    return Handler


def _json(value: object, status: int = 200) -> Answer:
    return Answer(json.dumps(value).encode(), status, (("Content-Type", "application/json"),))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def _sha256(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}
