# SPDX-License-Identifier: Apache-2.0
"""Comparison of a row, its files and its release with what was signed."""

from __future__ import annotations

import base64
import datetime
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance import trust_from_keys
from provenance.artifacts import digest
from provenance.attestations.predicates import REGISTRY_FIELD
from provenance.attestations.statement import Statement, Subject
from provenance.evidence.read_rows import read_bundle
from provenance.evidence.rows import BundleEvidence, ExternalFile, ModelEvidence, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.case import Case
from provenance.gate.rules.signatures import SignersTooFew, changed_files
from provenance.gate.signature_set import SignatureSet
from provenance.registry.rows import Row
from provenance.signing.judgement import Signer
from provenance.signing.trust import TrustedIdentity
from tests.support.keys import KeyPair
from tests.support.models import External, data, model
from tests.support.repository import PASSED, SUFFIX, Repository, codes, sha256
from tests.support.statements import sign_again

Edit = Callable[[Any], object]
PLAIN, SEED, SUMMARY = "m.onnx", "ens_seed0.onnx.provenance", "registry.json.vsa"


@pytest.fixture
def released(repository: Repository) -> Repository:
    """A released repository with the row `m`."""
    repository.add("m")
    return repository.released()


@pytest.fixture
def ensemble(repository: Repository) -> Repository:
    """A released repository with an ensemble of two seeds."""
    repository.add_ensemble("ens")
    return repository.released()


def bundle(repository: Repository, name: str = PLAIN) -> Path:
    return repository.root / "bundles" / f"{name}{SUFFIX}"


def only(repository: Repository, *rows: str) -> Finding:
    found: Finding
    (found,) = repository.verify(*rows).failing
    return found


# --- the fields of a row ------------------------------------------------------------------------


@pytest.mark.parametrize("added", [True, False])
@pytest.mark.parametrize("value", [None, "", 0, False])
def test_a_field_with_an_empty_value_that_is_added_or_removed_is_a_change(
    repository: Repository, value: object, added: bool
) -> None:
    unchanged, row = repository.add("m"), repository.add("n")
    unchanged["own"] = value
    row |= {} if added else {"own": value}
    repository.released()
    if added:
        row["own"] = value
    else:
        del row["own"]
    found = repository.save().verify("m", "n").failing
    assert [(f.code, f.row) for f in found] == [("ATT703", "n")]


def predicate(edit: Edit) -> Edit:
    return lambda statement: edit(statement["predicate"])


def deferring(*deferrals: Any) -> Edit:
    return lambda p: p.update(deferrals=[*deferrals])


MALFORMED: list[tuple[Edit, str]] = [
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
    (deferring("SID402"), "`deferrals`: expected an object"),
    (lambda p: p.update(deferrals=None), "`deferrals`: expected a list"),
]


@pytest.mark.parametrize(("edit", "reason"), MALFORMED)
def test_a_malformed_predicate_does_not_bind_a_row(
    released: Repository, key: KeyPair, edit: Edit, reason: str
) -> None:
    sign_again(bundle(released), key, predicate(edit))
    found = only(released, "m")
    assert found.code == "ATT701"
    assert "not a valid registry row v1" in found.message
    assert reason in found.message


