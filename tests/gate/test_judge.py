# SPDX-License-Identifier: Apache-2.0
"""Rules and deferrals, applied to evidence: the findings and verdicts of a report."""

from __future__ import annotations

import datetime
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance import Verifier, check, trust_from_keys
from provenance.artifacts import limits
from provenance.errors import InputError, UnavailableError, VerificationError
from provenance.evidence.progress import Progress
from provenance.gate import suppression
from provenance.gate.finding import Finding, Report, Severity, Verdict
from provenance.gate.rules import BY_CODE, CATALOGUE, Case, Rule, Scope
from provenance.operations.hashing import hash_models
from provenance.signing.trust import Trust
from tests.support.keys import KeyPair
from tests.support.models import model
from tests.support.repository import Repository, codes, sha256

STALE = {"sha256": "0" * 64}


def found(report: Report) -> list[tuple[str, str | None, bool]]:
    return [(f.code, f.row, f.deferred is not None) for f in report.findings]


@pytest.fixture
def stale(repository: Repository) -> Repository:
    """Two smoke rows whose sidecars describe other bytes."""
    for id in ("seed0", "seed1"):
        repository.add_sidecar(repository.add(id), **STALE)
    return repository


# --- deferrals (tests/cases/deferrals.toml has more) --------------------------------------------


@pytest.mark.parametrize("digit", ["0", "f"])
def test_any_other_digest_in_a_sidecar_is_stale(repository: Repository, digit: str) -> None:
    repository.add_sidecar(repository.add("m"), sha256=digit * 64)
    repository.add_sidecar(repository.add("n", smoke=False), sha256=digit * 64)
    assert codes(repository.save().check()) == ["SID402", "SID404"]


def test_a_deferral_covers_only_the_rows_that_it_matches(stale: Repository) -> None:
    stale.defer("SID402", ["seed0"])
    assert found(stale.save().check()) == [("SID402", "seed0", True), ("SID402", "seed1", False)]
    stale.deferrals[0]["rows"] = ["seed*"]
    report = stale.save().check()
    assert found(report) == [("SID402", "seed0", True), ("SID402", "seed1", True)]
    assert report.verdict is Verdict.VERIFIED
    assert [r.deferrals[0]["reference"] for r in report.rows] == ["ADR-1105", "ADR-1105"]


def test_a_stale_deferral_lists_the_rows_without_the_finding(stale: Repository) -> None:
    stale.defer("SID402", ["seed*"])
    for row in stale.rows:
        stale.add_sidecar(row)
    (finding,) = stale.save().check().failing
    assert finding.message.startswith("SID402 no longer occurs for seed0, seed1: the cause")


@pytest.mark.parametrize(
    ("deferred", "checked", "expected"),
    [("seed*", "fresh", []), ("seed*", "seed0", []), ("seed1", "seed0", ["SID402"])],
)
def test_a_deferral_of_rows_outside_the_selection_is_not_reported(
    stale: Repository, deferred: str, checked: str, expected: list[str]
) -> None:
    stale.add_sidecar(stale.add("fresh"))
    stale.defer("SID402", [deferred])
    assert codes(stale.save().check(checked)) == expected


def test_a_deferral_is_in_force_on_the_day_of_its_expiry(stale: Repository) -> None:
    day = datetime.date(2026, 6, 30)
    stale.defer("SID402", ["seed*"], expires=day)
    config = stale.save().config
    assert codes(check(config, today=day)) == []
    assert codes(check(config, today=day + datetime.timedelta(days=1))) == ["DEF903"]


@pytest.mark.parametrize("field", ["reason", "reference"])
def test_a_blank_explanation_of_a_deferral_is_reported(stale: Repository, field: str) -> None:
    stale.defer("SID402", ["seed*"], **{field: " "})
    assert codes(stale.save().check()) == ["DEF904"]


@pytest.mark.parametrize("rule", [r for r in CATALOGUE if not r.deferrable], ids=lambda r: r.code)
def test_a_deferral_of_a_rule_that_is_not_deferrable_is_reported(
    stale: Repository, rule: Any
) -> None:
    stale.defer("SID402", ["seed*"])
    stale.defer(rule.code, ["*"])
    report = stale.save().verify()
    assert "DEF905" in codes(report)
    assert {f.code for f in report.deferred} == {"SID402"}


@pytest.mark.parametrize(
    ("rule", "help"),
    [("SID-402", "Did you mean SID402?"), ("nonsense", "provenance rules lists them.")],
)
def test_a_deferral_of_an_unknown_rule_is_an_error(stale: Repository, rule: str, help: str) -> None:
    stale.defer(rule, ["*"])
    with pytest.raises(InputError, match=f"no rule '{rule}'") as raised:
        stale.save().check()
    assert raised.value.help == help


# --- reports ------------------------------------------------------------------------------------


def test_findings_are_in_the_order_of_the_registry_and_deferrals_come_last(
    stale: Repository,
) -> None:
    stale.rows[1]["license"] = ""
    stale.defer("SID402", ["seed1", "none"])
    report = stale.save().check()
    assert [(f.code, f.row) for f in report.findings] == [
        ("SID402", "seed0"),
        ("LIC201", "seed1"),
        ("SID402", "seed1"),
        ("DEF902", None),
    ]


