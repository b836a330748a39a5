# SPDX-License-Identifier: Apache-2.0
"""Starting, describing and stopping the instance."""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.interop.instance import authorities
from tests.interop.instance.ct_log import CtLog
from tests.interop.instance.issuer import AUDIENCE, REF, REPOSITORY, WORKFLOW, Issuer
from tests.interop.instance.servers import HOST, await_free, free_port, program
from tests.interop.peers import Peers

REKOR_ORIGIN: Final = "rekor.local"
TSA_METRICS: Final = 2112
"""Where the timestamp authority publishes its metrics: it takes no other port, so that there is one
instance on a machine at a time."""
_TRUST_CONFIG: Final = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"


@dataclass(frozen=True)
class Services:
    """The programs that `tests.interop.peers` builds."""

    fulcio: Path
    rekor: Path
    timestamp_server: Path
    cosign: Path

    @classmethod
    def of(cls, peers: Peers) -> Services:
        """Return the programs that `tests.interop.peers` has built."""
        named = peers.services
        return cls(named["fulcio"], named["rekor"], named["timestamp-server"], peers.cosign)


@dataclass(frozen=True)
class Instance:
    """A running instance, and the files with which clients find and trust it.

    `trust_config` has the trusted root and the signing configuration, as sigstore-python takes
    them.
    """

    fulcio: str
    rekor: str
    timestamp_authority: str
    issuer_url: str
    trusted_root: Path
    signing_config: Path
    trust_config: Path
    _issuer: Issuer

    @property
    def subject(self) -> str:
        """The subject of its certificates: the workflow of the job, at the ref of the run."""
        return f"https://github.com/{REPOSITORY}/{WORKFLOW}@{REF}"

    def token(self, lifetime: float = 600, **claims: str) -> str:
        """Return an identity token of a GitHub-like job; `claims` replace its claims."""
        return self._issuer.token(self.issuer_url, lifetime, **claims)


@contextmanager
def running(services: Services, folder: Path) -> Iterator[Instance]:
    """Run an instance with its state in `folder` until the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    ca, ca_key = authorities.write_ca(folder)
    tsa_chain, tsa_key = authorities.write_timestamp_authority(folder)
    log_public, log_key = authorities.write_log_key(folder)
    ct_log, issuer = CtLog(), Issuer()
    ct_public = folder / "ct.pub"
    ct_public.write_bytes(ct_log.public_key_pem)
    with ExitStack() as stack:
        ct_url = stack.enter_context(ct_log.serve())
        issuer_url = stack.enter_context(issuer.serve())
        start = _Starter(stack, folder)
        fulcio = start.fulcio(services.fulcio, ca, ca_key, ct_url, ct_public, issuer_url)
        rekor = start.rekor(services.rekor, log_key)
        tsa = start.timestamp_authority(services.timestamp_server, tsa_chain, tsa_key)
        yield _described(
            services.cosign,
            folder,
            {"fulcio": fulcio, "rekor": rekor, "tsa": tsa, "issuer": issuer_url, "ct": ct_url},
            {"ca": ca, "rekor": log_public, "tsa": tsa_chain, "ct": ct_public},
            issuer,
        )


@dataclass(frozen=True)
class _Starter:
    stack: ExitStack
    folder: Path

    def fulcio(
        self, binary: Path, ca: Path, ca_key: Path, ct_url: str, ct_public: Path, issuer_url: str
    ) -> str:
        http, grpc, metrics = free_port(), free_port(), free_port()
        identities = self.folder / "fulcio-identities.yaml"
        # JSON is YAML; the comment keeps Fulcio from reading it as JSON, whose keys it spells
        # otherwise.
        identities.write_text(f"# YAML\n{json.dumps(_identities(issuer_url))}\n", "utf-8")
        # Through a file: every user of the machine can read the arguments.
        settings = self.folder / "fulcio.json"
        settings.write_text(json.dumps({"fileca-key-passwd": authorities.CA_PASSWORD}), "utf-8")
        command: list[str | Path] = [
            *(binary, "serve", "--config", settings),
            *("--ca", "fileca", "--fileca-cert", ca, "--fileca-key", ca_key),
            "--fileca-watch=false",
            *("--ct-log-url", ct_url, "--ct-log-public-key-path", ct_public),
            *("--config-path", identities),
            *("--host", HOST, "--port", str(http), "--grpc-host", HOST, "--grpc-port", str(grpc)),
            *("--metrics-port", str(metrics)),
            *("--legacy-unix-domain-socket", self.folder / "fulcio.sock"),
        ]
        self._run("fulcio", command, http, grpc)
        return f"http://localhost:{http}"

    def rekor(self, binary: Path, key: Path) -> str:
        http, grpc, metrics = free_port(), free_port(), free_port()
        command: list[str | Path] = [
            *(binary, "serve", "--http-port", str(http), "--grpc-port", str(grpc)),
            *("--http-metrics-port", str(metrics), "--hostname", REKOR_ORIGIN),
            *("--storage-dir", self.folder / "rekor", "--signer-filepath", key),
            *("--checkpoint-interval", "500ms"),
        ]
        self._run("rekor", command, http)
        return f"http://localhost:{http}"

    def timestamp_authority(self, binary: Path, chain: Path, key: Path) -> str:
        port = free_port()
        command: list[str | Path] = [
            *(binary, "serve", "--host", HOST, "--port", str(port)),
            *("--timestamp-signer", "file", "--file-signer-key-path", key),
            *("--certificate-chain-path", chain, "--disable-ntp-monitoring"),
        ]
        await_free(TSA_METRICS)
        self._run("timestamp-authority", command, port)
        return f"http://localhost:{port}"

    def _run(self, name: str, command: list[str | Path], *ports: int) -> None:
        self.stack.enter_context(program(command, self.folder / f"{name}.log", ports))


def _identities(issuer_url: str) -> dict[str, Any]:
    """Return the configuration of Fulcio: GitHub's extensions for tokens of this issuer."""
    return {
        "oidc-issuers": {
            issuer_url: {
                "issuer-url": issuer_url,
                "client-id": AUDIENCE,
                "type": "ci-provider",
                "ci-provider": "github-workflow",
            }
        },
        "ci-issuer-metadata": {
            "github-workflow": {
                "default-template-values": {"url": "https://github.com", "environment": ""},
                "extension-templates": {
                    "github-workflow-trigger": "event_name",
                    "github-workflow-sha": "sha",
                    "github-workflow-name": "workflow",
                    "github-workflow-repository": "repository",
                    "github-workflow-ref": "ref",
                    "build-signer-uri": "{{ .url }}/{{ .job_workflow_ref }}",
                    "build-signer-digest": "job_workflow_sha",
                    "runner-environment": "runner_environment",
                    "source-repository-uri": "{{ .url }}/{{ .repository }}",
                    "source-repository-digest": "sha",
                    "source-repository-ref": "ref",
                    "source-repository-identifier": "repository_id",
                    "source-repository-owner-uri": "{{ .url }}/{{ .repository_owner }}",
                    "source-repository-owner-identifier": "repository_owner_id",
                    "build-config-uri": "{{ .url }}/{{ .workflow_ref }}",
                    "build-config-digest": "workflow_sha",
                    "build-trigger": "event_name",
                    "run-invocation-uri": "{{ .url }}/{{ .repository }}/actions/runs/{{ .run_id }}"
                    "/attempts/{{ .run_attempt }}",
                    "source-repository-visibility-at-signing": "repository_visibility",
                    "deployment-environment": "environment",
                },
                "subject-alternative-name-template": "{{ .url }}/{{ .job_workflow_ref }}",
            }
        },
    }