IN_FORCE = "until its cause is gone (None); in force now: none"
DIFFERENT: list[tuple[Edit, str, str]] = [
    (lambda p: p["source"]["verbatim"].update(kind="nr"), "ATT703", "`kind` is 'fr'; the signed"),
    (lambda p: p["row"].update(kind="nr"), "ATT703", "`kind` of the canonical row is 'fr'; the"),
    (lambda p: p["row"].update(classification="unclaimed"), "ATT703", "`classification` of the c"),
    (lambda p: p["row"].update(origin={"source": "x", "license": "MIT"}), "ATT703", "`origin` of"),
    (lambda p: p["files"][0].update(role="external-data"), "ATT703", "is the model of the row; i"),
    (lambda p: p["row"].update(comment="x"), "ATT703", "`comment` of the canonical row is None;"),
    (lambda p: p["row"].update(gate={}, kind="nr"), "ATT703", "`kind` of the canonical row is 'f"),
    (lambda p: p["source"].update(index="a/registry.json"), "ATT703", "the registry 'a/"),
    (lambda p: p["source"].update(index="other/registry.json"), "ATT703", "the registry 'other/"),
    (deferring({"rule": "XYZ999"}), "ATT706", f"signed deferrals: XYZ999 {IN_FORCE}"),
    (deferring({"rule": 5}), "ATT706", f"signed deferrals: 5 {IN_FORCE}"),
    (deferring({"rule": None}), "ATT706", f"signed deferrals: None {IN_FORCE}"),
    (deferring({}), "ATT706", f"signed deferrals: None {IN_FORCE}"),
    (deferring({"rule": "SID402"}), "ATT706", f"signed deferrals: SID402 {IN_FORCE}"),
]


@pytest.mark.parametrize(("edit", "code", "message"), DIFFERENT)
def test_a_row_that_its_signer_understood_otherwise_is_another_row(
    released: Repository, key: KeyPair, edit: Edit, code: str, message: str
) -> None:
    sign_again(bundle(released), key, predicate(edit))
    shutil.copyfile(bundle(released), bundle(released, "m.onnx.2"))
    found = only(released, "m")
    assert found.code == code
    assert message in found.message


@pytest.mark.parametrize("rule", ["RUN001", "BAS801"])
def test_a_signed_deferral_of_a_rule_that_no_release_judges_is_reported(
    released: Repository, key: KeyPair, rule: str
) -> None:
    sign_again(bundle(released), key, predicate(deferring({"rule": rule})))
    assert codes(released.verify()) == ["ATT706", "ATT710"]


@pytest.mark.parametrize(
    "changes", [{"location": "$['models'][7]"}, {"mapping": {"sha256": "0" * 64}}]
)
def test_the_position_and_parsing_of_a_row_are_not_compared(
    released: Repository, key: KeyPair, changes: dict[str, Any]
) -> None:
    sign_again(bundle(released), key, predicate(lambda p: p["source"].update(changes)))
    assert codes(released.verify("m")) == []


def test_another_gate_than_the_signed_one_is_reported(repository: Repository, key: KeyPair) -> None:
    repository.add_sidecar(repository.add("m"), gate=PASSED)
    repository.released()
    sign_again(bundle(repository), key, predicate(lambda p: p["row"]["gate"].update(threshold=0.5)))
    found = only(repository, "m")
    assert found.code == "ATT703"
    assert found.message.startswith("`gate` of the canonical row is")


def test_a_changed_nested_digest_is_reported_if_no_file_changed(repository: Repository) -> None:
    repository.add("m", own={"sha256": "x"})
    repository.released()
    repository.edit_registry('"sha256": "x"', '"sha256": "y"')
    assert codes(repository.verify("m")) == ["ATT703"]


# --- sidecars and deferrals ---------------------------------------------------------------------


@pytest.mark.parametrize("of_the_model", [True, False])
def test_the_sidecar_of_a_variant_is_compared_separately(
    repository: Repository, of_the_model: bool
) -> None:
    row = repository.add_int8("m")
    if of_the_model:
        repository.add_sidecar(row)
    variant = {"id": "m", "kind": "fr", "onnx": "m.int8.onnx", "sha256": row["int8_sha256"]}
    repository.write("m.int8.json", variant)
    repository.released()
    repository.write("m.int8.json", variant | {"notes": "another"})
    found = only(repository, "m")
    assert (found.code, found.path) == ("ATT704", "model/m.int8.json")


def test_the_gate_is_not_compared_if_a_sidecar_has_changed(repository: Repository) -> None:
    row = repository.add_int8("m")
    repository.add_sidecar(row, gate=PASSED)
    variant = {"id": "m", "kind": "fr", "onnx": "m.int8.onnx", "sha256": row["int8_sha256"]}
    repository.write("m.int8.json", variant)
    repository.released()
    repository.add_sidecar(row, gate=PASSED | {"mean_plcc": 0.97})
    assert codes(repository.verify("m")) == ["ATT704"]


