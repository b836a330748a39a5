# SPDX-License-Identifier: Apache-2.0
"""Every folder of `tests/cases/`, run as its user would run it."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from provenance import schemas
from provenance.gate.rules import BY_CODE, CATALOGUE
from tests.support.cases import Case, Workshop, all_cases
from tests.support.command import Result, run_cli
from tests.support.engines import ways
from tests.support.keys import KeyPair

CASES = all_cases()

REPORT_SCHEMA = json.loads(
    (Path(str(schemas.__file__)).parent / "report.schema.json").read_text("utf-8")
)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_case(case: Case, tmp_path: Path, key: KeyPair, other_key: KeyPair) -> None:
    shop = Workshop(tmp_path / "tree", tmp_path / "outside", key, other_key)
    shop.lay_out(case)
    env = {k: shop.fill(v) for k, v in case.spec.get("env", {}).items()}
    arguments = [shop.fill(a) for a in case.command]

    result = run_cli(*arguments, "--format", "json", cwd=shop.tree, env=env)

    assert result.code == case.spec["exit"], f"{result.out}\n{result.err}"
    assert "Traceback" not in result.err
    if case.is_judged_in_units:
        for name, way in ways():
            with way:
                found = run_cli(*arguments, "--format", "json", cwd=shop.tree, env=env)
            assert found == result, name
    if result.code in (2, 4):
        _assert_clear_error(result, case.spec["error"])
        return
    assert "error" not in case.spec, "an `error` is expected of exits 2 and 4 only"
    if case.judges:
        _assert_report(result.json, case)
        _assert_positions(result.json, shop.tree)
    for part in case.spec.get("stdout", []):
        assert part in result.out
    if case.command[0] in ("check", "verify", "verify-model"):
        _assert_readable(run_cli(*arguments, cwd=shop.tree, env=env), case)


def _assert_clear_error(result: Result, expected: dict[str, Any]) -> None:
    """One error on stderr that names what was found and where; `next:` says what to do."""
    assert result.out == ""
    # Usage errors of the command line are click's, with "Usage:" and "Try".
    assert result.err.startswith(("error: ", "Usage: ")), result.err
    for part in expected["message"]:
        assert part in result.err, f"{part!r} not in {result.err}"
    if "help" in expected:
        said = result.err.partition("  next: ")[2]
        assert expected["help"] in said, (
            f"{expected['help']!r} not in the next step of {result.err}"
        )


def _assert_report(report: dict[str, Any], case: Case) -> None:
    errors = [e.message for e in Draft202012Validator(REPORT_SCHEMA).iter_errors(report)]
    assert errors == []
    found = Counter((f["code"], f["row"]) for f in report["findings"])
    wanted = Counter((f["code"], f.get("row")) for f in case.findings)
    assert found == wanted, json.dumps(report["findings"], indent=1)
    for finding in report["findings"]:
        assert finding["slug"] == BY_CODE[finding["code"]].slug
        assert finding["path"], finding
        assert finding["message"], finding
        assert finding["help"], finding
    for expected in case.findings:
        assert any(_fits(f, expected) for f in report["findings"]), (
            f"no finding fits {expected}: {json.dumps(report['findings'], indent=1)}"
        )


def _assert_positions(report: dict[str, Any], tree: Path) -> None:
    """Every finding has a place in the file that has to be edited, where that is text."""
    for finding in report["findings"]:
        path = tree / finding["path"]
        if path.suffix not in (".json", ".toml") or not os.path.isfile(path):
            continue
        assert finding["line"] is not None, finding
        lines = path.read_bytes().decode("utf-8", "replace").split("\n")
        assert finding["line"] <= len(lines), finding
        assert finding["column"] <= len(lines[finding["line"] - 1]) + 1, finding


def _fits(found: dict[str, Any], expected: Any) -> bool:
    message = expected.get("message", [])
    return (
        (found["code"], found["row"]) == (expected["code"], expected.get("row"))
        and all(m in found["message"] for m in ([message] if isinstance(message, str) else message))
        and expected.get("help", "") in found["help"]
        and found["path"].endswith(expected.get("path", ""))
        and found["about"].endswith(expected.get("about", ""))
        and (found["deferred"] is not None) == expected.get("deferred", False)
        and found["severity"] == expected.get("severity", "error")
        and ("line" not in expected or found["line"] == expected["line"])
    )


def _assert_readable(result: Result, case: Case) -> None:
    """The same for people: each code, no control characters, the verdict in the last line."""
    assert result.code == case.spec["exit"]
    for finding in case.findings:
        assert finding["code"] in result.out
    assert all(c.isprintable() for c in result.out.replace("\n", "")), ascii(result.out)
    verdicts = {0: "OK", 1: "FAILED", 3: "NOTHING TO VERIFY"}
    assert result.out.splitlines()[-1].startswith(verdicts[result.code])


def _fired() -> set[str]:
    return {f["code"] for case in CASES for f in case.findings}


@pytest.mark.parametrize("rule", CATALOGUE, ids=lambda r: r.code)
def test_every_rule_has_a_case_in_which_it_fires(rule: Any) -> None:
    assert rule.code in _fired()


@pytest.mark.parametrize("rule", CATALOGUE, ids=lambda r: r.code)
def test_every_rule_has_a_case_in_which_it_is_judged_and_silent(rule: Any) -> None:
    command = "verify" if rule.phase.name == "SIGNATURES" else "check"
    commands = (command, "verify", "verify-model")
    judged = [c for c in CASES if c.command[0] in commands and c.spec["exit"] in (0, 1)]
    if rule.phase.name == "RUNTIME":
        judged = [c for c in judged if "--run" in c.command]
    if rule.phase.name == "PIPELINE":
        judged = [c for c in judged if "--layout" in c.command]
    if rule.phase.name == "BASELINE":
        judged = [c for c in judged if c.spec.get("baseline", False)]
    silent = [c for c in judged if rule.code not in {f["code"] for f in c.findings}]
    assert silent


def test_no_case_expects_a_rule_that_does_not_exist() -> None:
    assert _fired() <= BY_CODE.keys()