def _described(
    cosign: Path, folder: Path, urls: dict[str, str], files: dict[str, Path], issuer: Issuer
) -> Instance:
    since = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    root, signing = folder / "trusted_root.json", folder / "signing_config.json"
    _cosign(
        cosign,
        folder,
        *("trusted-root", "create", "--out", root),
        *("--fulcio", f"url={urls['fulcio']},certificate-chain={files['ca']},start-time={since}"),
        "--rekor",
        # The log's URL is its origin: from it, clients compute which checkpoints are its own.
        f"url=http://{REKOR_ORIGIN},public-key={files['rekor']},start-time={since},"
        f"origin={REKOR_ORIGIN}",
        *("--ctfe", f"url={urls['ct']},public-key={files['ct']},start-time={since}"),
        *("--tsa", f"url={urls['tsa']},certificate-chain={files['tsa']},start-time={since}"),
    )
    common = f"start-time={since},operator=loopback,api-version="
    stamp = f"{urls['tsa']}/api/v1/timestamp"
    _cosign(
        cosign,
        folder,
        *("signing-config", "create", "--out", signing),
        *("--fulcio", f"url={urls['fulcio']},{common}1"),
        *("--rekor", f"url={urls['rekor']},{common}2", "--rekor-config", "ANY"),
        *("--oidc-provider", f"url={urls['issuer']},{common}1"),
        *("--tsa", f"url={stamp},{common}1", "--tsa-config", "ANY"),
    )
    both = {
        "mediaType": _TRUST_CONFIG,
        "trustedRoot": json.loads(root.read_bytes()),
        "signingConfig": json.loads(signing.read_bytes()),
    }
    config = folder / "trust_config.json"
    config.write_text(json.dumps(both, indent=2), "utf-8")
    return Instance(
        urls["fulcio"], urls["rekor"], stamp, urls["issuer"], root, signing, config, issuer
    )


def _cosign(binary: Path, folder: Path, *arguments: str | Path) -> None:
    done = subprocess.run(
        [binary, *arguments], env={"HOME": str(folder)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
