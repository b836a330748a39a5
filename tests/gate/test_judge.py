# SPDX-License-Identifier: Apache-2.0
"""Rules and deferrals, applied to evidence. The date is given, the disk is not asked again."""

from __future__ import annotations

import datetime
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance import Verifier, check
from provenance.artifacts import digest
from provenance.errors import InputError, UnavailableError, VerificationError
from provenance.evidence.progress import Progress
from provenance.gate import suppression
from provenance.gate.finding import Finding, Report, Severity, Verdict
from provenance.gate.rules import BY_CODE, CATALOGUE, Case, Rule, Scope
from provenance.operations.hashing import hash_models
from provenance.signing.trust import Trust
from tests.support.models import model
from tests.support.repository import Repository, codes, sha256

STALE = {"sha256": "0" * 64}
LATER = {"sha256": "f" * 64}


def found(report: Report) -> list[tuple[str, str | None, bool]]:
    return [(f.code, f.row, f.deferred is not None) for f in report.findings]


@pytest.fixture
def stale(repository: Repository) -> Repository:
    """Two smoke rows whose sidecars describe other bytes."""
    for id in ("seed0", "seed1"):
        repository.add_sidecar(repository.add(id), **STALE)
    return repository


def test_a_stale_sidecar_fails_without_a_deferral(stale: Repository) -> None:
    assert codes(stale.save().check()) == ["SID402", "SID402"]


@pytest.mark.parametrize("digest_", [STALE, LATER])
def test_a_sidecar_is_stale_whichever_other_digest_it_names(
    repository: Repository, digest_: dict[str, str]
) -> None:
    repository.add_sidecar(repository.add("m"), **digest_)
    repository.add_sidecar(repository.add("n", smoke=False), **digest_)
    assert codes(repository.save().check()) == ["SID402", "SID404"]


def test_a_deferral_covers_the_rows_it_matches(stale: Repository) -> None:
    stale.defer("SID402", ["seed*"])
    report = stale.save().check()
    assert found(report) == [("SID402", "seed0", True), ("SID402", "seed1", True)]
    assert report.verdict is Verdict.VERIFIED
    assert [r.deferrals[0]["reference"] for r in report.rows] == ["ADR-1105", "ADR-1105"]


def test_a_deferral_covers_no_other_row(stale: Repository) -> None:
    stale.defer("SID402", ["seed0"])
    assert found(stale.save().check()) == [("SID402", "seed0", True), ("SID402", "seed1", False)]


def test_a_deferral_covers_no_other_rule(stale: Repository) -> None:
    stale.defer("SID403", ["seed*"])
    assert codes(stale.save().check()) == ["DEF901", "SID402", "SID402"]


def test_a_deferral_rings_when_its_cause_is_gone(stale: Repository) -> None:
    stale.defer("SID402", ["seed*"])
    for row in stale.rows:
        stale.add_sidecar(row)
    assert codes(stale.save().check()) == ["DEF901"]


@pytest.mark.parametrize("cured", [["seed0"], ["seed0", "seed1"]])
def test_a_deferral_that_rings_is_narrowed_to_what_is_left_or_removed(
    stale: Repository, cured: list[str]
) -> None:
    stale.defer("SID402", ["seed*"])
    for row in stale.rows[: len(cured)]:
        stale.add_sidecar(row)
    (finding,) = stale.save().check().failing
    assert f"no longer occurs for {', '.join(cured)}: the cause" in finding.message
    assert finding.position is not None
    lines = (stale.root / "provenance.toml").read_text("utf-8").splitlines()
    if cured == ["seed0"]:
        assert finding.help == "Narrow `rows` to those that still have the finding."
        assert lines[finding.position.line - 1].startswith("rows = ")
    else:
        assert finding.help == "Remove the [[deferral]]."
        assert lines[finding.position.line - 1] == "[[deferral]]"


def test_a_deferral_does_not_ring_for_rows_that_were_not_asked_for(stale: Repository) -> None:
    stale.add_sidecar(stale.add("fresh"))
    stale.defer("SID402", ["seed*"])
    stale.save()
    assert codes(stale.check("fresh")) == []
    assert codes(stale.check("seed0")) == []


def test_a_deferral_for_rows_that_were_not_asked_for_still_matches_something(
    stale: Repository,
) -> None:
    stale.defer("SID402", ["seed1"])
    assert codes(stale.save().check("seed0")) == ["SID402"]


def test_the_day_of_expiry_still_counts(stale: Repository) -> None:
    day = datetime.date(2026, 6, 30)
    stale.defer("SID402", ["seed*"], expires=day)
    config = stale.save().config
    assert codes(check(config, today=day)) == []
    assert codes(check(config, today=day + datetime.timedelta(days=1))) == ["DEF903"]


@pytest.mark.parametrize("field", ["reason", "reference"])
def test_a_deferral_says_why_and_where_it_was_decided(stale: Repository, field: str) -> None:
    stale.defer("SID402", ["seed*"], **{field: " "})
    assert codes(stale.save().check()) == ["DEF904"]


@pytest.mark.parametrize("rule", [r for r in CATALOGUE if not r.deferrable], ids=lambda r: r.code)
def test_a_rule_that_cannot_be_deferred_is_not(stale: Repository, rule: Any) -> None:
    stale.defer("SID402", ["seed*"])
    stale.defer(rule.code, ["*"])
    report = stale.save().verify()
    assert "DEF905" in codes(report)
    assert {f.code for f in report.deferred} == {"SID402"}


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


def test_every_row_is_reported_not_only_the_first_failure(full: Repository) -> None:
    for row in full.rows:
        row.pop("license")
    report = full.save().check()
    assert [f.row for f in report.failing] == [r["id"] for r in full.rows]
    assert all(r.verdict is Verdict.FAILED for r in report.rows)


