# SPDX-License-Identifier: Apache-2.0
"""Comparison of a row with the signed one: every field, both sidecars, and its deferrals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance.attestations.predicates import REGISTRY_FIELD
from tests.support.keys import KeyPair
from tests.support.models import model
from tests.support.repository import PASSED, Repository, codes
from tests.support.statements import sign_again


@pytest.mark.parametrize("value", [None, "", 0, False])
def test_an_added_field_with_an_empty_value_is_a_change(
    repository: Repository, value: object
) -> None:
    repository.add("m")["own"] = value
    repository.add("n")
    repository.released()
    for row in repository.rows:
        row["own"] = value
    assert [(f.code, f.row) for f in repository.save().verify("m", "n").failing] == [
        ("ATT703", "n")
    ]


@pytest.mark.parametrize("value", [None, "", 0, False])
def test_a_removed_field_with_an_empty_value_is_a_change(
    repository: Repository, value: object
) -> None:
    row = repository.add("m")
    row["own"] = value
    repository.released()
    del row["own"]
    assert codes(repository.save().verify("m")) == ["ATT703"]


@pytest.mark.parametrize("of_the_model", ["none", "as it was signed"])
def test_the_sidecar_of_a_variant_is_compared_separately(
    repository: Repository, of_the_model: str
) -> None:
    row = repository.add_int8("m")
    if of_the_model == "as it was signed":
        repository.add_sidecar(row)
    variant = {"id": "m", "kind": "fr", "onnx": "m.int8.onnx", "sha256": row["int8_sha256"]}
    repository.write("m.int8.json", variant)
    repository.released()
    repository.write("m.int8.json", variant | {"notes": "another"})
    report = repository.verify("m")
    assert [(f.code, f.path) for f in report.failing] == [("ATT704", "model/m.int8.json")]


@pytest.fixture
def on_another_corpus(tmp_path: Path, key: KeyPair) -> Repository:
    """A released ensemble whose verdict is on another corpus, which is deferred."""
    repository = Repository(tmp_path / "repository", key)
    repository.add_ensemble("ens", smoke=False)
    verdict = repository.path("ens_seed_flip_PROMOTE.json")
    value = json.loads(verdict.read_text("utf-8"))
    value["corpus"]["sha256"] = "0" * 64
    verdict.write_text(json.dumps(value), "utf-8")
    repository.defer("ENS514", ["ens"])
    return repository.released()


def test_a_deferral_of_the_ensemble_is_in_force_for_a_single_row(
    on_another_corpus: Repository,
) -> None:
    """If one row is verified, rules about its ensemble are not judged, but their deferrals hold."""
    assert codes(on_another_corpus.verify()) == []
    assert codes(on_another_corpus.verify("ens_seed0")) == []


def test_a_removed_deferral_is_reported_for_a_single_row(
    repository: Repository,
) -> None:
    repository.add_sidecar(repository.add("m"), sha256="0" * 64)
    repository.defer("SID402", ["m"])
    repository.released()
    repository.deferrals.clear()
    assert codes(repository.save().verify("m")) == ["ATT706", "SID402"]


@pytest.mark.parametrize(
    "signed",
    [{"rule": "XYZ999"}, {"rule": 5}, {"rule": None}, {}, {"rule": "SID402"}],
)
def test_a_signed_deferral_that_is_not_in_force_is_reported_even_if_malformed(
    repository: Repository, key: KeyPair, signed: Any
) -> None:
    repository.add("m")
    repository.released()
    bundle = repository.root / "bundles" / "m.onnx.sigstore.json"
    sign_again(bundle, key, lambda s: s["predicate"].update(deferrals=[signed]))
    shutil.copyfile(bundle, bundle.with_name("m.onnx.2.sigstore.json"))
    (finding,) = repository.verify("m").failing
    assert (finding.code, finding.path) == ("ATT706", f"bundles/{bundle.name}")
    shown = f"{signed.get('rule')} until its cause is gone (None)"
    assert finding.message == f"signed deferrals: {shown}; in force now: none"


def sign_otherwise(repository: Repository, key: KeyPair, edit: Callable[[Any], object]) -> None:
    """Release the row `m`, and sign its predicate again after an edit."""
    repository.add("m")
    repository.released()
    bundle = repository.root / "bundles" / "m.onnx.sigstore.json"
    sign_again(bundle, key, lambda s: edit(s["predicate"]))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda p: p.pop("source"), "predicate: `source` is missing"),
        (lambda p: p.update(fieldNames={}), "predicate: `fieldNames` is unknown"),
        (lambda p: p.update(row=5), "`row`: expected an object, found 5"),
        (lambda p: p["row"].update(id=""), "`row.id`: expected a non-empty string, found ''"),
        (lambda p: p["row"].pop("classification"), "`row.classification`: expected one of"),
        (lambda p: p["row"].update(classification=True), "`row.classification`: expected one of"),
        (lambda p: p["row"].update(classification="Production"), "`row.classification`: "),
        (lambda p: p["row"].update(license=["MIT"]), "`row.license`: expected a string"),
        (lambda p: p["source"].update(more=1), "source: `more` is unknown"),
        (lambda p: p["source"].update(index=""), "`source.index`: expected a non-empty string"),
        (lambda p: p["source"].update(verbatim=[]), "`source.verbatim`: expected an object"),
        (lambda p: p["source"].update(mapping={}), "`source.mapping.sha256`: expected a SHA-256"),
        (lambda p: p.update(files={}), "`files`: expected a list"),
        (lambda p: p.update(files=[]), "`files` does not list exactly"),
        (lambda p: p["files"].append(p["files"][0]), "`files` does not list exactly"),
        (lambda p: p["files"][0].update(name="other"), "`files` does not list exactly"),
        (lambda p: p["files"][0].update(role="weights"), "`files.role`: expected one of"),
        (lambda p: p["files"][0].update(size="1"), "`files.size`: expected a number of bytes"),
        (lambda p: p["files"][0].update(declared={"md5": 1}), "`files.declared`: expected a"),
        (lambda p: p.update(sidecars=[{"name": "m.json"}]), "`sidecars.digest`: expected an"),
        (lambda p: p.update(sidecars=[{"digest": {}}]), "`sidecars.name`: expected a string"),
        (lambda p: p.update(models=[]), "`models`: expected an object"),
        (lambda p: p.update(deferrals={"rule": "SID402"}), "`deferrals`: expected a list"),
        (lambda p: p.update(deferrals=["SID402"]), "`deferrals`: expected an object"),
        (lambda p: p.update(deferrals=None), "`deferrals`: expected a list"),
    ],
)  # fmt: skip
def test_a_malformed_predicate_does_not_bind_a_row(
    repository: Repository, key: KeyPair, edit: Callable[[Any], object], reason: str
) -> None:
    sign_otherwise(repository, key, edit)
    (finding,) = repository.verify("m").failing
    assert finding.code == "ATT701"
    assert "not a valid registry row v1" in finding.message
    assert reason in finding.message


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda p: p["source"]["verbatim"].update(kind="nr"), "`kind` is 'fr'; the signed row has"),
        (lambda p: p["row"].update(kind="nr"), "`kind` of the canonical row is 'fr'; the signed"),
        (lambda p: p["row"].update(classification="unclaimed"), "`classification` of the canon"),
        (lambda p: p["row"].update(origin={"source": "x", "license": "MIT"}), "`origin` of the"),
        (lambda p: p["files"][0].update(role="external-data"), "is the model of the row; it was"),
        (lambda p: p["row"].update(comment="x"), "`comment` of the canonical row is None; the sig"),
        (lambda p: p["row"].update(gate={}, kind="nr"), "`kind` of the canonical row is 'fr'"),
        (lambda p: p["source"].update(index="a/registry.json"), "the registry 'a/"),
        (lambda p: p["source"].update(index="other/registry.json"), "the registry 'other/"),
    ],
)  # fmt: skip
def test_a_row_that_its_signer_understood_otherwise_is_another_row(
    repository: Repository, key: KeyPair, edit: Callable[[Any], object], message: str
) -> None:
    sign_otherwise(repository, key, edit)
    (finding,) = repository.verify("m").failing
    assert finding.code == "ATT703"
    assert message in finding.message


def test_another_gate_than_the_signed_one_is_reported(repository: Repository, key: KeyPair) -> None:
    repository.add_sidecar(repository.add("m"), gate=PASSED)
    repository.released()
    bundle = repository.root / "bundles" / "m.onnx.sigstore.json"
    sign_again(bundle, key, lambda s: s["predicate"]["row"]["gate"].update(threshold=0.5))
    (finding,) = repository.verify("m").failing
    assert finding.code == "ATT703"
    assert finding.message.startswith("`gate` of the canonical row is")


def test_external_data_that_was_signed_as_a_model_is_reported(
    repository: Repository, key: KeyPair
) -> None:
    repository.add_external("m")
    repository.released()
    bundle = repository.root / "bundles" / "m.onnx.sigstore.json"

    def swap_roles(statement: Any) -> None:
        for file in statement["predicate"]["files"]:
            file["role"] = "external-data" if file["role"] == "model" else "model"

    sign_again(bundle, key, swap_roles)
    assert sorted(f.message for f in repository.verify("m").failing) == [
        "'m.onnx' is the model of the row; it was signed as external-data",
        "'m.onnx.data' is the external-data of the row; it was signed as model",
    ]


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: p["source"].update(location="$['models'][7]"),
        lambda p: p["source"].update(mapping={"sha256": "0" * 64}),
    ],
    ids=["location", "mapping"],
)
def test_the_position_and_parsing_of_a_row_are_not_compared(
    repository: Repository, key: KeyPair, edit: Callable[[Any], object]
) -> None:
    sign_otherwise(repository, key, edit)
    assert codes(repository.verify("m")) == []


@pytest.mark.parametrize("rule", ["RUN001", "BAS801"])
def test_deferrals_of_phases_without_a_release_are_not_signed(
    repository: Repository, key: KeyPair, rule: str
) -> None:
    sign_otherwise(repository, key, lambda p: p.update(deferrals=[{"rule": rule}]))
    assert codes(repository.verify()) == ["ATT706", "ATT710"]


def test_the_gate_of_a_row_is_not_compared_if_one_of_its_sidecars_has_changed(
    repository: Repository,
) -> None:
    row = repository.add_int8("m")
    repository.add_sidecar(row, gate=PASSED)
    variant = {"id": "m", "kind": "fr", "onnx": "m.int8.onnx", "sha256": row["int8_sha256"]}
    repository.write("m.int8.json", variant)
    repository.released()
    repository.add_sidecar(row, gate=PASSED | {"mean_plcc": 0.97})
    assert codes(repository.verify("m")) == ["ATT704"]


@pytest.mark.parametrize("index", ["a/registry.json", "z/registry.json"])
def test_a_summary_of_another_registry_is_reported(
    repository: Repository, key: KeyPair, index: str
) -> None:
    repository.add("m")
    repository.released()
    bundle = repository.root / "bundles" / "registry.json.vsa.sigstore.json"
    sign_again(bundle, key, lambda s: s["predicate"][REGISTRY_FIELD].update(index=index))
    (finding,) = repository.verify().failing
    assert finding.code == "ATT712"
    assert f"is the summary of the registry {index!r}" in finding.message


OTHER_TYPES = ["", "https://a.example/v1", "https://slsa.dev/provenance/v2", "x"]


@pytest.mark.parametrize("of", OTHER_TYPES)
def test_a_seed_attestation_must_have_its_predicate_type(
    repository: Repository, key: KeyPair, of: str
) -> None:
    repository.add_ensemble("ens")
    repository.released()
    bundle = repository.root / "bundles" / "ens_seed0.onnx.provenance.sigstore.json"
    sign_again(bundle, key, lambda s: s.update(predicateType=of or "0"))
    (finding,) = repository.verify("ens_seed0").failing
    assert (finding.code, finding.path) == ("ATT708", f"bundles/{bundle.name}")
    assert "its predicate is of type" in finding.message
    assert finding.help.startswith("Restore the released files")


@pytest.mark.parametrize("of", OTHER_TYPES)
def test_a_release_summary_must_have_its_predicate_type(
    repository: Repository, key: KeyPair, of: str
) -> None:
    repository.add("m")
    repository.released()
    bundle = repository.root / "bundles" / "registry.json.vsa.sigstore.json"
    sign_again(bundle, key, lambda s: s.update(predicateType=of or "0"))
    (finding,) = repository.verify().failing
    assert finding.code == "ATT710"
    assert "its predicate is of type" in finding.message


@pytest.mark.parametrize("policy", ["0" * 64, "f" * 64, None, 5])
def test_a_release_under_another_policy_is_reported(
    repository: Repository, key: KeyPair, policy: Any
) -> None:
    repository.add("m")
    repository.released()
    bundle = repository.root / "bundles" / "registry.json.vsa.sigstore.json"
    sign_again(bundle, key, lambda s: s["predicate"]["policy"]["digest"].update(sha256=policy))
    (finding,) = repository.verify().failing
    assert (finding.code, finding.path) == ("ATT710", "provenance.toml")


@pytest.mark.parametrize("result", ["FAILED", "PASSED_LATER", "passed", "", None])
def test_a_summary_without_passed_is_reported(
    repository: Repository, key: KeyPair, result: Any
) -> None:
    repository.add("m")
    repository.released()
    bundle = repository.root / "bundles" / "registry.json.vsa.sigstore.json"
    sign_again(bundle, key, lambda s: s["predicate"].update(verificationResult=result))
    (finding,) = repository.verify().failing
    assert finding.code == "ATT710"
    assert finding.message.endswith("does not say that the release passed")


def test_an_attestation_of_a_seed_with_a_stale_sidecar_must_be_removed(
    repository: Repository,
) -> None:
    repository.add_ensemble("ens")
    repository.released()
    sidecar = json.loads(repository.path("ens_seed0.json").read_text("utf-8"))
    repository.write("ens_seed0.json", sidecar | {"sha256": "0" * 64})
    failing = {f.code: f for f in repository.verify("ens_seed0").failing}
    assert failing.keys() == {"SID402", "ATT704", "ATT708"}
    assert failing["ATT708"].help.startswith(
        "Remove bundles/ens_seed0.onnx.provenance.sigstore.json"
    )
    assert "does not describe these bytes" in failing["ATT708"].message


def test_an_attestation_of_a_seed_without_a_manifest_is_reported(
    repository: Repository,
) -> None:
    repository.add_ensemble("ens")
    repository.released()
    repository.path("ens.json").unlink()
    failing = {f.code: f for f in repository.verify("ens_seed0").failing}
    assert "no ensemble manifest lists this seed" in failing["ATT708"].message


def _materials(statement: Any) -> Any:
    return statement["predicate"]["buildDefinition"]["resolvedDependencies"]


def _parameters(statement: Any) -> Any:
    return statement["predicate"]["buildDefinition"]["externalParameters"]


@pytest.mark.parametrize(
    ("edit", "member"),
    [
        (lambda s: _parameters(s).update(seed=7), "externalParameters.seed"),
        (lambda s: _parameters(s).pop("seed"), "externalParameters.seed"),
        (lambda s: _parameters(s).update(own=1), "externalParameters.own"),
        (
            lambda s: s["predicate"]["buildDefinition"].update(externalParameters="seed 0"),
            "externalParameters",
        ),
        (lambda s: _materials(s)[0].update(name="x"), "resolvedDependencies[0].name"),
        (lambda s: _materials(s).pop(), "resolvedDependencies"),
        (lambda s: _materials(s).append({}), "resolvedDependencies"),
        (
            lambda s: s["predicate"]["buildDefinition"].update(resolvedDependencies="none"),
            "resolvedDependencies",
        ),
    ],
)  # fmt: skip
def test_the_innermost_difference_of_an_attestation_is_named(
    repository: Repository, key: KeyPair, edit: Callable[[Any], object], member: str
) -> None:
    repository.add_ensemble("ens")
    repository.released()
    bundle = repository.root / "bundles" / "ens_seed0.onnx.provenance.sigstore.json"
    sign_again(bundle, key, edit)
    (finding,) = repository.verify("ens_seed0").failing
    assert finding.code == "ATT708"
    assert f": `buildDefinition.{member}` is " in finding.message


@pytest.mark.parametrize(
    "content",
    [b"version https://git-lfs.github.com/spec/v1\n", model(salt=9)],
    ids=["a Git LFS pointer", "other bytes"],
)
def test_a_changed_manifest_is_reported_behind_a_model_that_another_rule_reports(
    repository: Repository, content: bytes
) -> None:
    repository.add_external("m")
    repository.add_ensemble("z")
    repository.released()
    repository.write("m.onnx", content)
    manifest = repository.path("z.json")
    manifest.write_text(manifest.read_text("utf-8") + "\n", "utf-8")
    stale = [f.about for f in repository.verify().failing if f.code == "ATT710"]
    assert stale == ["model/z.json"]
