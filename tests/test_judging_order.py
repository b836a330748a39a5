# SPDX-License-Identifier: Apache-2.0
"""A report depends neither on how rows are judged nor on the rows in front of them.

A sample of the cases of `tests/cases/` is judged in every way in which units are judged in one
process. Then it is judged again with other rows and another ensemble in front: rows with nothing to
find for one rule or another, because they lack the file or field that it reads.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from provenance.gate.rules import CATALOGUE
from tests.support.cases import REGISTRY, Case, Workshop, all_cases
from tests.support.command import run_cli
from tests.support.engines import ways
from tests.support.keys import KeyPair
from tests.support.models import model, proto
from tests.support.repository import Repository, replace_once

ROWS: Final = '"models": ['
ALWAYS: Final = {
    "baseline-of-one-row",
    "baseline-unchanged",
    "check-of-one-row",
    "ens-in-production",
    "ens-member-left-out",
    "ens-verdict-cut-off",
    "license-url-that-leads-nowhere",
    "registry-not-json",
    "registry-with-duplicate-ids",
    "registry-with-wrong-types",
    "release-with-two-models-swapped",
    "same-bytes-under-two-licenses",
    "sidecar-not-json",
    "stray-files",
    "two-rows-with-one-bundle",
    "two-rows-with-one-file",
    "two-rows-with-the-same-weights",
}
"""Cases of ensembles, baselines, broken documents, shared files and strays."""
STRIDE: Final = 12


def _sample() -> Sequence[Case]:
    """Return every twelfth case, `ALWAYS`, and a case of each family and rule that looks around.

    Findings of a rule that looks around depend on more than the unit, so they are the ones that
    could depend on how rows are judged.
    """
    judged = [case for case in all_cases() if case.is_judged_in_units]
    chosen = {c.name: c for c in (*judged[::STRIDE], *(c for c in judged if c.name in ALWAYS))}

    def traits(case: Case) -> set[str]:
        return {case.family, *(f["code"] for f in case.findings)}

    wanted = {rule.code for rule in CATALOGUE if rule.looks_around} | {c.family for c in judged}
    for case in judged:
        missing = wanted - {trait for c in chosen.values() for trait in traits(c)}
        if missing & traits(case):
            chosen[case.name] = case
    return list(chosen.values())


SAMPLE: Final = _sample()


def takes_other_rows(case: Case, registry: Path) -> bool:
    """Whether other rows can be put in front of the rows that have findings."""
    return (
        case.command in (["check"], ["verify"])
        and any("row" in finding for finding in case.findings)
        and registry.read_bytes().decode("utf-8", "replace").count(ROWS) == 1
    )


def unrelated_files(tree: Path) -> list[dict[str, Any]]:
    """Write the files of other rows, and return the rows."""
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
    """Return a model whose input has an unknown rank."""
    message = proto(salt=99)
    message.graph.input[0].type.tensor_type.ClearField("shape")
    content: bytes = message.SerializeToString(deterministic=True)
    return content


@pytest.mark.parametrize("case", SAMPLE, ids=lambda c: c.name)
def test_findings_depend_neither_on_the_way_of_judging_nor_on_rows_in_front(
    case: Case, tmp_path: Path, key: KeyPair, other_key: KeyPair
) -> None:
    shop = Workshop(tmp_path / "tree", tmp_path / "outside", key, other_key)
    shop.lay_out(case)
    arguments = [*(shop.fill(a) for a in case.command), "--format", "json"]
    result = run_cli(*arguments, cwd=shop.tree)
    for name, way in ways():
        with way:
            assert run_cli(*arguments, cwd=shop.tree) == result, name

    registry = shop.tree / REGISTRY
    if not takes_other_rows(case, registry):
        return
    rows = "".join(f"{json.dumps(row)},\n" for row in unrelated_files(shop.tree))
    replace_once(registry, ROWS, f"{ROWS}{rows}")

    result = run_cli(*arguments, cwd=shop.tree)

    found = Counter((f["code"], f["row"]) for f in result.json["findings"])
    wanted = Counter((f["code"], f["row"]) for f in case.findings if _has_name(f.get("row")))
    assert wanted - found == Counter()


def _has_name(row: str | None) -> bool:
    """Whether a row has an id: another row is labelled by its place, which changes."""
    return row is not None and not row.startswith("#")


def test_the_sample_has_a_case_of_each_kind() -> None:
    names = {case.name for case in SAMPLE}
    assert names >= ALWAYS
    assert {case.family for case in SAMPLE} == {
        c.family for c in all_cases() if c.is_judged_in_units
    }
    fired = {finding["code"] for case in SAMPLE for finding in case.findings}
    around = {rule.code for rule in CATALOGUE if rule.looks_around}
    assert around - fired <= {"SID407"}, "SID407 only fires when a release is signed"
