# SPDX-License-Identifier: Apache-2.0
"""Requirements of a consumer, checked against statements that a trusted key signed."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance import Report, Require, VerifyOptions, trust_from_keys, verify
from tests.support.findings import listed, only
from tests.support.keys import KeyPair
from tests.support.models import External, data, model
from tests.support.production import late
from tests.support.releases import SUMMARY
from tests.support.repository import SUFFIX, Repository, codes, sha256
from tests.support.statements import sign_again
from tests.support.verifying import verify_model


@pytest.fixture
def released(repository: Repository) -> Repository:
    repository.add_sidecar(repository.add("m", smoke=False))
    return repository.released()


def fetched(repository: Repository, folder: Path) -> Path:
    """Return a folder with all files of a release, as a consumer has them."""
    shutil.copytree(repository.models, folder)
    shutil.copytree(repository.root / "bundles", folder, dirs_exist_ok=True)
    return folder


def consumed(folder: Path, key: KeyPair, **require: Any) -> Report:
    return verify_model(
        folder / "m.onnx", trust_from_keys([key.public]), require=Require(**require)
    )


def verified(repository: Repository, *rows: str, **require: Any) -> Report:
    return verify(repository.config, VerifyOptions(require=Require(**require)), rows=rows)


def with_row(**fields: Any) -> Callable[[Any], None]:
    return lambda statement: statement["predicate"]["row"].update(fields)


@pytest.mark.parametrize(
    ("require", "fields", "code", "message"),
    [
        ({"production": True}, {"classification": "production"}, "", ""),
        (
            {"production": True},
            {"classification": "smoke"},
            "USE002",
            "it was signed as a smoke model; expected a production model",
        ),
        (
            {"production": True},
            {"classification": "unclaimed"},
            "USE002",
            "it was signed without a claim to be a production model (unclaimed); exp",
        ),
        *(
            ({"licenses": ["MIT"]}, {"license": license}, "USE004", f"{message}; allowed")
            for license, message in (
                ("Zlib", "its license is Zlib"),
                ("MIT AND Zlib", "its license is MIT AND Zlib, which needs Zlib"),
                ("Zlib AND MIT", "its license is Zlib AND MIT, which needs Zlib"),
                ("", "it was signed without a license"),
                ("MIT MIT", "its license 'MIT MIT' is not an SPDX license expression"),
            )
        ),
        ({"licenses": ["MIT"]}, {"license": "MIT"}, "", ""),
    ],
)
def test_signed_field_must_meet_the_requirement(
    released: Repository, key: KeyPair, require: Any, fields: Any, code: str, message: str
) -> None:
    sign_again(released.root / "bundles" / f"m.onnx{SUFFIX}", key, with_row(**fields))
    report = verified(released, "m", **require)
    found = [f for f in report.failing if f.code.startswith("USE")]
    assert [f.code for f in found] == ([code] if code else [])
    assert all(f.message.startswith(message) for f in found)


def test_finding_names_the_model(released: Repository, tmp_path: Path, key: KeyPair) -> None:
    folder = fetched(released, tmp_path / "fetched")
    for bundle in (folder / f"m.onnx{SUFFIX}", released.root / "bundles" / f"m.onnx{SUFFIX}"):
        sign_again(bundle, key, with_row(classification="smoke"))
    assert only(consumed(folder, key, production=True), "USE002").about.endswith("m.onnx")
    found = only(verified(released, production=True), "USE002")
    assert (found.path, found.about) == ("model/registry.json", "model/m.onnx")


@pytest.mark.parametrize("unsigned", [(), ("a.data",)])
def test_weights_of_another_release_are_reported(
    repository: Repository, tmp_path: Path, key: KeyPair, unsigned: tuple[str, ...]
) -> None:
    """The model is in both releases. A file that the bundle does not sign hides no other."""
    names = ("a.data", "b.data")

    def write(salt: int) -> None:
        for n, name in enumerate(names):
            repository.write(name, data(24, salt + n))
        covered = {n: sha256(repository.path(n).read_bytes()) for n in names}
        repository.rows[0]["external_data_sha256"] = covered

    repository.add("m", model(external=[External(name, tensor=name) for name in names]))
    write(0)
    former = (repository.released().root / "bundles" / SUMMARY).read_bytes()
    write(50)
    folder = fetched(repository.released(), tmp_path / "fetched")
    (folder / SUMMARY).write_bytes(former)

    def leave_out(statement: Any) -> None:
        for files in (statement["subject"], statement["predicate"]["files"]):
            files[:] = [f for f in files if f["name"] not in unsigned]

    sign_again(folder / f"m.onnx{SUFFIX}", key, leave_out)
    report = consumed(folder, key, summary=True)
    found = [Path(f.path).name for f in report.failing if f.code == "USE006"]
    assert sorted(found) == sorted(set(names) - set(unsigned))


def test_variant_without_its_model_is_reported_with_all_missing_files(
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
    help = "Fetch it from the publisher too, and put it beside the model."
    assert {(f.code, f.help) for f in found} == {("ATT705", help)}
    assert sorted(f.message for f in found) == [
        "the publisher also signed m.data (external data), which is missing",
        "the publisher also signed m.onnx (a model of the row), which is missing",
    ]


def test_model_without_the_release_summary_is_reported_at_its_bundle(
    released: Repository, tmp_path: Path, key: KeyPair
) -> None:
    folder = fetched(released, tmp_path / "fetched")
    (folder / SUMMARY).unlink()
    shutil.copyfile(folder / f"m.onnx{SUFFIX}", folder / f"m.onnx.2{SUFFIX}")
    found = only(consumed(folder, key, summary=True))
    assert (found.code, Path(found.path).name) == ("USE005", f"m.onnx{SUFFIX}")


def test_summary_of_a_registry_is_reported_once(released: Repository, key: KeyPair) -> None:
    summary = released.root / "bundles" / SUMMARY
    sign_again(summary, key, lambda s: s["subject"].pop())
    assert set(codes(verified(released, summary=True))) == {"ATT710"}
    summary.unlink()
    assert codes(verified(released, summary=True)) == ["ATT709"]


def test_row_with_a_deferral_is_reported_and_the_summary_is_not(
    tmp_path: Path, key: KeyPair
) -> None:
    report = verified(late(tmp_path / "tree", key).released(), no_deferrals=True)
    assert listed(report.failing) == "USE003 late"
    assert "signed with an exception to SID402: the retrain (ADR-1105)" in only(report).message


@pytest.mark.parametrize(("days", "expired"), [(-1, False), (0, False), (1, True)])
def test_model_with_a_deferral_is_refused_after_its_last_day(
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
