# SPDX-License-Identifier: Apache-2.0
"""Every case of `tests/cases/`, run once as a user would run it."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from provenance import schemas
from provenance.gate.rules import BY_CODE, CATALOGUE
from tests.support.cases import Case, Workshop, all_cases, load_bases, load_cases
from tests.support.command import Result, run_cli
from tests.support.engines import guarding_units
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
    page = tmp_path / "report.txt"
    if case.verifies:
        arguments += ["--output", f"human={page}"]

    with guarding_units() if case.is_judged_in_units else contextlib.nullcontext():
        result = run_cli(*arguments, "--format", "json", cwd=shop.tree, env=env)

    assert result.code == case.spec["exit"], f"{result.out}\n{result.err}"
    assert "Traceback" not in result.err
    if result.code in (2, 4):
        _assert_clear_error(result, case.spec["error"])
        return
    assert "error" not in case.spec, "an `error` is expected of exits 2 and 4 only"
    if case.judges:
        _assert_report(result.json, case)
        _assert_positions(result.json, shop.tree)
    for part in case.spec.get("stdout", []):
        assert part in result.out
    if case.verifies:
        _assert_readable(page.read_text("utf-8"), case)


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


def _assert_readable(page: str, case: Case) -> None:
    """Require each code, no control characters, and the verdict in the last line."""
    for finding in case.findings:
        assert finding["code"] in page
    assert all(c.isprintable() for c in page.replace("\n", "")), ascii(page)
    verdicts = {0: "OK", 1: "FAILED", 3: "NOTHING TO VERIFY"}
    assert page.splitlines()[-1].startswith(verdicts[case.spec["exit"]])


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


def test_names_of_cases_are_unique() -> None:
    assert [n for n, count in Counter(c.name for c in CASES).items() if count > 1] == []


BASES = """
[model]
about = "One model."
make = [{json = "model/registry.json", value = {models = [{id = "m", smoke = true}]}}]
"""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("colour = 1", r"unknown keys \['colour'\]"),
        ('finding = [{LIC201 = "m", colum = 1}]', r"finding: unknown keys \['colum'\]"),
        ("finding = [{line = 1}]", "the first key is 'line', not the code of a rule"),
        ('error = {messages = "is empty"}', r"error: unknown keys \['messages'\]"),
        ('base = "modle"', "unknown base 'modle'"),
        ('about = ""', "`about` is missing"),
        ('make = [{rwo = "m"}]', "unknown kind of edit 'rwo'"),
        ('make = [{row = "m", set = {smoke = true}}]', "changes nothing"),
        ('make = [{row = "m"}]', "changes nothing"),
        ('then = [{row = "m", set = {smoke = true}}]', "changes nothing"),
        (
            'make = [{replace = "model/registry.json", old = "true", new = "true"}]',
            "changes nothing",
        ),
    ],
)
def test_a_case_that_would_test_nothing_is_an_error(
    line: str, message: str, tmp_path: Path, key: KeyPair
) -> None:
    about = "" if line.startswith("about") else 'about = "It shows something."\n'
    with pytest.raises(ValueError, match=message):
        _lay_out(f"[c]\n{about}{line}\nexit = 0", tmp_path, key)


def _lay_out(text: str, folder: Path, key: KeyPair) -> None:
    (case,) = load_cases(text, "family", load_bases(BASES))
    Workshop(folder / "tree", folder / "outside", key, key).lay_out(case)


def test_a_base_precedes_those_that_start_from_it() -> None:
    with pytest.raises(ValueError, match="unknown base 'model'"):
        load_bases('[a]\nbase = "model"\n' + BASES)
