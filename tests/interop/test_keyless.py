# SPDX-License-Identifier: Apache-2.0
"""Releases signed by an identity, verified by stock clients, consumers and `verify`."""

from __future__ import annotations

import datetime
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.interop.clients import Cosign
from tests.interop.credentials import Identity
from tests.interop.instance.issuer import CLAIMS, REPOSITORY, WORKFLOW
from tests.interop.matrix import Clients
from tests.interop.release import (
    Released,
    committed_release,
    provenance,
    trust_in_workflow,
    with_one_byte_changed,
    with_one_payload_byte_changed,
    write_configuration,
)

pytestmark = pytest.mark.interop

CLIENTS = (
    "`cosign verify-blob`",
    "`cosign verify-blob-attestation`",
    "`sigstore verify identity`",
    "`@sigstore/verify`",
)


@pytest.fixture(params=["reference", "production"])
def release(request: pytest.FixtureRequest) -> Released:
    """A release with five deferrals, and one with five seed attestations."""
    made: Released = request.getfixturevalue(f"keyless_{request.param}")
    return made


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_accepts_every_file_of_every_bundle(
    clients: Clients, client: str, identity: Identity, release: Released
) -> None:
    reasons = clients.verifiers[client](release.claims, identity)
    refused = {str(c): r for c, r in zip(release.claims, reasons, strict=True) if r is not None}
    assert refused == {}
    assert len(reasons) >= 19


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_refuses_a_statement_with_one_byte_changed(
    clients: Clients, client: str, identity: Identity, keyless_reference: Released, tmp_path: Path
) -> None:
    claims = {c.predicate_type: c for c in keyless_reference.claims}.values()
    changed = [
        replace(claim, bundle=with_one_payload_byte_changed(claim.bundle, tmp_path))
        for claim in claims
    ]
    assert len(changed) == 2
    assert None not in clients.verifiers[client](changed, identity)


def test_the_c_consumers_command_line_accepts_every_row(
    cosign: Cosign, identity: Identity, release: Released
) -> None:
    """It uses the public instance by default, so only `--trusted-root` is added."""
    folder = release.registry.parent
    for row in release.rows:
        command = (
            "verify-blob",
            f"--bundle={folder}/{row['sigstore_bundle']}",
            *("--certificate-identity-regexp", f"^{re.escape(identity.subject)}$"),
            *("--certificate-oidc-issuer", identity.issuer, f"{folder}/{row['onnx']}"),
        )
        status, error = cosign.run(*command, "--trusted-root", identity.instance.trusted_root)
        assert status == 0, error
    assert len(release.rows) == len(committed_release().rows)


def _verify(root: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = provenance(root, "verify", *arguments, "--format", "json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_verify_reports_signer_time_and_trust_of_each_row(
    identity: Identity, release: Released
) -> None:
    status, report = _verify(release.root)
    assert (status, len(report["rows"])) == (0, 7)
    now = datetime.datetime.now(datetime.UTC)
    for row in report["rows"]:
        (signature,) = row["signatures"]
        assert (signature["signer"], signature["issuer"]) == (identity.subject, identity.issuer)
        assert signature["entry"] == f"github {REPOSITORY}/{WORKFLOW}@refs/tags/v*"
        (moment,) = signature["times"]
        assert moment["source"] == "timestamp"
        age = now - datetime.datetime.fromisoformat(moment["time"])
        assert datetime.timedelta(-1) < age < datetime.timedelta(hours=1)
    (workflow,) = report["trust"]["github"]
    assert workflow["repository_id"] == CLAIMS["repository_id"]
    assert workflow["owner_id"] == CLAIMS["repository_owner_id"]
    done = provenance(release.root, "verify", "-v")
    shown = " ".join(done.stdout.split())
    assert shown.count(f"signed by {identity.subject} at ") == 7
    assert shown.count("(timestamp); trusted as github example/models") == 7


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("repository", "example/models2"),
        ("repository_id", "1106"),
        ("owner_id", "322"),
        ("event", "workflow_dispatch"),
        ("environment", "staging"),
        ("runner_environment", "self-hosted"),
        ("workflow", ".github/workflows/other.yml"),
        ("ref", "refs/heads/*"),
        ("issuer", "https://token.actions.githubusercontent.com"),
    ],
)
def test_each_claim_of_the_certificate_is_compared(
    keyless_production: Released, identity: Identity, tmp_path: Path, claim: str, value: str
) -> None:
    copy = tmp_path / "registry"
    shutil.copytree(keyless_production.root, copy)
    write_configuration(copy, trust_in_workflow(identity.instance, **{claim: value}))
    status, report = _verify(copy, "quality_regressor_q_v1")
    assert (status, [f["code"] for f in report["findings"]]) == (1, ["SIG604"])
    assert claim.replace("_", " ") in report["findings"][0]["message"]


def test_one_byte_of_any_model_file_is_noticed(
    keyless_production: Released, tmp_path: Path
) -> None:
    copy = Released(tmp_path / "registry")
    shutil.copytree(keyless_production.root, copy.root)
    files = {c.file for c in copy.claims if c.file != copy.registry}
    for file in files:
        with_one_byte_changed(file, file.parent)
    status, report = _verify(copy.root)
    about = {f["about"] for f in report["findings"] if f["severity"] == "error"}
    assert status == 1
    assert {str(f.relative_to(copy.root)) for f in files} <= about


def test_one_certificate_signs_all_bundles_of_a_run(release: Released) -> None:
    certificates = {
        json.loads(b.read_bytes())["verificationMaterial"]["certificate"]["rawBytes"]
        for b in release.bundles
    }
    assert len(certificates) == 1
    assert len(release.bundles) >= 8
