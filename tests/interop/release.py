# SPDX-License-Identifier: Apache-2.0
"""A released registry, and every claim of its bundles about a file.

The bundles are parsed with `json` and `base64` only, so that the tests do not depend on the parser
of `provenance`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization

from tests.interop.instance.instance import Instance
from tests.interop.instance.issuer import CLAIMS, WORKFLOW

REPOSITORY: Final = Path(__file__).resolve().parents[2]
REGISTRY_ROW: Final = "https://onnx-provenance.dev/predicates/registry-row/v1"
SLSA_PROVENANCE: Final = "https://slsa.dev/provenance/v1"
SLSA_SUMMARY: Final = "https://slsa.dev/verification_summary/v1"

TRUST_IN_KEY: Final = """\
[[trust.key]]
path = "release.pub"
"""
DEFERRAL: Final = """
[[deferral]]
rule = "SID402"
rows = ["fr_regressor_v2_ensemble_v1_seed*"]
reason = "sidecars describe the former [batch, 14] production weights until the one-shot retrain"
reference = "ADR-1105"
"""


@dataclass(frozen=True)
class Claim:
    """One subject of one bundle: this file, under this predicate type."""

    bundle: Path
    file: Path
    predicate_type: str

    def __str__(self) -> str:
        return f"{self.bundle.name} over {self.file.name}"


@dataclass(frozen=True)
class Released:
    """A registry with its bundles."""

    root: Path

    @property
    def registry(self) -> Path:
        return self.root / "model" / "registry.json"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The registry's rows."""
        rows: list[dict[str, Any]] = json.loads(self.registry.read_bytes())["models"]
        return rows

    @property
    def bundles(self) -> list[Path]:
        """Every bundle, in the order of their names."""
        return sorted((self.root / "bundles").glob("*.sigstore.json"))

    @property
    def claims(self) -> list[Claim]:
        """All subjects of all bundles. Each subject must be an existing file."""
        claims = []
        for bundle in self.bundles:
            statement = statement_of(bundle)
            for subject in statement["subject"]:
                file = self.registry.parent / subject["name"]
                assert file.is_file(), f"{bundle.name} signs {subject['name']}, which is not there"
                claims.append(Claim(bundle, file, statement["predicateType"]))
        return claims


@dataclass(frozen=True)
class Release(Released):
    """A registry whose bundles verify with a public key."""

    public_key: Path

    @property
    def keys(self) -> dict[str, str]:
        """The public key by its hint, in base64 of its DER."""
        return keys_by_hint(self.public_key)


def keys_by_hint(public_key: Path) -> dict[str, str]:
    return {hint_of(public_key): base64.b64encode(der_of(public_key)).decode()}


def payload_of(bundle: Path) -> bytes:
    return base64.b64decode(json.loads(bundle.read_bytes())["dsseEnvelope"]["payload"])


def statement_of(bundle: Path) -> dict[str, Any]:
    statement: dict[str, Any] = json.loads(payload_of(bundle))
    return statement


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def der_of(public_key: Path) -> bytes:
    return serialization.load_pem_public_key(public_key.read_bytes()).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def hint_of(public_key: Path) -> str:
    """Return the hint of a public key: base64 of the SHA-256 of its DER."""
    return base64.b64encode(hashlib.sha256(der_of(public_key)).digest()).decode()