def test_a_row_without_findings_is_verified_beside_one_that_fails(full: Repository) -> None:
    full.rows[0].pop("license")
    report = full.save().check()
    assert [r.verdict for r in report.rows] == [Verdict.FAILED] + [Verdict.VERIFIED] * 4


def test_of_a_subset_neither_strays_nor_the_summary_are_judged(full: Repository) -> None:
    full.write("stray.onnx", model(salt=99))
    assert codes(full.check()) == ["ART311"]
    assert codes(full.check("plain")) == []


def test_a_report_lists_every_model_file_that_was_hashed(full: Repository) -> None:
    report = full.check()
    listed = {f.path: f.sha256 for r in report.rows for f in r.model_files}
    files = {p for p in full.models.iterdir() if ".onnx" in p.name}
    assert listed == {f"model/{p.name}": sha256(p.read_bytes()) for p in files}


def test_signatures_are_not_judged_without_trust(full: Repository) -> None:
    report = full.check()
    assert report.trust is None
    assert all(r.signer is None for r in report.rows)
    assert codes(report) == []


def test_a_released_row_names_its_signer(full: Repository) -> None:
    report = full.released().verify()
    assert report.exit_code == 0
    assert {r.signer for r in report.rows} == {"release.pub"}
    assert report.trust is not None
    assert [path for path, _ in report.trust.keys] == ["release.pub"]


def test_trust_that_is_given_takes_the_place_of_the_configurations(
    full: Repository, other_key: Any
) -> None:
    from provenance import trust_from_keys

    full.released()
    report = Verifier(trust_from_keys([other_key.public])).registry(full.config)
    assert set(codes(report)) == {"SIG604"}


def test_without_trusted_signers_there_is_no_verdict(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.add()
    with pytest.raises(UnavailableError, match="has no trusted signers"):
        repository.save().verify()


def test_trust_in_no_key_verifies_nothing(full: Repository) -> None:
    full.released()
    assert Verifier(Trust("nobody", ())).registry(full.config).exit_code == 1


def test_a_warning_is_shown_and_does_not_fail(repository: Repository) -> None:
    row = repository.add()
    del row["smoke"]
    repository.add_sidecar(row, sha256=None)
    report = repository.save().check()
    assert [f.severity for f in report.warnings] == [Severity.WARNING]
    assert report.exit_code == 0


def test_an_empty_registry_is_nothing_to_verify(repository: Repository) -> None:
    report = repository.save().check()
    assert (report.verdict, report.exit_code) == (Verdict.NOTHING, 3)


def test_an_unknown_rule_in_a_deferral_names_the_nearest(stale: Repository) -> None:
    stale.defer("SID-402", ["*"])
    with pytest.raises(InputError, match="no rule 'SID-402'") as raised:
        stale.save().check()
    assert raised.value.help == "Did you mean SID402?"
    stale.deferrals[:] = []
    stale.defer("nonsense", ["*"])
    with pytest.raises(InputError) as raised:
        stale.save().check()
    assert raised.value.help == "provenance rules lists them."


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


def test_a_folder_with_more_files_than_are_searched_is_refused(
    full: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provenance.artifacts import limits

    monkeypatch.setattr(limits, "FOLDER_ENTRIES", 3)
    with pytest.raises(InputError, match="more than 3 files"):
        full.check()


def test_an_error_while_hashing_is_a_finding_of_its_row(
    full: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("provenance.evidence.collect_models.WHOLE", 0)  # as if they were large
    monkeypatch.setattr(digest, "of_stream", fail)
    report = full.check()
    assert codes(report) == ["ART305"]
    assert "Input/output error" in report.failing[0].message
    monkeypatch.setattr("provenance.evidence.collect_models.read_onnx", fail)
    assert set(codes(full.check())) == {"ART309"}


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


def test_a_registry_at_the_root_of_the_repository_is_judged_as_any_other(
    tmp_path: Path, key: Any
) -> None:
    repository = Repository(tmp_path, key, folder=".")
    repository.add_sidecar(repository.add("m", sigstore_bundle="m.onnx.sigstore.json"))
    assert repository.released().verify().exit_code == 0
    assert (tmp_path / "registry.json.vsa.sigstore.json").exists()


def test_a_stray_bundle_in_the_root_of_the_repository_is_reported(
    repository: Repository,
) -> None:
    repository.add_sidecar(repository.add("m", sigstore_bundle="../m.onnx.sigstore.json"))
    bundle = repository.released().root / "m.onnx.sigstore.json"
    (repository.root / "old.onnx.sigstore.json").write_bytes(bundle.read_bytes())
    assert codes(repository.verify()) == ["SIG607"]


def test_require_returns_a_verified_report(full: Repository) -> None:
    report = full.check()
    assert report.require() is report


def test_require_refuses_a_report_with_findings(full: Repository) -> None:
    full.rows[0]["license"] = ""
    report = full.save().check()
    with pytest.raises(VerificationError, match=r"failed: .*`license`") as raised:
        report.require()
    assert raised.value.exit_code == 1
    assert "findings" in (raised.value.help or "")


def test_require_refuses_a_report_without_rows(repository: Repository) -> None:
    report = repository.save().check()
    with pytest.raises(VerificationError, match=r"nothing to verify$"):
        report.require()


class Cause(Rule):
    """What another rule finds in the wake of."""

    code = "ART398"
    slug = "cause"


class Consequence(Rule):
    """What yields to its cause, and can be deferred."""

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


def test_a_finding_yields_to_none_that_is_deferred(stale: Repository) -> None:
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
