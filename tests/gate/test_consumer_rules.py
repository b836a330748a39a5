# SPDX-License-Identifier: Apache-2.0
"""Requirements of a consumer, checked against statements that a trusted key signed."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path
from typing import Any

import pytest

from provenance import Report, Require, VerifyOptions, trust_from_keys, verify
from tests.support.keys import KeyPair
from tests.support.models import External, data, model
from tests.support.production import late
from tests.support.releases import SUMMARY
from tests.support.repository import SUFFIX, Repository, codes, sha256
from tests.support.statements import sign_again
from tests.support.verifying import verify_model


def of_row(repository: Repository, require: Require, **fields: Any) -> list[tuple[str, str]]:
    """Return the requirements that a row does not meet if it is signed with other fields."""
    assert repository.key is not None
    bundle = repository.root / "bundles" / f"m.onnx{SUFFIX}"
    sign_again(bundle, repository.key, lambda s: s["predicate"]["row"].update(fields))
    found = verify(repository.config, VerifyOptions(require=require), rows=["m"]).failing
    return [(f.code, f.message) for f in found if f.code.startswith("USE")]


@pytest.fixture
def released(repository: Repository) -> Repository:
    repository.add_sidecar(repository.add("m", smoke=False))
    return repository.released()


@pytest.mark.parametrize(
    ("classification", "says"),
    [
        ("production", None),
        ("smoke", "it was signed as a smoke model; expected a production model"),
        ("unclaimed", "it was signed without a claim to be a production model (unclaimed); exp"),
    ],
)
def test_production_requires_a_row_signed_as_production(
    released: Repository, classification: str, says: str | None
) -> None:
    found = of_row(released, Require(production=True), classification=classification)
    assert [code for code, _ in found] == ([] if says is None else ["USE002"])
    assert says is None or found[0][1].startswith(says)


@pytest.mark.parametrize(
    ("license", "says"),
    [
        ("MIT", None),
        ("Zlib", "its license is Zlib; allowed"),
        ("MIT AND Zlib", "its license is MIT AND Zlib, which needs Zlib; allowed"),
        ("Zlib AND MIT", "its license is Zlib AND MIT, which needs Zlib; allowed"),
        ("", "it was signed without a license; allowed"),
        ("MIT MIT", "its license 'MIT MIT' is not an SPDX license expression; allowed"),
    ],
)
def test_the_signed_license_must_be_allowed(
    released: Repository, license: Any, says: str | None
) -> None:
    found = of_row(released, Require(licenses=["MIT"]), license=license)
    assert len(found) == (0 if says is None else 1)
    assert says is None or found[0][1].startswith(says)


def as_smoke(statement: Any) -> None:
    statement["predicate"]["row"]["classification"] = "smoke"


def consumed(folder: Path, key: KeyPair, **require: Any) -> Report:
    return verify_model(
        folder / "m.onnx", trust_from_keys([key.public]), require=Require(**require)
    )


def test_a_finding_about_a_single_file_names_the_file(
    released: Repository, tmp_path: Path, key: KeyPair
) -> None:
    folder = fetched(released, tmp_path / "fetched")
    sign_again(
        folder / f"m.onnx{SUFFIX}",
        key,
        as_smoke,
    )
    told = {f.code: f.about for f in consumed(folder, key, production=True).failing}
    assert told["USE002"].endswith("m.onnx")


def fetched(repository: Repository, folder: Path) -> Path:
    """Return the folder with all files of a release, as a consumer has them."""
    shutil.copytree(repository.models, folder)
    shutil.copytree(repository.root / "bundles", folder, dirs_exist_ok=True)
    return folder


def test_a_finding_about_a_registry_names_the_model_too(released: Repository) -> None:
    assert released.key is not None
    bundle = released.root / "bundles" / f"m.onnx{SUFFIX}"
    sign_again(bundle, released.key, as_smoke)
    told = {
        f.code: f
        for f in verify(released.config, VerifyOptions(require=Require(production=True))).failing
    }
    refused = told["USE002"]
    assert (refused.path, refused.about) == ("model/registry.json", "model/m.onnx")


@pytest.mark.parametrize("unsigned", [(), ("a.data",)])
def test_every_file_of_a_model_must_be_part_of_the_release(
    repository: Repository, tmp_path: Path, key: KeyPair, unsigned: tuple[str, ...]
) -> None:
    """Weights of another release are reported although the model is in both releases.

    A file that the bundle does not sign is reported too, and does not hide the others.
    """
    names = ("a.data", "b.data")

    def write(salt: int) -> None:
        for n, name in enumerate(names):
            repository.write(name, data(24, salt + n))
        covered = {n: sha256(repository.path(n).read_bytes()) for n in names}
        repository.rows[0]["external_data_sha256"] = covered

    outside = [External(name, tensor=name) for name in names]
    repository.add("m", model(external=outside))
    write(0)
    repository.released()
    former = (repository.root / "bundles" / SUMMARY).read_bytes()
    write(50)
    repository.released()
    folder = fetched(repository, tmp_path / "fetched")
    (folder / SUMMARY).write_bytes(former)

    def leave_out(statement: Any) -> None:
        for files in (statement["subject"], statement["predicate"]["files"]):
            files[:] = [f for f in files if f["name"] not in unsigned]

    sign_again(folder / f"m.onnx{SUFFIX}", key, leave_out)
    report = consumed(folder, key, summary=True)
    found = [Path(f.path).name for f in report.failing if f.code == "USE006"]
    assert sorted(found) == sorted(set(names) - set(unsigned))


def test_a_variant_without_its_model_is_reported_with_all_that_is_to_be_fetched(
    repository: Repository, tmp_path: Path, key: KeyPair
) -> None:
    content = model(external=External("m.data"))
    repository.write("m.data", data(24))
    covered = {"m.data": sha256(data(24))}
    repository.add_int8("m", external_data_sha256=covered, sha256=sha256(content))
    repository.write("m.onnx", content)
    folder = fetched(repository.released(), tmp_path / "fetched")
    for name in ("m.onnx", "m.data"):
        (folder / name).unlink()
    trust, bundle = trust_from_keys([key.public]), folder / f"m.onnx{SUFFIX}"
    found = verify_model(folder / "m.int8.onnx", trust, bundle=bundle).failing
    assert {(f.code, f.help) for f in found} == {
        ("ATT705", "Fetch it from the publisher too, and put it beside the model.")
    }
    assert sorted(f.message for f in found) == [
        "the publisher also signed m.data (external data), which is missing",
        "the publisher also signed m.onnx (a model of the row), which is missing",
    ]


def test_a_model_without_the_release_summary_is_reported_at_its_bundle(
    released: Repository, tmp_path: Path, key: KeyPair
) -> None:
    folder = fetched(released, tmp_path / "fetched")
    (folder / SUMMARY).unlink()
    shutil.copyfile(folder / f"m.onnx{SUFFIX}", folder / f"m.onnx.2{SUFFIX}")
    (found,) = consumed(folder, key, summary=True).failing
    assert (found.code, Path(found.path).name) == ("USE005", f"m.onnx{SUFFIX}")


def test_a_registry_without_the_release_summary_is_reported_once(released: Repository) -> None:
    (released.root / "bundles" / SUMMARY).unlink()
    report = verify(released.config, VerifyOptions(require=Require(summary=True)))
    assert codes(report) == ["ATT709"]


def test_att710_reports_differences_of_a_whole_registry(
    repository: Repository,
) -> None:
    repository.add("m")
    repository.released()
    assert repository.key is not None
    sign_again(repository.root / "bundles" / SUMMARY, repository.key, lambda s: s["subject"].pop())
    assert set(codes(verify(repository.config, VerifyOptions(require=Require(summary=True))))) == {
        "ATT710"
    }


def test_each_row_with_a_deferral_is_reported_and_the_summary_is_not(
    tmp_path: Path, key: KeyPair
) -> None:
    repository = late(tmp_path / "tree", key).released()
    report = verify(repository.config, VerifyOptions(require=Require(no_deferrals=True)))
    assert [(f.code, f.row) for f in report.failing] == [("USE003", "late")]
    assert "signed with an exception to SID402: the retrain (ADR-1105)" in report.failing[0].message


@pytest.mark.parametrize(("days", "expired"), [(-1, False), (0, False), (1, True)])
def test_a_model_that_was_signed_with_a_deferral_is_refused_after_its_last_day(
    repository: Repository, tmp_path: Path, key: KeyPair, days: int, expired: bool
) -> None:
    day = datetime.date(2999, 6, 30)
    repository.add_sidecar(repository.add("m"), sha256="0" * 64)
    repository.defer("SID402", ["m"], expires=day)
    folder = fetched(repository.released(), tmp_path / "fetched")
    today = day + datetime.timedelta(days=days)
    report = verify_model(folder / "m.onnx", trust_from_keys([key.public]), today=today)
    found = [(f.code, Path(f.path).name, f.help) for f in report.failing]
    expected = ("DEF903", "m.onnx", "Ask the publisher for a release without it.")
    assert found == ([expected] if expired else [])