def with_one_byte_changed(file: Path, folder: Path) -> Path:
    """Copy `file` to `folder`, with one bit of the middle byte changed."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    copy = folder / file.name
    copy.write_bytes(data)
    return copy


def with_one_payload_byte_changed(bundle: Path, folder: Path) -> Path:
    """A copy of a DSSE bundle in `folder`, in whose payload one letter differs in its case.

    It is the last letter of a digest, name or value, so that the statement still parses: only the
    signature can tell.
    """
    value = json.loads(bundle.read_bytes())
    payload = bytearray(base64.b64decode(value["dsseEnvelope"]["payload"]))
    position = max(i for i, byte in enumerate(payload) if chr(byte).isalpha())
    payload[position] ^= 0x20
    value["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    copy = folder / bundle.name
    copy.write_text(json.dumps(value), "utf-8")
    return copy


def provenance(
    folder: Path, *arguments: str | Path, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `provenance` in `folder` as a user would, with `more` in the environment."""
    return subprocess.run(
        [Path(sys.executable).with_name("provenance"), *arguments],
        cwd=folder,
        env=environment(more),
        capture_output=True,
        text=True,
        check=False,
    )


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment whose proxies are closed ports, so that only loopback is reachable."""
    closed = dict.fromkeys(
        ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"),
        "http://127.0.0.1:9",
    )
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COSIGN_", "SIGSTORE_", "PROVENANCE_"))
        and name.lower() != "no_proxy"
    }
    closed |= dict.fromkeys(("no_proxy", "NO_PROXY"), "localhost,127.0.0.1")
    return kept | closed | dict(extra or {})


def refusal_of(command: Sequence[str | Path], more: Mapping[str, str]) -> str | None:
    """Return None if the command succeeds, else its standard error."""
    done = subprocess.run(
        command, env=environment(more), capture_output=True, text=True, check=False
    )
    return None if done.returncode == 0 else done.stderr or f"exit {done.returncode}"


def export(model: Path, *, production: bool = True) -> Path:
    """Copy `model/`. With `production`, the ensemble is trained, so that no deferral is needed."""
    shutil.copytree(REPOSITORY / "model", model, ignore=shutil.ignore_patterns("__pycache__"))
    if production:
        exporter: list[str | Path] = [sys.executable, model / "export_ensemble_v2_seeds.py"]
        subprocess.run(exporter, check=True, capture_output=True)
    return model


def make_unsigned(root: Path, model: Path, *, more_trust: str = "") -> Release:
    """Copy `model` below `root`, with the deferral of ADR-1105 and without signatures."""
    _prepare(root, model, TRUST_IN_KEY + more_trust, deferred=True)
    return Release(root, root / "release.pub")


def make_release(root: Path, model: Path, *, deferred: bool = False) -> Release:
    """Release a copy of `model` below `root` with a fresh key."""
    _prepare(root, model, TRUST_IN_KEY, deferred=deferred)
    _run(root, "keygen", "release")
    _run(root, "release", "--signer", "file:release.key")
    return Release(root, root / "release.pub")


def make_keyless_release(
    root: Path, instance: Instance, model: Path, *, deferred: bool = False
) -> Released:
    """Release a copy of `model` below `root` with an identity, which its configuration trusts."""
    _prepare(root, model, trust_in_workflow(instance), deferred=deferred)
    shutil.copy(instance.trusted_root, root / "trusted-root.json")
    token = root.parent / f"{root.name}.token"
    token.write_text(instance.token(), "utf-8")
    signer = ("--signer", "keyless", "--trust-config", instance.trust_config)
    _run(root, "release", *signer, "--identity-token", token)
    return Released(root)


def trust_in_workflow(instance: Instance, **claims: str) -> str:
    """Return a `[[trust.github]]` table with all claims of the tokens; `claims` replace some."""
    known = {
        "repository": CLAIMS["repository"],
        "workflow": WORKFLOW,
        "ref": "refs/tags/v*",
        "event": CLAIMS["event_name"],
        "environment": CLAIMS["environment"],
        "owner_id": CLAIMS["repository_owner_id"],
        "repository_id": CLAIMS["repository_id"],
        "runner_environment": CLAIMS["runner_environment"],
        "issuer": instance.issuer_url,
    }
    lines = [f'{name} = "{value}"' for name, value in {**known, **claims}.items()]
    root = ("[trust]", 'trusted_root = "trusted-root.json"', "")
    return "\n".join([*root, "[[trust.github]]", *lines]) + "\n"


def write_configuration(root: Path, trust: str, *, deferred: bool = False) -> None:
    """Write `provenance.toml` with a trust, with or without the deferral of ADR-1105."""
    text = f'registry = "model/registry.json"\n\n{trust}{DEFERRAL if deferred else ""}'
    (root / "provenance.toml").write_text(text, "utf-8")


def _prepare(root: Path, model: Path, trust: str, *, deferred: bool) -> None:
    shutil.copytree(model, root / "model")
    write_configuration(root, trust, deferred=deferred)


def _run(root: Path, *arguments: str | Path) -> None:
    done = provenance(root, *arguments)
    assert done.returncode == 0, f"provenance {arguments[0]}:\n{done.stdout}{done.stderr}"


def committed_release() -> Release:
    """Return the reference registry of this repository with its committed bundles."""
    return Release(REPOSITORY, REPOSITORY / "bundles" / "release.pub")
