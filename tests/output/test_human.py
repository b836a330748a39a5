# SPDX-License-Identifier: Apache-2.0
"""A report for people: grouped, short, each defect with its next step."""

from __future__ import annotations

import datetime
import re

from provenance.gate.finding import Report
from provenance.output import human
from provenance.output.text import Style
from tests.support.keys import KeyPair
from tests.support.repository import Repository

PLAIN = Style()


def shown(report: Report, *, verbose: bool = False) -> str:
    return human.render(report, PLAIN, verbose=verbose)


def test_one_defect_in_many_rows_is_shown_once_with_the_rows(repository: Repository) -> None:
    for seed in range(5):
        repository.add(f"seed{seed}").pop("license")
    text = shown(repository.save().check())
    assert text.count("no `license`") == 1
    assert "seed0…4" in text
    assert text.count("next:") == 1
    assert "5 errors in 5 of 5 rows" in text


def test_names_are_joined_only_where_they_follow_each_other() -> None:
    names = ["a1", "a2", "a3", "b7", "b9", "c", "d1", "d2"]
    assert list(human._names(names)) == [
        "a1…3",
        "b7",
        "b9",
        "c",
        "d1",
        "d2",
    ]


def test_every_rule_of_a_report_has_its_code_its_place_and_its_next_step(
    repository: Repository,
) -> None:
    row = repository.add(opset=18, license="Apache-2")
    repository.add_sidecar(row, sha256="0" * 64)
    text = shown(repository.save().check())
    for code in ("ART310", "LIC204", "SID402"):
        assert re.search(rf"^error {code} .* · 1 row$", text, re.MULTILINE)
    assert "model/registry.json" in text
    assert "model/m.json" in text
    assert re.search(r"^    8:16  m: `opset` is 18", text, re.MULTILINE)
    assert text.count("  next: ") == 3


def test_what_is_deferred_is_shown_with_its_reason(repository: Repository) -> None:
    for seed in range(3):
        repository.add_sidecar(repository.add(f"seed{seed}"), sha256="0" * 64)
    until = datetime.date(9999, 12, 31)
    repository.defer("SID402", ["seed*"], reason="until the retrain", expires=until)
    report = repository.save().check()
    text = shown(report)
    assert "deferred SID402" in text
    assert "seed0…2" in text
    assert "because until the retrain (ADR-1105, until 9999-12-31)" in text
    assert "3 deferred (ADR-1105)" in text.splitlines()[-1]
    assert "describes other bytes" not in text
    assert "describes other bytes" in shown(report, verbose=True)


def test_a_passed_check_says_what_it_did_not_judge(full: Repository) -> None:
    last = shown(full.check()).splitlines()[-1]
    assert last == "OK: 5 rows passed, signatures not judged, 4 of them smoke"


def test_a_verified_release_says_whose_trust_was_used(full: Repository, key: KeyPair) -> None:
    text = shown(full.released().verify(), verbose=True)
    assert "trust: provenance.toml (" in text
    assert re.search(r"key release.pub \(sha256 [0-9a-f]{64}\)", text)
    assert "ok   plain" in text
    assert "production · MIT · signed by release.pub" in text
    assert text.splitlines()[-1].startswith("OK: 5 rows verified")


def test_a_release_says_what_it_wrote_and_what_it_kept(full: Repository) -> None:
    assert "8 bundles written, 0 already signed" in shown(full.release())
    assert "0 bundles written, 8 already signed" in shown(full.release())


def test_warnings_are_counted_apart(repository: Repository) -> None:
    repository.add_sidecar(repository.add(smoke=False), sha256=None)
    text = shown(repository.save().check())
    assert "warning SID406" in text
    assert text.splitlines()[-1].endswith("; 1 warning")


def test_an_empty_registry_is_never_ok(repository: Repository) -> None:
    assert "NOTHING TO VERIFY" in shown(repository.save().check()).splitlines()[-1]


def test_one_defect_in_many_files_names_the_files(full: Repository) -> None:
    full.released()
    for path in (full.root / "bundles").iterdir():
        path.write_text("{}")
    text = shown(full.verify())
    for path in (full.root / "bundles").iterdir():
        assert f"bundles/{path.name}" in text


def test_colour_marks_the_verdict_and_nothing_that_was_read(repository: Repository) -> None:
    repository.add("m\x1b[32mOK\x1b[0m", onnx="m.onnx", license="")
    text = human.render(repository.save().check(), Style(colour=True), verbose=True)
    without = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "\x1b" not in without
    assert "m\\u001b[32mOK\\u001b[0m" in without
    assert "\x1b[31m\x1b[1mFAILED" in text
