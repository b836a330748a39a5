# SPDX-License-Identifier: Apache-2.0
"""Whatever is changed in a released registry, `verify` is not 0, and the file is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provenance import InputError
from tests.operations.workspace import SEEDS, Workspace

SEED0 = SEEDS[0]
RELEASED = (".onnx", ".data", ".json")


def released_files(workspace: Workspace) -> list[str]:
    """Everything that a release holds: models, data, registry, documents, bundles."""
    return [
        path
        for path in workspace.snapshot()
        if path.startswith(("model/", "bundles/")) and path.endswith(RELEASED)
    ]


def refusal(workspace: Workspace) -> str:
    """What `verify` says against the tree; empty where it verifies."""
    try:
        report = workspace.verify()
    except InputError as e:
        return e.message
    if report.exit_code == 0:
        return ""
    return " ".join(f"{f.path} {f.about} {f.message}" for f in report.failing)


def assert_refused(workspace: Workspace, path: str, what: str) -> None:
    said = refusal(workspace)
    assert said, f"{what}: verified"
    assert path in said, f"{what}: the file is not named in: {said}"


def hint(bundle: bytes) -> range:
    """The bytes of a key hint. It proves nothing, and in the summary no digest covers it."""
    found = re.search(rb'"hint": *"[^"]*"', bundle)
    return range(*found.span()) if found else range(0)


def test_the_untouched_release_verifies(retrained: Workspace) -> None:
    assert refusal(retrained) == ""
    kinds = {p.partition("/")[0] for p in released_files(retrained)}
    assert kinds == {"model", "bundles"}
    assert len(released_files(retrained)) >= 30


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_changed_byte_is_refused(retrained: Workspace, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(released_files(retrained)))
    file = retrained.root / path
    before = file.read_bytes()
    offset = data.draw(st.integers(0, len(before) - 1).filter(lambda n: n not in hint(before)))
    new = data.draw(st.integers(0, 255).filter(lambda b: b != before[offset]))
    file.write_bytes(before[:offset] + bytes([new]) + before[offset + 1 :])
    try:
        assert_refused(retrained, path, f"byte {offset} of {path}: {before[offset]} -> {new}")
    finally:
        file.write_bytes(before)


def test_any_file_that_is_removed_is_missed(retrained: Workspace) -> None:
    for path in released_files(retrained):
        file = retrained.root / path
        before = file.read_bytes()
        file.unlink()
        assert_refused(retrained, path, f"{path} removed")
        file.write_bytes(before)


def test_any_file_that_is_renamed_is_missed(retrained: Workspace) -> None:
    for path in released_files(retrained):
        file = retrained.root / path
        moved = file.with_name(f"moved_{file.name}")
        file.rename(moved)
        assert_refused(retrained, path, f"{path} renamed")
        moved.rename(file)


@pytest.mark.parametrize("suffix", RELEASED)
def test_any_two_files_that_are_swapped_are_both_noticed(retrained: Workspace, suffix: str) -> None:
    files = [p for p in released_files(retrained) if p.endswith(suffix)]
    for one, two in pairwise(files):
        a, b = retrained.root / one, retrained.root / two
        first, second = a.read_bytes(), b.read_bytes()
        a.write_bytes(second)
        b.write_bytes(first)
        said = refusal(retrained)
        assert one in said or two in said, f"{one} and {two} swapped: {said or 'verified'}"
        a.write_bytes(first)
        b.write_bytes(second)


ADDED = {
    "a model": ("model/extra.onnx", f"model/{SEED0}.onnx"),
    "weights": ("model/extra.onnx.data", "model/quality_regressor_ext_v1.onnx.data"),
    "a sidecar": ("model/extra.json", f"model/{SEED0}.json"),
    "an int8 variant": (f"model/{SEED0}.int8.onnx", "model/quality_regressor_q_v1.int8.onnx"),
    "a sidecar of an int8 variant": (
        "model/quality_regressor_q_v1.int8.json",
        f"model/{SEED0}.json",
    ),
    "a manifest": ("model/extra_ensemble.json", "model/fr_regressor_v2_ensemble_v1.json"),
    "a row bundle": ("bundles/extra.sigstore.json", f"bundles/{SEED0}.onnx.sigstore.json"),
    "a seed attestation": (
        "bundles/quality_regressor_ext_v1.onnx.provenance.sigstore.json",
        f"bundles/{SEED0}.onnx.provenance.sigstore.json",
    ),
}


@pytest.mark.parametrize(("added", "source"), ADDED.values(), ids=list(ADDED))
def test_any_file_that_is_added_is_noticed(retrained: Workspace, added: str, source: str) -> None:
    (retrained.root / added).write_bytes((retrained.root / source).read_bytes())
    assert_refused(retrained, added, f"{added} added")


ROW_CHANGES: dict[str, Callable[[dict[str, object]], object]] = {
    "license": lambda row: row.update(license="MIT"),
    "license_url": lambda row: row.update(license_url="https://example.org/other"),
    "notes": lambda row: row.update(notes="production weights"),
    "smoke": lambda row: row.update(smoke=False),
    "kind": lambda row: row.update(kind="nr"),
    "opset as a float": lambda row: row.update(opset=17.0),
    "a new field": lambda row: row.update(approved_by="nobody"),
    "a field less": lambda row: row.pop("notes"),
}


@pytest.mark.parametrize("change", ROW_CHANGES.values(), ids=list(ROW_CHANGES))
def test_any_changed_row_value_is_named_by_its_field(
    retrained: Workspace, change: Callable[[dict[str, object]], object]
) -> None:
    retrained.edit_row(SEED0, change)
    changed = {f.code for f in retrained.verify().failing if f.row == SEED0}
    assert changed & {"ATT703", "LIC205"}


def test_an_old_bundle_over_a_new_statement_is_refused(
    retrained: Workspace, candidate_bundles: Path
) -> None:
    name = f"{SEED0}.onnx.sigstore.json"
    (retrained.bundles / name).write_bytes((candidate_bundles / name).read_bytes())
    assert_refused(retrained, f"bundles/{name}", "the bundle of another release")


@pytest.fixture
def candidate_bundles(release_candidate: Workspace) -> Path:
    return release_candidate.bundles
