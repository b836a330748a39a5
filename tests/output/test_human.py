# SPDX-License-Identifier: Apache-2.0
"""A report for people: short, by row, with the location and the next step of each finding."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from provenance.gate.finding import Report, Suppressed
from provenance.output import human
from provenance.output.text import Style
from tests.support import reports
from tests.support.keys import KeyPair
from tests.support.models import External, model
from tests.support.reports import STALE
from tests.support.repository import Repository


def shown(report: Report, *, verbose: bool = False, width: int = 100) -> str:
    return human.render(report, Style(width=width), verbose=verbose)


def checked(repository: Repository, ids: list[str], sidecar: Any = None, **fields: Any) -> Report:
    """Return the report on rows that all have the same fields."""
    for id in ids:
        row = repository.add(id, **fields)
        if sidecar:
            repository.add_sidecar(row, **sidecar)
    report: Report = repository.save().check()
    return report


def seeds(count: int) -> list[str]:
    return [f"seed{n}" for n in range(count)]


def test_rows_with_the_same_defects_share_a_block_and_a_next_step(repository: Repository) -> None:
    report = checked(repository, seeds(5), license="", license_url="")
    text, _, steps = shown(report).partition("explains a rule\n")
    assert "  seed0…4  5 rows\n" in text
    assert text.count("LIC201  no `license`\n") == 1
    assert text.count("LIC202  no `license_url`\n") == 1
    assert text.count("also at lines ") == 2
    assert "10 errors in 5 of 5 rows" in steps
    assert steps.startswith("  LIC201  5 ×  Add the SPDX expression")
    assert steps.count("LIC201") == 1


def test_verbose_shows_each_row_and_finding_and_counts_the_suppressed(
    repository: Repository,
) -> None:
    report = checked(repository, seeds(5), license="")
    text = shown(report, verbose=True)
    assert text.count("no `license`") == 5
    assert "seed0…4" not in text
    assert len(re.findall(r"^  fail seed\d  smoke · license not known$", text, re.MULTILINE)) == 5
    first, *others = report.findings
    report = replace(report, suppressed=tuple(Suppressed(f, first) for f in others))
    line = "\nsuppressed: 4 findings (LIC201) whose cause is already reported\n"
    assert line in shown(report, verbose=True)
    assert "suppressed" not in shown(report)


def test_a_next_step_names_the_first_row_and_lists_the_others(repository: Repository) -> None:
    text = shown(checked(repository, seeds(4), sha256="0" * 64))
    steps = text.partition("explains a rule\n")[2]
    assert steps.count("ART302") == 1
    assert "provenance hash seed0 --write" in steps
    assert "Likewise for seed1…3." in steps


def test_one_finding_in_rows_with_others_gets_a_block_of_its_own(repository: Repository) -> None:
    for number in range(1, 10):
        opset = 18 if number % 2 else 17
        repository.add(f"m{number}", license="BSD-3-Clause-Plus-Patent", opset=opset)
    text = shown(repository.save().check())
    assert text.count("not on the SPDX license list") == 1
    assert re.search(r"^  m1…9  9 rows$", text, re.MULTILINE)
    for number in (3, 5, 7, 9):
        assert f"`opset` is 18; m{number}.onnx" not in text
    assert "likewise at lines" in text


def test_one_line_in_many_files_is_shown_once(repository: Repository) -> None:
    text = shown(checked(repository, seeds(4), STALE))
    assert "    model/seed0…3.json\n" in text
    assert "                   likewise for the others\n" in text
    assert text.count("15:13") == 1


def test_entries_are_aligned_below_the_name_of_their_file(repository: Repository) -> None:
    text = shown(checked(repository, ["m"], STALE, opset=18, license="Apache-2"))
    lines = text.splitlines()
    start = lines.index("  m")
    assert lines[start + 1].startswith("     8:16  ART310  `opset` is 18")
    assert lines[start + 2].startswith("    10:18  LIC204  'Apache-2'")
    other = lines.index("    model/m.json")
    assert other > start + 2
    assert re.fullmatch(r"    15:13  SID402  the sidecar describes .*", lines[other + 1])


@pytest.mark.parametrize("width", [80, 100, 140])
def test_lines_fit_the_terminal(repository: Repository, width: int) -> None:
    ids = [f"a_regressor_with_a_long_name_seed{n}" for n in range(0, 18, 2)]
    report = checked(repository, ids, STALE, license="Apache-2")
    widths = [len(line) for line in shown(report, width=width).splitlines()]
    assert width - 30 < max(widths) <= width


def test_a_row_whose_file_has_another_name_shows_the_file(repository: Repository) -> None:
    repository.add("one", license="")
    text = shown(checked(repository, ["two"], onnx="second.onnx", license="x y"))
    assert "\n  one\n" in text
    assert "\n  two  model/second.onnx\n" in text


def with_stale_deferral(repository: Repository) -> Report:
    repository.defer("SID402", ["m"])
    return checked(repository, ["m"])


def with_stray_and_error(repository: Repository) -> Report:
    repository.write("left.onnx", model(salt=9))
    return checked(repository, ["m"], license="")


@pytest.mark.parametrize(
    ("make", "part", "last"),
    [
        (
            reports.with_ensemble_error,
            r"\n  ensemble ens\n    model/ens\.json\n    \d+:\d+  ENS505  `ensemble_size` is 9",
            "FAILED: 1 error",
        ),
        (
            reports.with_stray,
            r"\n  model/left\.onnx\n      ART311  model/left\.onnx is not used by any row ",
            "FAILED: 1 error",
        ),
        (
            with_stale_deferral,
            r"\n  provenance\.toml\n    6:1  DEF901  SID402 no longer occurs for m",
            "FAILED: 1 error",
        ),
        (
            reports.with_warning,
            r"1 warning\n  m\n    model/m\.json\n    1:1  SID406  the sidecar has no",
            "OK: 1 row passed, unclaimed; 1 warning",
        ),
        (with_stray_and_error, "2 errors", "FAILED: 2 errors in 1 of 1 row and elsewhere"),
        (reports.empty, "", "NOTHING TO VERIFY: the registry has no rows"),
    ],
)
def test_each_kind_of_finding_has_its_block_and_is_counted(
    repository: Repository, make: Callable[[Repository], Report], part: str, last: str
) -> None:
    text = shown(make(repository))
    assert re.search(part, text)
    assert text.splitlines()[-1].startswith(last)
    assert ("error" in text) is ("error" in last)


def test_a_deferred_finding_is_shown_apart_with_its_reason(repository: Repository) -> None:
    until = datetime.date(9999, 12, 31)
    repository.defer("SID402", ["seed*"], reason="until the retrain", expires=until)
    report = checked(repository, seeds(3), STALE)
    text = shown(report)
    assert (
        "3 deferred\n  SID402  seed0…2\n          until the retrain (ADR-1105, until 9999-12-31)\n"
    ) in text
    assert text.splitlines()[-1].endswith("3 deferred (ADR-1105)")
    assert "describes other bytes" not in text
    assert "next steps" not in text
    assert shown(report, verbose=True).count("describes other bytes") == 3


def test_a_report_lists_what_was_not_judged(full: Repository) -> None:
    text = " ".join(shown(full.check()).split())
    assert "not judged: " in text
    assert "; signatures (verify) OK: 5 rows passed" in text
    some = " ".join(shown(full.released().verify("ext")).split())
    assert "the other 4 rows, and what only the whole registry shows" in some
    assert "signatures" not in some
    assert "not judged" not in shown(replace(full.verify(), not_judged=()))


def test_a_release_counts_its_bundles_and_its_report_names_the_trust(
    full: Repository, key: KeyPair
) -> None:
    assert "8 bundles written, 0 already signed" in shown(full.release())
    assert "0 bundles written, 8 already signed" in shown(full.release())
    text = shown(full.verify(), verbose=True)
    assert "trust: provenance.toml (" in text
    assert re.search(r"key release.pub \(sha256 [0-9a-f]{64}\)", text)
    assert "ok   plain" in text
    assert "production · MIT · signed by release.pub" in text
    assert text.splitlines()[-1].startswith("OK: 5 rows verified")


def test_one_defect_in_many_files_names_the_files(full: Repository) -> None:
    full.released()
    for path in (full.root / "bundles").iterdir():
        path.write_text("{}")
    text = shown(full.verify())
    for name in ("plain", "ext", "q", "ens_seed0", "ens_seed1"):
        assert f"bundles/{name}.onnx.sigstore.json" in text


def test_long_lists_are_cut_and_the_rest_counted(repository: Repository) -> None:
    text = shown(checked(repository, [f"m{n}" for n in range(0, 200, 2)], license=""))
    for part in (" and 40 more", " and 39 more", "FAILED: 100 errors in 100 of 100 rows"):
        assert part in text


def test_colour_marks_the_verdict_and_no_text_from_files(repository: Repository) -> None:
    report = checked(repository, ["m\x1b[32mOK\x1b[0m"], onnx="m.onnx", license="")
    text = human.render(report, Style(colour=True), verbose=True)
    without = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "\x1b" not in without
    assert "m\\u001b[32mOK\\u001b[0m" in without
    assert "\x1b[38;5;196m\x1b[1mFAILED" in text


@pytest.mark.parametrize("verbose", [False, True])
def test_text_from_files_is_no_command_to_a_runner(repository: Repository, verbose: bool) -> None:
    for number, name in enumerate(("::add-mask::x", "##[stop-commands]y", "a ::error::z")):
        content = model(salt=number, external=External(f"{number}.data"))
        repository.add(name, content, onnx=f"{number}.onnx", license=name)
    for line in shown(repository.save().check(), verbose=verbose).splitlines():
        assert not line.lstrip().startswith("::")
        assert "##" not in line
