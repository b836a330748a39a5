# SPDX-License-Identifier: Apache-2.0
"""Files of one row exchanged for each other: every digest is a signed one, at another place."""

from __future__ import annotations

import pytest

from tests.support.models import External, data, model
from tests.support.repository import Repository, codes, sha256


@pytest.fixture
def two_data_files(repository: Repository) -> Repository:
    """A released model with its weights in two files."""
    for salt, name in enumerate(("a.data", "b.data")):
        repository.write(name, data(24, salt))
    external = [External("a.data", tensor="a"), External("b.data", tensor="b")]
    covered = {n: sha256(repository.path(n).read_bytes()) for n in ("a.data", "b.data")}
    repository.add("m", model(external=external), external_data_sha256=covered)
    return repository.released()


def swap(repository: Repository, one: str, other: str) -> None:
    first, second = (repository.path(n).read_bytes() for n in (one, other))
    repository.write(one, second)
    repository.write(other, first)


def test_two_data_files_swapped_with_their_digests_are_not_what_was_signed(
    two_data_files: Repository,
) -> None:
    swap(two_data_files, "a.data", "b.data")
    covered = two_data_files.rows[0]["external_data_sha256"]
    covered["a.data"], covered["b.data"] = covered["b.data"], covered["a.data"]
    two_data_files.save()
    report = two_data_files.verify("m")
    assert codes(report) == ["SIG605", "SIG605"]
    assert {f.about for f in report.failing} == {"model/a.data", "model/b.data"}


def test_two_data_files_swapped_alone_are_not_what_is_declared(
    two_data_files: Repository,
) -> None:
    swap(two_data_files, "a.data", "b.data")
    assert codes(two_data_files.verify("m")) == ["ART302", "ART302"]


def test_a_model_swapped_with_its_variant_is_not_what_was_signed(repository: Repository) -> None:
    row = repository.add_int8("m")
    repository.released()
    swap(repository, "m.onnx", "m.int8.onnx")
    row["sha256"], row["int8_sha256"] = row["int8_sha256"], row["sha256"]
    repository.save()
    assert codes(repository.verify("m")) == ["SIG605", "SIG605"]


def test_a_changed_digest_is_found_where_no_file_was_changed(repository: Repository) -> None:
    repository.add("m", own={"sha256": "x"})
    repository.released()
    repository.edit_registry('"sha256": "x"', '"sha256": "y"')
    assert codes(repository.verify("m")) == ["ATT703"]


def test_a_bundle_that_cannot_be_read_is_told_behind_one_that_leads_out_of_the_repository(
    repository: Repository,
) -> None:
    """A path that leads out is told as that (REG107), and nothing is said of what lies there."""
    repository.add("m")
    repository.add("n")
    repository.released()
    repository.rows[0]["sigstore_bundle"] = "../../m.onnx.sigstore.json"
    bundle = repository.root / "bundles" / "n.onnx.sigstore.json"
    bundle.unlink()
    bundle.mkdir()
    found = [(f.code, f.row) for f in repository.save().verify("m", "n").failing]
    assert ("REG107", "m") in found
    assert [row for code, row in found if code == "SIG602"] == ["n"]