def test_every_row_has_its_own_verdict(full: Repository) -> None:
    for row in full.rows[1:]:
        del row["license"]
    report = full.save().check()
    assert [f.row for f in report.failing] == [r["id"] for r in full.rows[1:]]
    assert [r.verdict for r in report.rows] == [Verdict.VERIFIED] + [Verdict.FAILED] * 4


def test_strays_are_judged_only_with_the_whole_registry(full: Repository) -> None:
    full.write("stray.onnx", model(salt=99))
    assert codes(full.check()) == ["ART311"]
    assert codes(full.check("plain")) == []


def test_a_report_lists_every_model_file_that_was_hashed(full: Repository) -> None:
    report = full.check()
    listed = {f.path: f.sha256 for r in report.rows for f in r.model_files}
    files = {p for p in full.models.iterdir() if ".onnx" in p.name}
    assert listed == {f"model/{p.name}": sha256(p.read_bytes()) for p in files}


def test_signatures_are_judged_only_by_trust(full: Repository) -> None:
    report = full.check()
    assert (report.trust, codes(report)) == (None, [])
    assert {r.signer for r in report.rows} == {None}
    report = full.released().verify()
    assert (report.exit_code, {r.signer for r in report.rows}) == (0, {"release.pub"})
    assert [path for path, _ in report.trust.keys] == ["release.pub"]


def test_trust_that_is_passed_replaces_that_of_the_configuration(
    full: Repository, other_key: KeyPair
) -> None:
    full.released()
    others = Verifier(trust_from_keys([other_key.public])).registry(full.config)
    assert set(codes(others)) == {"SIG604"}
    assert Verifier(Trust("empty", ())).registry(full.config).exit_code == 1


def test_without_trusted_signers_there_is_no_verdict(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.add()
    with pytest.raises(UnavailableError, match="has no trusted signers"):
        repository.save().verify()


def test_progress_receives_every_row(full: Repository) -> None:
    class Recorder(Progress):
        def __init__(self) -> None:
            self.stages: dict[str, list[int]] = {}

        def begin(self, what: str, steps: int) -> None:
            self.now = self.stages.setdefault(what, [0, 0])
            self.now[1] = steps

        def advance(self) -> None:
            self.now[0] += 1

    recorder, rows = Recorder(), len(full.rows)
    check(full.config, progress=recorder)
    assert recorder.stages.pop("judging rules")
    assert recorder.stages == {"judging rows": [rows, rows]}
    recorder = Recorder()
    hash_models(full.config, progress=recorder)
    assert recorder.stages == {"reading rows": [rows, rows]}


def test_a_folder_with_too_many_files_is_refused(
    full: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FOLDER_ENTRIES", 3)
    with pytest.raises(InputError, match="more than 3 files"):
        full.check()


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ("provenance.artifacts.digest.of_stream", "ART305"),
        ("provenance.evidence.collect_models.read_onnx", "ART309"),
    ],
)
def test_an_error_while_hashing_is_a_finding_of_its_row(
    full: Repository, monkeypatch: pytest.MonkeyPatch, broken: str, code: str
) -> None:
    def fail(*_args: object) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("provenance.evidence.collect_models.WHOLE", 0)  # as if they were large
    monkeypatch.setattr(broken, fail)
    report = full.check()
    assert set(codes(report)) == {code}
    assert "Input/output error" in report.failing[0].message


@pytest.mark.parametrize(
    ("suffix", "code"), [(".data", "ART305"), (".onnx", "ART309"), (".json", "SID405")]
)
def test_an_error_while_reading_a_small_file_is_a_finding_of_its_row(
    full: Repository, monkeypatch: pytest.MonkeyPatch, suffix: str, code: str
) -> None:
    def fail(descriptor: int, size: int) -> bytes:
        if os.fstat(descriptor).st_ino in broken:
            raise OSError(5, "Input/output error")
        return read(descriptor, size)

    read = os.read
    files = (f for f in full.root.rglob(f"*{suffix}") if f.name != "registry.json")
    broken = {f.stat().st_ino for f in files}
    monkeypatch.setattr(os, "read", fail)
    found = [f for f in full.check().failing if f.code == code]
    assert found
    assert "Input/output error" in found[0].message


def test_a_registry_at_the_root_of_the_repository_is_verified(tmp_path: Path, key: KeyPair) -> None:
    repository = Repository(tmp_path, key, folder=".")
    repository.add_sidecar(repository.add("m", sigstore_bundle="m.onnx.sigstore.json"))
    assert repository.released().verify().exit_code == 0
    assert (tmp_path / "registry.json.vsa.sigstore.json").exists()


def test_a_stray_bundle_at_the_root_of_the_repository_is_reported(repository: Repository) -> None:
    repository.add_sidecar(repository.add("m", sigstore_bundle="../m.onnx.sigstore.json"))
    bundle = repository.released().root / "m.onnx.sigstore.json"
    (repository.root / "old.onnx.sigstore.json").write_bytes(bundle.read_bytes())
    assert codes(repository.verify()) == ["SIG607"]


