# SPDX-License-Identifier: Apache-2.0
"""`provenance verify` accepts signatures of cosign with a key, and refuses changed files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.interop.clients import CosignSigner
from tests.interop.release import (
    Release,
    payload_of,
    provenance,
    statement_of,
    with_one_byte_changed,
)

pytestmark = pytest.mark.interop

PLAIN = "quality_regressor_q_v1"
WITH_EXTERNAL_DATA = "quality_regressor_ext_v1"
Signed = Callable[[str], Path]


@pytest.fixture
def models(reference: Release, tmp_path: Path) -> Path:
    """The model files as a consumer downloads them, without registry or configuration."""
    folder = tmp_path / "download"
    folder.mkdir()
    for file in reference.registry.parent.glob("quality_regressor_*"):
        shutil.copy(file, folder)
    return folder


def _verify(file: Path, key: Path, bundle: Path) -> tuple[int, dict[str, Any]]:
    done = provenance(
        file.parent, "verify-model", file.name, "--key", key, "--bundle", bundle, "--format", "json"
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def signed(cosign_signer: CosignSigner, models: Path) -> Signed:
    """Signs a model with cosign, and returns the bundle."""
    bundle = models / "cosign.sigstore.json"
    return lambda name: cosign_signer.sign_blob(models / f"{name}.onnx", bundle)


def _codes(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f["severity"], f["code"]) for f in report["findings"]]


def test_a_message_signature_is_accepted_with_a_warning(
    cosign_signer: CosignSigner, models: Path, signed: Signed
) -> None:
    file = models / f"{PLAIN}.onnx"
    status, report = _verify(file, cosign_signer.public_key, signed(PLAIN))
    assert _codes(report) == [("warning", "ATT711")]
    assert status == 0
    assert report["verdict"] == "verified"


def test_a_message_signature_leaves_external_data_unsigned(
    cosign_signer: CosignSigner, models: Path, signed: Signed
) -> None:
    """The signature is only over the `.onnx` file, which is enough for cosign."""
    file, bundle = models / f"{WITH_EXTERNAL_DATA}.onnx", signed(WITH_EXTERNAL_DATA)
    assert cosign_signer.cosign.verify_blob(cosign_signer.public_key, bundle, file) is None
    status, report = _verify(file, cosign_signer.public_key, bundle)
    assert status == 1
    assert ("error", "ATT702") in _codes(report)


@pytest.mark.parametrize("name", [PLAIN, WITH_EXTERNAL_DATA])
def test_a_file_with_one_byte_changed_is_refused(
    cosign_signer: CosignSigner, models: Path, signed: Signed, name: str
) -> None:
    file, bundle = models / f"{name}.onnx", signed(name)
    with_one_byte_changed(file, models)
    status, report = _verify(file, cosign_signer.public_key, bundle)
    assert status == 1
    assert "SIG603" in [code for _, code in _codes(report)]


def test_the_signature_of_another_file_is_refused(
    cosign_signer: CosignSigner, models: Path, signed: Signed
) -> None:
    bundle = signed(WITH_EXTERNAL_DATA)
    status, report = _verify(models / f"{PLAIN}.onnx", cosign_signer.public_key, bundle)
    assert status == 1
    assert "SIG603" in [code for _, code in _codes(report)]


def test_the_signature_of_another_key_is_refused(
    models: Path, signed: Signed, other_key: Path
) -> None:
    status, report = _verify(models / f"{PLAIN}.onnx", other_key, signed(PLAIN))
    assert status == 1
    assert any(code.startswith("SIG") for _, code in _codes(report))


@pytest.mark.parametrize("name", [PLAIN, WITH_EXTERNAL_DATA])
def test_our_statement_signed_by_cosign_is_accepted(
    cosign_signer: CosignSigner, reference: Release, models: Path, name: str
) -> None:
    statement = models / "statement.json"
    statement.write_bytes(payload_of(reference.root / "bundles" / f"{name}.onnx.sigstore.json"))
    bundle = cosign_signer.attest(statement, models / "cosign.sigstore.json")
    file = models / f"{name}.onnx"
    status, report = _verify(file, reference.public_key, bundle)
    assert (status, report["findings"]) == (0, [])
    for subject in statement_of(bundle)["subject"]:
        original = (models / subject["name"]).read_bytes()
        with_one_byte_changed(models / subject["name"], models)
        status, report = _verify(file, reference.public_key, bundle)
        assert status == 1, subject["name"]
        assert report["findings"], subject["name"]
        (models / subject["name"]).write_bytes(original)


def test_a_row_bundle_written_by_cosign_is_accepted_in_the_registry(
    cosign_signer: CosignSigner, reference: Release, tmp_path: Path
) -> None:
    root = tmp_path / "registry"
    shutil.copytree(reference.root, root)
    bundle = root / "bundles" / f"{PLAIN}.onnx.sigstore.json"
    statement = tmp_path / "statement.json"
    statement.write_bytes(payload_of(bundle))
    bundle.unlink()
    cosign_signer.attest(statement, bundle)
    done = provenance(root, "verify", PLAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    with_one_byte_changed(root / "model" / f"{PLAIN}.onnx", root / "model")
    done = provenance(root, "verify", PLAIN)
    assert done.returncode == 1, done.stdout + done.stderr
