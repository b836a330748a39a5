# SPDX-License-Identifier: Apache-2.0
"""Any content of a file leads to a finding or a clear error, and never to a traceback."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.cases import dsse_bundle
from tests.support.command import Result, run_cli
from tests.support.json_values import values
from tests.support.keys import KeyPair
from tests.support.models import External, model
from tests.support.repository import Repository

paths = st.sampled_from(
    [
        *("m.onnx", "m.json", ".", "..", "/", "", "m.onnx/", "./m.onnx", "a/../m.onnx", "~/m.onnx"),
        *("../bundles/m.onnx.sigstore.json", "registry.json", "m.onnx\0", "\ud7ff", "é.onnx"),
        *("x" * 300, "a/" * 3000, "../../../etc/passwd", ".onnx", "c:m.onnx", "a\\b.onnx"),
    ]
)
anything = values | paths
FIELDS = (
    *("id", "kind", "onnx", "sha256", "int8_sha256", "external_data_sha256", "opset", "smoke"),
    *("quant_mode", "license", "license_url", "sigstore_bundle", "notes", "own"),
)
rows = st.dictionaries(st.sampled_from(FIELDS), anything, max_size=6)
SIDECAR = (
    *("id", "sha256", "input_names", "input_name", "feature_order", "features", "encoder_vocab"),
    *("codec_block_layout", "codec_vocab", "training_recipe", "seed", "corpus", "gate", "members"),
)
lists = st.lists(st.text(max_size=3) | st.none(), max_size=3)
documents = st.dictionaries(st.sampled_from(SIDECAR), anything | lists, max_size=8)
hostile = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def signed(repository: Repository) -> Repository:
    """A released repository: one plain model, one ensemble."""
    repository.add_sidecar(repository.add())
    repository.add_ensemble("ens", 1)
    return repository.released()


def judged(root: Path, *commands: tuple[str, ...]) -> list[Result]:
    """Check that each command ends in an exit code that it documents, without a traceback."""
    results = []
    for command in commands:
        for format in ("json", "human"):
            result = run_cli(*command, "--format", format, cwd=root)
            assert result.code in (0, 1, 2, 3)
            if result.code == 2:
                assert result.err.startswith("error: ")
            shown = (result.out + result.err).replace("\n", "")
            assert all(c.isprintable() for c in shown)
            results.append(result)
    return results


@hostile
@given(st.lists(rows | values, max_size=2), st.booleans())
def test_hostile_rows(signed: Repository, key: KeyPair, found: list[Any], complete: bool) -> None:
    whole = [signed.rows[0] | row if complete and isinstance(row, dict) else row for row in found]
    signed.registry.write_text(json.dumps({"models": whole}))
    release = ("release", "--signer", key.signer)
    judged(signed.root, ("check",), ("verify",), ("hash", "--add-external-data"), release)


@hostile
@given(documents | values, st.sampled_from(["m.json", "ens.json", "ens_seed0.json"]))
def test_hostile_documents_beside_the_registry(signed: Repository, found: Any, name: str) -> None:
    before = signed.path(name).read_bytes()
    try:
        if isinstance(found, dict) and name != "ens.json":
            found = json.loads(before) | found
        signed.write(name, json.dumps(found))
        judged(signed.root, ("check",), ("verify",))
    finally:
        signed.write(name, before)


@hostile
@given(documents)
def test_a_release_with_any_sidecar_verifies(
    repository: Repository, key: KeyPair, found: dict[str, Any]
) -> None:
    repository.rows.clear()
    row = repository.add_ensemble("ens", 1)[0]
    sidecar = json.loads(repository.path("ens_seed0.json").read_text())
    repository.write("ens_seed0.json", sidecar | found | {"sha256": row["sha256"]})
    repository.save()
    *_, released = judged(repository.root, ("release", "--signer", key.signer))
    if released.code == 0:
        assert {r.code for r in judged(repository.root, ("verify",))} == {0}


BUNDLES = ("m.onnx", "ens_seed0.onnx.provenance", "registry.json.vsa")
PREDICATE = (
    *("row", "sidecars", "models", "deferrals", "policy", "verificationResult"),
    *("inputAttestations", "buildDefinition", "runDetails", "timeVerified"),
)
hostile_values = anything | st.lists(rows, max_size=2) | rows
predicates = st.dictionaries(st.sampled_from(PREDICATE), hostile_values, max_size=5)


@hostile
@given(st.sampled_from(BUNDLES), predicates, st.booleans())
def test_hostile_statements_of_a_trusted_key(
    signed: Repository, key: KeyPair, name: str, predicate: dict[str, Any], keep: bool
) -> None:
    path = signed.root / "bundles" / f"{name}.sigstore.json"
    before = path.read_bytes()
    statement = json.loads(base64.b64decode(json.loads(before)["dsseEnvelope"]["payload"]))
    statement["predicate"] = (statement["predicate"] if keep else {}) | predicate
    path.write_text(json.dumps(dsse_bundle(json.dumps(statement).encode(), key)))
    try:
        judged(signed.root, ("verify",), ("inspect", str(path)))
        if name == "m.onnx":
            file = ("verify-model", "model/m.onnx", "--bundle", str(path), "--key", str(key.public))
            judged(signed.root, file)
    finally:
        path.write_bytes(before)


@hostile
@given(paths, st.sampled_from(["initializer", "subgraph"]))
def test_hostile_external_locations(repository: Repository, location: str, where: Any) -> None:
    repository.rows.clear()
    repository.add("m", model(external=External(location, where=where)))
    repository.save()
    (checked, *_) = judged(repository.root, ("check",), ("hash",))
    assert checked.code == 1


@hostile
@given(st.text(max_size=12).filter(lambda s: "/" not in s and "\0" not in s and s))
def test_hostile_names_of_a_file_to_verify(signed: Repository, key: KeyPair, name: str) -> None:
    folder = signed.root / "downloads"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.onnx"
    try:
        path.write_bytes(b"not what was signed")
    except (OSError, UnicodeEncodeError):
        return  # no such file can be there
    bundle = signed.root / "bundles" / "m.onnx.sigstore.json"
    given = ("--bundle", bundle, "--key", key.public, "--", path)
    result = run_cli("verify-model", *given, cwd=signed.root)
    path.unlink()
    assert result.code in (1, 2)
