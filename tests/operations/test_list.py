# SPDX-License-Identifier: Apache-2.0
"""`provenance list`: the rows, and who signed them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.operations.workspace import SEEDS, Workspace
from tests.support.command import Result, run_cli


def rows(result: Result) -> dict[str, dict[str, Any]]:
    assert result.code == 0, result.err
    return {row["id"]: row for row in result.json["rows"]}


def listed(root: Path, *args: str) -> dict[str, dict[str, Any]]:
    return rows(run_cli("list", *args, "--format", "json", cwd=root))


def test_rows_of_a_release(candidate: Workspace) -> None:
    found = listed(candidate.root)
    assert {found[seed]["state"] for seed in SEEDS} == {"smoke"}
    row = found["quality_regressor_ext_v1"]
    files = ("quality_regressor_ext_v1.onnx", "quality_regressor_ext_v1.onnx.data")
    size = sum((candidate.root / "model" / name).stat().st_size for name in files)
    assert (row["path"], row["size"]) == (f"model/{files[0]}", size)
    assert (row["state"], row["license"]) == ("production", "Apache-2.0")
    assert row["signed"]["signer"] == "bundles/release.pub"
    assert row["signed"]["source"] == "release"
    assert row == listed(candidate.root, row["id"])[row["id"]]


SPOILED = [
    # what happens to the release, signer and rules for the first seed
    ("nothing", None, "bundles/release.pub", []),
    ("other license", "license", "bundles/release.pub", ["LIC205"]),
    ("no bundle", "bundle", None, []),
    ("other bytes in the bundle", "bytes", None, ["SIG602"]),
]


@pytest.mark.parametrize(
    ("what", "signer", "refused"), [c[1:] for c in SPOILED], ids=[c[0] for c in SPOILED]
)
def test_a_signature_that_does_not_verify(
    candidate: Workspace, what: str | None, signer: str | None, refused: list[str]
) -> None:
    bundle = candidate.bundles / f"{SEEDS[0]}.onnx.sigstore.json"
    if what == "license":
        candidate.edit_row(SEEDS[0], lambda row: row.update(license="MIT"))
    elif what == "bundle":
        bundle.unlink()
    elif what == "bytes":
        bundle.write_text("{}")
    row = listed(candidate.root)[SEEDS[0]]
    assert ((row["signed"] or {}).get("signer"), row["refused"]) == (signer, refused)
    text = run_cli("list", SEEDS[0], cwd=candidate.root).out
    assert ("does not verify" in text) == bool(refused)


def test_without_trust_the_rows_are_shown_without_signers(candidate: Workspace) -> None:
    (candidate.root / "provenance.toml").write_text('registry = "model/registry.json"\n')
    done = run_cli("list", cwd=candidate.root)
    assert done.code == 0
    assert "has no trusted signers" in done.err
    assert all(row["signed"] is None for row in listed(candidate.root).values())


def test_columns_are_aligned_and_control_characters_are_escaped(candidate: Workspace) -> None:
    candidate.edit_row(SEEDS[0], lambda row: row.update(license="\x1b[31mMIT"))
    head, *lines = run_cli("list", cwd=candidate.root).out.splitlines()
    assert "\x1b" not in "".join(lines)
    assert len({line.index("model/") for line in lines}) == 1
    assert head.split()[:2] == ["ID", "FILE"]


def test_no_rows_and_unknown_rows(candidate: Workspace) -> None:
    assert run_cli("list", "nothing", cwd=candidate.root).code == 2
    candidate.registry.write_text(json.dumps({"models": []}))
    assert run_cli("list", cwd=candidate.root).code == 3
