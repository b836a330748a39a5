# SPDX-License-Identifier: Apache-2.0
"""What is said of a row is said of it whatever stands before it.

Every case in which a row has findings, judged again with other rows and another ensemble in front:
rows that one rule or another has nothing to say of, because they lack what it looks at.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.cases import Case, Workshop, all_cases
from tests.support.command import run_cli
from tests.support.keys import KeyPair
from tests.support.models import model, proto
from tests.support.repository import Repository, replace_once

REGISTRY: Final = Path("model", "registry.json")
ROWS: Final = '"models": ['


def _registry_of(case: Case) -> str:
    file = case.folder / "tree" / REGISTRY
    return file.read_bytes().decode("utf-8", "replace") if file.is_file() else ""


CASES: Final = [
    case
    for case in all_cases()
    if case.command == [case.command[0]]
    and case.command[0] in ("check", "verify")
    and any("row" in finding for finding in case.findings)
    and ROWS in _registry_of(case)
]


def unrelated_files(tree: Path) -> list[dict[str, Any]]:
    """Rows to stand in front of the others, and their files."""
    others = Repository(tree)
    others.add("0-clean", model(salt=300))
    others.add("0-not-onnx", b"\x00")
    others.path(others.add("0-absent")["onnx"]).unlink()
    others.add("0-outside")["onnx"] = "../../outside.onnx"
    others.add("0-uncertain", dynamic_width())
    others.add("0-production", smoke=False)
    others.add("0-bare")
    for field in ("opset", "sha256", "license", "license_url", "sigstore_bundle", "smoke"):
        del others.rows[-1][field]
    others.add_sidecar(others.add("0-described"))
    others.write("0-unreadable.json", "{")
    others.add("0-unreadable")
    others.add_sidecar(others.add("0-poor"), feature_order=None, input_names=None, sha256=None)
    others.add_external("0-external")
    others.add_int8("0-int8")
    others.add_ensemble("0-ensemble")
    return others.rows


def dynamic_width() -> bytes:
    """A model whose input has no rank that is known."""
    message = proto(salt=99)
    message.graph.input[0].type.tensor_type.ClearField("shape")
    content: bytes = message.SerializeToString(deterministic=True)
    return content


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_row_is_judged_whatever_stands_before_it(
    case: Case, tmp_path: Path, key: KeyPair, other_key: KeyPair
) -> None:
    shop = Workshop(tmp_path / "tree", tmp_path / "outside", key, other_key)
    shop.lay_out(case)
    rows = "".join(f"{json.dumps(row)},\n" for row in unrelated_files(shop.tree))
    replace_once(shop.tree / REGISTRY, ROWS, f"{ROWS}{rows}")

    result = run_cli(*case.command, "--format", "json", cwd=shop.tree)

    found = Counter((f["code"], f["row"]) for f in result.json["findings"])
    wanted = Counter((f["code"], f["row"]) for f in case.findings if _has_name(f.get("row")))
    assert wanted - found == Counter()


def _has_name(row: str | None) -> bool:
    """A row without an id is told by its place, which is another one here."""
    return row is not None and not row.startswith("#")