def test_require_accepts_only_a_verified_report(full: Repository) -> None:
    report = full.check()
    assert report.require() is report
    full.rows[0]["license"] = ""
    with pytest.raises(VerificationError, match=r"failed: .*`license`") as raised:
        full.save().check().require()
    assert raised.value.exit_code == 1
    assert "findings" in (raised.value.help or "")
    with pytest.raises(VerificationError, match=r"nothing to verify"):
        replace(report, rows=()).require()


# --- findings that yield to their cause ---------------------------------------------------------


class Cause(Rule):
    code = "ART398"
    slug = "cause"


class Consequence(Rule):
    code = "ART399"
    slug = "consequence"
    deferrable = True
    yields_to = ("ART398",)


REGISTRY = "model/registry.json"
CAUSE = Cause().finding("it is broken", "Mend it.", path=REGISTRY, row="m", about="model/m.onnx")
CONSEQUENCE = Consequence().finding("so is that", "Mend that.", path="model/m.json", row="m")
OF_THE_FILE = replace(CONSEQUENCE, row=None, path="model/m.onnx", about="model/m.onnx")
OF_THE_REGISTRY = replace(CONSEQUENCE, row=None, path=REGISTRY, about=REGISTRY)


def remaining(*findings: Finding) -> list[Finding]:
    rules: dict[str, Rule] = {"ART398": Cause(), "ART399": Consequence()}
    kept, suppressed = suppression.split(findings, rules, REGISTRY)
    assert {*kept, *(s.finding for s in suppressed)} == set(findings)
    assert all(s.by in kept for s in suppressed)
    return list(kept)


@pytest.mark.parametrize(
    ("cause", "consequence"),
    [
        (CAUSE, CONSEQUENCE),
        (CAUSE, OF_THE_FILE),
        (replace(CAUSE, row=None), OF_THE_FILE),
        (replace(CAUSE, row=None), replace(CONSEQUENCE, about="model/m.onnx")),
        (replace(CAUSE, row=None, about=REGISTRY), OF_THE_REGISTRY),
    ],
)
def test_a_finding_yields_to_its_cause_in_the_same_row_or_file(
    cause: Finding, consequence: Finding
) -> None:
    assert remaining(cause, consequence) == [cause]
    assert remaining(consequence, cause) == [cause]


@pytest.mark.parametrize(
    ("cause", "consequence"),
    [
        (replace(CAUSE, row="n"), CONSEQUENCE),
        (replace(CAUSE, row="n"), replace(CONSEQUENCE, path=REGISTRY)),
        (replace(CAUSE, row="n"), replace(CONSEQUENCE, about="model/m.onnx")),
        (replace(CAUSE, row=None, about=REGISTRY), replace(CONSEQUENCE, path=REGISTRY)),
        (CAUSE, OF_THE_REGISTRY),
        (replace(CAUSE, severity=Severity.WARNING), CONSEQUENCE),
        (replace(CAUSE, others=frozenset({"model/n.onnx"})), CONSEQUENCE),
        (CAUSE, replace(CONSEQUENCE, more=("n",))),
        (replace(CAUSE, code="ART399"), CONSEQUENCE),
    ],
)
def test_a_finding_yields_to_nothing_else(cause: Finding, consequence: Finding) -> None:
    assert remaining(cause, consequence) == [cause, consequence]


def test_a_finding_does_not_yield_to_a_deferred_one(stale: Repository) -> None:
    stale.defer("SID402", ["*"])
    deferred = stale.save().check().findings[0].deferred
    assert deferred is not None
    cause = CAUSE.defer(deferred)
    assert remaining(cause, CONSEQUENCE) == [cause, CONSEQUENCE]


def test_a_suppressed_finding_is_listed_and_still_occurs_for_its_deferral(
    stale: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(BY_CODE["SID402"]), "yields_to", ("LIC201",))
    stale.rows[0]["license"] = ""
    stale.defer("SID402", ["seed*"])
    report = stale.save().check()
    assert found(report) == [("LIC201", "seed0", False), ("SID402", "seed1", True)]
    assert [(s.finding.row, s.by.code) for s in report.suppressed] == [("seed0", "LIC201")]
    assert [len(r.deferrals) for r in report.rows] == [1, 1]


def test_a_row_fails_by_a_finding_that_yields_to_one_about_its_file(
    stale: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OfTheFile(Cause):
        scopes = (Scope.DOCUMENT,)

        def judge_whole(self, case: Case) -> list[Finding]:
            return [self.finding("not readable", "Mend it.", path="model/seed0.json")]

    rules = (OfTheFile(), BY_CODE["SID402"])
    monkeypatch.setattr(type(BY_CODE["SID402"]), "yields_to", ("ART398",))
    monkeypatch.setattr("provenance.gate.conclusions.CATALOGUE", rules)
    monkeypatch.setattr("provenance.gate.judge.BY_CODE", {r.code: r for r in rules})
    report = stale.save().check()
    assert found(report) == [("SID402", "seed1", False), ("ART398", None, False)]
    assert all(r.verdict is Verdict.FAILED for r in report.rows)