def test_a_removed_deferral_is_reported_for_a_single_row(repository: Repository) -> None:
    repository.add_sidecar(repository.add("m"), sha256="0" * 64)
    repository.defer("SID402", ["m"])
    repository.released()
    repository.deferrals.clear()
    assert codes(repository.save().verify("m")) == ["ATT706", "SID402"]


def test_a_deferral_of_the_ensemble_is_in_force_for_a_single_row(repository: Repository) -> None:
    """If one row is verified, rules about its ensemble are not judged, but their deferrals hold."""
    repository.add_ensemble("ens", smoke=False)
    verdict = repository.path("ens_seed_flip_PROMOTE.json")
    value = json.loads(verdict.read_text("utf-8"))
    value["corpus"]["sha256"] = "0" * 64
    verdict.write_text(json.dumps(value), "utf-8")
    repository.defer("ENS514", ["ens"])
    repository.released()
    assert codes(repository.verify()) == codes(repository.verify("ens_seed0")) == []


# --- the summary and the attestations of seeds --------------------------------------------------


@pytest.mark.parametrize("name", [SEED, SUMMARY])
@pytest.mark.parametrize("kind", ["0", "https://a.example/v1", "https://slsa.dev/provenance/v2"])
def test_a_statement_of_another_type_is_reported(
    ensemble: Repository, key: KeyPair, name: str, kind: str
) -> None:
    path = bundle(ensemble, name)
    sign_again(path, key, lambda s: s.update(predicateType=kind))
    found = next(f for f in ensemble.verify().failing if "its predicate is of type" in f.message)
    assert found.code == ("ATT708" if name == SEED else "ATT710")
    assert found.path == f"bundles/{path.name}"
    assert found.help.startswith(("Restore the released files", "Release again"))


def policy(digest: Any) -> Edit:
    return lambda p: p["policy"]["digest"].update(sha256=digest)


def result(value: Any) -> Edit:
    return lambda p: p.update(verificationResult=value)


def index(value: str) -> Edit:
    return lambda p: p[REGISTRY_FIELD].update(index=value)


OF_ANOTHER, NOT_PASSED = "is the summary of the registry", "does not say that the release passed"


@pytest.mark.parametrize(
    ("edit", "code", "message"),
    [
        (index("a/registry.json"), "ATT712", f"{OF_ANOTHER} 'a/registry.json'"),
        (index("z/registry.json"), "ATT712", f"{OF_ANOTHER} 'z/registry.json'"),
        *((policy(to), "ATT710", "provenance.toml") for to in ("0" * 64, "f" * 64, None, 5)),
        *((result(to), "ATT710", NOT_PASSED) for to in ("FAILED", "PASSED_LATER", "passed", None)),
    ],
)
def test_a_summary_of_another_release_is_reported(
    released: Repository, key: KeyPair, edit: Edit, code: str, message: str
) -> None:
    sign_again(bundle(released, SUMMARY), key, predicate(edit))
    found = only(released)
    assert found.code == code
    assert message in f"{found.path}: {found.message}"


def test_the_attestation_of_a_seed_with_a_stale_sidecar_must_be_removed(
    ensemble: Repository,
) -> None:
    sidecar = json.loads(ensemble.path("ens_seed0.json").read_text("utf-8"))
    ensemble.write("ens_seed0.json", sidecar | {"sha256": "0" * 64})
    failing = {f.code: f for f in ensemble.verify("ens_seed0").failing}
    assert failing.keys() == {"SID402", "ATT704", "ATT708"}
    assert failing["ATT708"].help.startswith(f"Remove bundles/{SEED}{SUFFIX}")
    assert "does not describe these bytes" in failing["ATT708"].message


def test_the_attestation_of_a_seed_without_a_manifest_is_reported(ensemble: Repository) -> None:
    ensemble.path("ens.json").unlink()
    failing = {f.code: f for f in ensemble.verify("ens_seed0").failing}
    assert "no ensemble manifest lists this seed" in failing["ATT708"].message


