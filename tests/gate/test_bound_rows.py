# SPDX-License-Identifier: Apache-2.0
"""What a signed row is compared with: every field, both sidecars, the deferrals that cover it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.keys import KeyPair
from tests.support.repository import Repository, codes
from tests.support.statements import sign_again


@pytest.mark.parametrize("value", [None, "", 0, False])
def test_a_field_that_was_added_is_no_field_without_a_value(
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
def test_a_field_that_was_removed_was_signed_even_without_a_value(
    repository: Repository, value: object
) -> None:
    row = repository.add("m")
    row["own"] = value
    repository.released()
    del row["own"]
    assert codes(repository.save().verify("m")) == ["ATT703"]


@pytest.mark.parametrize("of_the_model", ["none", "as it was signed"])
def test_the_sidecar_of_a_variant_is_compared_whatever_the_models_is(
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


def test_what_was_deferred_of_the_ensemble_is_in_force_for_one_row_too(
    on_another_corpus: Repository,
) -> None:
    """Alone, a row does not show what its ensemble is deferred for. It is not gone for that."""
    assert codes(on_another_corpus.verify()) == []
    assert codes(on_another_corpus.verify("ens_seed0")) == []


def test_a_deferral_of_the_row_that_is_gone_is_told_for_one_row_too(
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
def test_a_signed_deferral_that_is_not_in_force_is_told_whatever_it_is(
    repository: Repository, key: KeyPair, signed: Any
) -> None:
    repository.add("m")
    repository.released()
    bundle = repository.root / "bundles" / "m.onnx.sigstore.json"
    sign_again(bundle, key, lambda s: s["predicate"].update(deferrals=[signed]))
    (finding,) = repository.verify("m").failing
    assert finding.code == "ATT706"
    said = f"{signed.get('rule')} until its cause is gone (None)"
    assert finding.message == f"signed with {said}; in force no deferral"


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
def test_a_predicate_that_does_not_follow_its_type_binds_no_row(
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
        (lambda p: p["source"]["verbatim"].update(kind="nr"), "`kind` is 'fr'; signed is 'nr'"),
        (lambda p: p["row"].update(kind="nr"), "`kind` of the canonical row is 'fr'; signed is"),
        (lambda p: p["row"].update(classification="unclaimed"), "`classification` of the canon"),
        (lambda p: p["row"].update(origin={"source": "x", "license": "MIT"}), "`origin` of the"),
        (lambda p: p["files"][0].update(role="external-data"), "is the model of the row; signed"),
        (lambda p: p["source"].update(index="other/registry.json"), "signed as a row of 'other/"),
    ],
)  # fmt: skip
def test_a_row_that_its_signer_understood_otherwise_is_another_row(
    repository: Repository, key: KeyPair, edit: Callable[[Any], object], message: str
) -> None:
    sign_otherwise(repository, key, edit)
    (finding,) = repository.verify("m").failing
    assert finding.code == "ATT703"
    assert message in finding.message


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: p["source"].update(location="$['models'][7]"),
        lambda p: p["source"].update(mapping={"sha256": "0" * 64}),
    ],
    ids=["location", "mapping"],
)
def test_where_a_row_stood_and_how_it_was_read_are_not_compared(
    repository: Repository, key: KeyPair, edit: Callable[[Any], object]
) -> None:
    sign_otherwise(repository, key, edit)
    assert codes(repository.verify("m")) == []


@pytest.mark.parametrize("rule", ["RUN001", "BAS801"])
def test_a_deferral_of_what_no_release_judges_was_not_signed_by_one(
    repository: Repository, key: KeyPair, rule: str
) -> None:
    repository.add("m")
    repository.released()
    bundle = repository.root / "bundles" / "m.onnx.sigstore.json"
    sign_again(bundle, key, lambda s: s["predicate"].update(deferrals=[{"rule": rule}]))
    assert codes(repository.verify()) == ["ATT706", "ATT710"]


OTHER_TYPES = ["", "https://a.example/v1", "https://slsa.dev/provenance/v2", "x"]


@pytest.mark.parametrize("of", OTHER_TYPES)
def test_a_seed_attestation_is_of_one_type(repository: Repository, key: KeyPair, of: str) -> None:
    repository.add_ensemble("ens")
    repository.released()
    bundle = repository.root / "bundles" / "ens_seed0.onnx.provenance.sigstore.json"
    sign_again(bundle, key, lambda s: s.update(predicateType=of or "0"))
    (finding,) = repository.verify("ens_seed0").failing
    assert (finding.code, finding.path) == ("ATT708", f"bundles/{bundle.name}")
    assert "its predicate is of type" in finding.message
    assert finding.help.startswith("Restore the released files")


@pytest.mark.parametrize("of", OTHER_TYPES)
def test_a_release_summary_is_of_one_type(repository: Repository, key: KeyPair, of: str) -> None:
    repository.add("m")
    repository.released()
    bundle = repository.root / "bundles" / "registry.json.vsa.sigstore.json"
    sign_again(bundle, key, lambda s: s.update(predicateType=of or "0"))
    (finding,) = repository.verify().failing
    assert finding.code == "ATT710"
    assert "its predicate is of type" in finding.message


@pytest.mark.parametrize("policy", ["0" * 64, "f" * 64, None, 5])
def test_a_release_under_another_policy_is_not_this_one(
    repository: Repository, key: KeyPair, policy: Any
) -> None:
    repository.add("m")
    repository.released()
    bundle = repository.root / "bundles" / "registry.json.vsa.sigstore.json"
    sign_again(bundle, key, lambda s: s["predicate"]["policy"]["digest"].update(sha256=policy))
    (finding,) = repository.verify().failing
    assert (finding.code, finding.path) == ("ATT710", "provenance.toml")


@pytest.mark.parametrize("result", ["FAILED", "PASSED_LATER", "passed", "", None])
def test_a_release_that_did_not_pass_is_none(
    repository: Repository, key: KeyPair, result: Any
) -> None:
    repository.add("m")
    repository.released()
    bundle = repository.root / "bundles" / "registry.json.vsa.sigstore.json"
    sign_again(bundle, key, lambda s: s["predicate"].update(verificationResult=result))
    (finding,) = repository.verify().failing
    assert finding.code == "ATT710"
    assert finding.message.endswith("does not say that the release passed")


def test_an_attestation_of_a_seed_whose_sidecar_is_stale_now_has_to_go(
    repository: Repository,
) -> None:
    repository.add_ensemble("ens")
    repository.released()
    sidecar = json.loads(repository.path("ens_seed0.json").read_text("utf-8"))
    repository.write("ens_seed0.json", sidecar | {"sha256": "0" * 64})
    told = {f.code: f for f in repository.verify("ens_seed0").failing}
    assert told.keys() == {"SID402", "ATT704", "ATT708"}
    assert told["ATT708"].help.startswith("Remove bundles/ens_seed0.onnx.provenance.sigstore.json")
    assert "does not describe these bytes" in told["ATT708"].message


def test_an_attestation_cannot_be_held_against_a_seed_that_nothing_lists_any_more(
    repository: Repository,
) -> None:
    repository.add_ensemble("ens")
    repository.released()
    repository.path("ens.json").unlink()
    told = {f.code: f for f in repository.verify("ens_seed0").failing}
    assert "no ensemble manifest lists this seed" in told["ATT708"].message


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
def test_the_deepest_member_of_an_attestation_that_differs_is_named(
    repository: Repository, key: KeyPair, edit: Callable[[Any], object], member: str
) -> None:
    repository.add_ensemble("ens")
    repository.released()
    bundle = repository.root / "bundles" / "ens_seed0.onnx.provenance.sigstore.json"
    sign_again(bundle, key, edit)
    (finding,) = repository.verify("ens_seed0").failing
    assert finding.code == "ATT708"
    assert f": `buildDefinition.{member}` is " in finding.message