@pytest.mark.parametrize(
    ("edit", "member"),
    [
        (lambda b: b["externalParameters"].update(seed=7), "externalParameters.seed"),
        (lambda b: b["externalParameters"].pop("seed"), "externalParameters.seed"),
        (lambda b: b["externalParameters"].update(own=1), "externalParameters.own"),
        (lambda b: b.update(externalParameters="seed 0"), "externalParameters"),
        (lambda b: b["resolvedDependencies"][0].update(name=1), "resolvedDependencies[0].name"),
        (lambda b: b["resolvedDependencies"].pop(), "resolvedDependencies"),
        (lambda b: b["resolvedDependencies"].append({}), "resolvedDependencies"),
        (lambda b: b.update(resolvedDependencies="none"), "resolvedDependencies"),
    ],
)
def test_the_innermost_difference_of_an_attestation_is_named(
    ensemble: Repository, key: KeyPair, edit: Edit, member: str
) -> None:
    sign_again(bundle(ensemble, SEED), key, lambda s: edit(s["predicate"]["buildDefinition"]))
    found = only(ensemble, "ens_seed0")
    assert found.code == "ATT708"
    assert f": `buildDefinition.{member}` is " in found.message


@pytest.mark.parametrize(
    "content", [b"version https://git-lfs.github.com/spec/v1\n", model(salt=9)]
)
def test_a_changed_manifest_is_reported_beside_a_model_of_another_finding(
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


# --- files of one row, swapped or renamed -------------------------------------------------------


@pytest.fixture
def two_data_files(repository: Repository) -> Repository:
    """A released model with its weights in two files."""
    weights = {"a.data": data(24, 0), "b.data": data(24, 1)}
    for name, content in weights.items():
        repository.write(name, content)
    external = [External(name, tensor=name[0]) for name in weights]
    covered = {name: sha256(content) for name, content in weights.items()}
    repository.add("m", model(external=external), external_data_sha256=covered)
    return repository.released()


def swap(repository: Repository, one: str, other: str) -> None:
    first, second = (repository.path(n).read_bytes() for n in (one, other))
    repository.write(one, second)
    repository.write(other, first)


def test_swapped_data_files_fail_with_and_without_their_digests(two_data_files: Repository) -> None:
    swap(two_data_files, "a.data", "b.data")
    assert codes(two_data_files.verify("m")) == ["ART302", "ART302"]
    covered = two_data_files.rows[0]["external_data_sha256"]
    covered["a.data"], covered["b.data"] = covered["b.data"], covered["a.data"]
    report = two_data_files.save().verify("m")
    assert codes(report) == ["SIG605", "SIG605"]
    assert {f.about for f in report.failing} == {"model/a.data", "model/b.data"}


def test_a_model_swapped_with_its_variant_fails_verification(repository: Repository) -> None:
    row = repository.add_int8("m")
    repository.released()
    swap(repository, "m.onnx", "m.int8.onnx")
    row["sha256"], row["int8_sha256"] = row["int8_sha256"], row["sha256"]
    assert codes(repository.save().verify("m")) == ["SIG605", "SIG605"]


def test_external_data_that_was_signed_as_a_model_is_reported(
    repository: Repository, key: KeyPair
) -> None:
    def swap_roles(p: Any) -> None:
        for file in p["files"]:
            file["role"] = "external-data" if file["role"] == "model" else "model"

    repository.add_external("m")
    sign_again(bundle(repository.released()), key, predicate(swap_roles))
    assert sorted(f.message for f in repository.verify("m").failing) == [
        "'m.onnx' is the model of the row; it was signed as external-data",
        "'m.onnx.data' is the external-data of the row; it was signed as model",
    ]


def test_a_renamed_file_is_reported_beside_one_with_its_own_name(
    two_data_files: Repository, key: KeyPair
) -> None:
    def rename(statement: Any) -> None:
        for files in (statement["subject"], statement["predicate"]["files"]):
            (file,) = (f for f in files if f["name"] == "b.data")
            file["name"] = "former.data"

    sign_again(bundle(two_data_files), key, rename)
    found = [f.about for f in two_data_files.verify("m").failing if f.code == "SIG606"]
    assert found == ["model/b.data"]


@pytest.mark.parametrize("file", ["b.onnx", "d.int8.onnx", "a.data", "c.data", "e.data"])
def test_changed_files_skips_files_whose_declared_digest_is_the_signed_one(file: str) -> None:
    """ART302 reports such a file. It does not report a row that changed with its file."""
    names = ["b.onnx", "d.int8.onnx", "a.data", "c.data", "e.data"]
    signed = {name: sha256(name.encode()) for name in names}
    new = digest.of_bytes(b"other bytes")
    digests = {n: new if n == file else digest.of_bytes(n.encode()) for n in names}
    data = tuple(ExternalFile(n, n, digests[n]) for n in names[2:])

    def changed(declared: dict[str, str]) -> list[str]:
        fields = {
            "sha256": declared["b.onnx"],
            "int8_sha256": declared["d.int8.onnx"],
            "external_data_sha256": {n: declared[n] for n in names[2:]},
        }
        row = RowEvidence(
            Row(0, fields, fields),
            onnx=ModelEvidence("b.onnx", "b.onnx", digests["b.onnx"], external=data),
            int8=ModelEvidence("d.int8.onnx", "d.int8.onnx", digests["d.int8.onnx"]),
        )
        subjects = tuple(Subject(name, found) for name, found in signed.items())
        return [f.name for f, _ in changed_files(row, Statement(subjects, "", {}))]

    assert changed(signed) == []
    assert changed(signed | {file: new.sha256}) == [file]
    assert changed(dict.fromkeys(names, "0" * 64)) == [file]


# --- bundles and signers ------------------------------------------------------------------------


def test_an_unreadable_bundle_is_reported_beside_one_outside_the_repository(
    repository: Repository,
) -> None:
    """REG107 reports a path out of the repository; the file there is not examined."""
    repository.add("m")
    repository.add("n")
    repository.released()
    repository.rows[0]["sigstore_bundle"] = "../../m.onnx.sigstore.json"
    bundle(repository, "n.onnx").unlink()
    bundle(repository, "n.onnx").mkdir()
    found = [(f.code, f.row) for f in repository.save().verify("m", "n").failing]
    assert ("REG107", "m") in found
    assert [row for code, row in found if code == "SIG602"] == ["n"]


@pytest.mark.parametrize(("signed", "wanted"), [(1, 2), (2, 3), (2, 2), (3, 2)])
def test_too_few_signers_are_reported_with_their_number(signed: int, wanted: int) -> None:
    who = [TrustedIdentity("https://issuer.example", f"{n}@example.org") for n in range(signed)]
    counted = tuple((Signer(e.subject, e.issuer, e.subject, (e,)), e) for e in who)
    evidence = BundleEvidence("m.sigstore.json", "m.sigstore.json")
    found = [*SignersTooFew().conclude(SignatureSet((), counted, wanted), evidence)]
    assert len(found) == int(signed < wanted)
    for _, message, _ in found:
        assert f"was signed by {signed} of {wanted} required signers: 0@example.org (" in message


def test_signatures_are_judged_by_the_bytes_of_a_bundle_and_not_its_path(
    released: Repository, key: KeyPair
) -> None:
    genuine = bundle(released).read_bytes()
    value = json.loads(genuine)
    payload = base64.b64decode(value["dsseEnvelope"]["payload"])
    other = base64.b64encode(payload.replace(b'"m.onnx"', b'"n.onnx"'))
    value["dsseEnvelope"]["payload"] = other.decode("ascii")
    evidence: Any = None  # not used
    trust = trust_from_keys([key.public])
    case = Case(evidence, trust, released.config, datetime.date(2026, 6, 30))
    verdicts = [
        case.signature_set(read_bundle("m.sigstore.json", data, "m")).counts
        for data in (genuine, json.dumps(value).encode(), genuine)
    ]
    assert verdicts == [True, False, True]
