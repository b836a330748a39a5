# SPDX-License-Identifier: Apache-2.0
"""A report for people: short, by row, with the place and the next step of each finding."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace

import pytest

from provenance.gate.finding import Report, Suppressed
from provenance.output import human
from provenance.output.text import Style
from tests.support.keys import KeyPair
from tests.support.models import External, model
from tests.support.repository import Repository, replace_once


def shown(report: Report, *, verbose: bool = False, width: int = 100) -> str:
    return human.render(report, Style(width=width), verbose=verbose)


def lose(repository: Repository, *fields: str, seeds: int = 5) -> Report:
    """Return the report on rows that have lost fields."""
    for seed in range(seeds):
        row = repository.add(f"seed{seed}")
        for field in fields:
            row.pop(field)
    report: Report = repository.save().check()
    return report


def test_neighbours_with_the_same_defects_share_a_block(repository: Repository) -> None:
    text = shown(lose(repository, "license", "license_url"))
    assert "  seed0…4  5 rows\n" in text
    assert text.count("LIC201  no `license`\n") == 1
    assert text.count("LIC202  no `license_url`\n") == 1
    assert text.count("also at lines 13, 22, 31, 40") == 2
    assert "10 errors in 5 of 5 rows" in text


def test_a_next_step_is_told_once_with_the_number_of_findings(repository: Repository) -> None:
    steps = shown(lose(repository, "license")).partition("explains a rule\n")[2]
    assert steps.startswith("  LIC201  5 ×  Add the SPDX expression")
    assert steps.count("LIC201") == 1


def test_a_next_step_that_names_a_row_is_told_for_the_first_and_names_the_others(
    repository: Repository,
) -> None:
    for seed in range(4):
        repository.add(f"seed{seed}", sha256="0" * 64)
    steps = shown(repository.save().check()).partition("explains a rule\n")[2]
    assert steps.count("ART302") == 1
    assert "provenance hash seed0 --write" in steps
    assert "Likewise for seed1…3." in steps


def test_the_same_in_many_places_is_taken_out_and_told_once(repository: Repository) -> None:
    for number in range(1, 10):
        opset = 18 if number % 2 else 17
        repository.add(f"m{number}", license="BSD-3-Clause-Plus-Patent", opset=opset)
    text = shown(repository.save().check())
    assert text.count("not on the SPDX license list") == 1
    assert re.search(r"^  m1…9  9 rows$", text, re.MULTILINE)
    for number in (1, 3, 5, 7, 9):
        assert f"`opset` is 18; m{number}.onnx" not in text or number == 1
    assert "likewise at lines" in text


def test_the_same_place_in_many_files_is_told_once(repository: Repository) -> None:
    for seed in range(4):
        repository.add_sidecar(repository.add(f"seed{seed}"), sha256="0" * 64)
    text = shown(repository.save().check())
    assert "    model/seed0…3.json\n" in text
    assert "                   likewise for the others\n" in text
    assert text.count("15:13") == 1


def test_what_differs_more_than_in_name_is_told_of_each(repository: Repository) -> None:
    repository.add("a1", opset=18)
    repository.add("a2", opset=19)
    text = shown(repository.save().check())
    assert "`opset` is 18; a1.onnx imports opset 17" in text
    assert "`opset` is 19; a2.onnx imports opset 17" in text


def test_entries_are_aligned_and_another_file_is_named_above_its_own(
    repository: Repository,
) -> None:
    row = repository.add(opset=18, license="Apache-2")
    repository.add_sidecar(row, sha256="0" * 64)
    lines = shown(repository.save().check()).splitlines()
    start = lines.index("  m")
    assert lines[start + 1].startswith("     8:16  ART310  `opset` is 18")
    assert lines[start + 2].startswith("    10:18  LIC204  'Apache-2'")
    other = lines.index("    model/m.json")
    assert other > start + 2
    assert re.fullmatch(r"    15:13  SID402  the sidecar describes .*", lines[other + 1])


@pytest.mark.parametrize("width", [80, 100, 140])
def test_nothing_but_what_cannot_be_broken_is_wider_than_the_terminal(
    repository: Repository, width: int
) -> None:
    for seed in range(9):
        row = repository.add(f"a_regressor_with_a_long_name_seed{seed * 2}", license="Apache-2")
        repository.add_sidecar(row, sha256="0" * 64)
    text = shown(repository.save().check(), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert max(map(len, text.splitlines())) > width - 30


def test_a_row_whose_file_has_another_name_shows_the_file(repository: Repository) -> None:
    repository.add("one", license="")
    repository.add("two", onnx="second.onnx", license="x y")
    text = shown(repository.save().check())
    assert "\n  one\n" in text
    assert "\n  two  model/second.onnx\n" in text


def test_ensembles_and_files_have_blocks_of_their_own(repository: Repository) -> None:
    repository.add_ensemble(smoke=False)
    replace_once(repository.path("ens.json"), '"id": "ens",', '"id": "ens", "ensemble_size": 9,')
    repository.write("left.onnx", model(salt=9))
    text = shown(repository.save().check())
    assert (
        "\n  ensemble ens\n    model/ens.json\n"
        "    2:33  ENS505  `ensemble_size` is 9, but `members` has 2\n"
        "\n  model/left.onnx\n          ART311  model/left.onnx is not used by any row or model\n"
    ) in text


def test_findings_about_deferrals_point_to_the_configuration(repository: Repository) -> None:
    repository.add()
    repository.defer("SID402", ["m"])
    text = shown(repository.save().check())
    assert re.search(r"\n  provenance\.toml\n    5:1  DEF901  SID402 no longer occurs for m", text)


def test_what_is_deferred_is_shown_apart_with_its_reason(repository: Repository) -> None:
    for seed in range(3):
        repository.add_sidecar(repository.add(f"seed{seed}"), sha256="0" * 64)
    until = datetime.date(9999, 12, 31)
    repository.defer("SID402", ["seed*"], reason="until the retrain", expires=until)
    report = repository.save().check()
    text = shown(report)
    assert (
        "3 deferred\n  SID402  seed0…2\n          until the retrain (ADR-1105, until 9999-12-31)\n"
    ) in text
    assert text.splitlines()[-1].endswith("3 deferred (ADR-1105)")
    assert "describes other bytes" not in text
    assert "next steps" not in text
    assert shown(report, verbose=True).count("describes other bytes") == 3


def test_verbose_shows_every_row_and_every_finding_by_itself(repository: Repository) -> None:
    text = shown(lose(repository, "license"), verbose=True)
    assert text.count("no `license`") == 5
    assert "seed0…4" not in text
    assert len(re.findall(r"^  fail seed\d  smoke · license not known$", text, re.MULTILINE)) == 5


def test_verbose_counts_the_findings_that_yield_to_others(repository: Repository) -> None:
    first, *others = (report := lose(repository, "license")).findings
    report = replace(report, suppressed=tuple(Suppressed(f, first) for f in others))
    line = "\nsuppressed: 4 findings (LIC201) whose cause is already reported\n"
    assert line in shown(report, verbose=True)
    assert "suppressed" not in shown(report)


def test_a_passed_check_says_what_it_did_not_judge(full: Repository) -> None:
    text = " ".join(shown(full.check()).split())
    assert "not judged: " in text
    assert "; signatures (verify) OK: 5 rows passed" in text
    some = " ".join(shown(full.released().verify("ext")).split())
    assert "the other 4 rows, and what only the whole registry shows" in some
    assert "signatures" not in some
    assert "not judged" not in shown(replace(full.verify(), not_judged=()))


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


def test_warnings_are_apart_and_counted_apart(repository: Repository) -> None:
    repository.add_sidecar(repository.add_unclaimed(), sha256=None)
    text = shown(repository.save().check())
    assert "1 warning\n  m\n    model/m.json\n    1:1  SID406  the sidecar has no" in text
    assert "error" not in text
    assert text.splitlines()[-1] == "OK: 1 row passed, unclaimed; 1 warning"


def test_errors_that_are_about_no_row_are_counted_with_the_others(repository: Repository) -> None:
    repository.add(license="")
    repository.write("left.onnx", model(salt=9))
    last = shown(repository.save().check()).splitlines()[-1]
    assert last == "FAILED: 2 errors in 1 of 1 row and elsewhere"


def test_an_empty_registry_is_never_ok(repository: Repository) -> None:
    last = shown(repository.save().check()).splitlines()[-1]
    assert last == "NOTHING TO VERIFY: the registry has no rows"


def test_one_defect_in_many_files_names_the_files(full: Repository) -> None:
    full.released()
    for path in (full.root / "bundles").iterdir():
        path.write_text("{}")
    text = shown(full.verify())
    for name in ("plain", "ext", "q", "ens_seed0", "ens_seed1"):
        assert f"bundles/{name}.onnx.sigstore.json" in text


def test_long_lists_are_cut_and_say_so(repository: Repository) -> None:
    for number in range(0, 200, 2):
        repository.add(f"m{number}", license="")
    text = shown(repository.save().check())
    assert " and 40 more" in text
    assert " and 39 more" in text
    assert "FAILED: 100 errors in 100 of 100 rows" in text


def test_colour_marks_the_verdict_and_nothing_that_was_read(repository: Repository) -> None:
    repository.add("m\x1b[32mOK\x1b[0m", onnx="m.onnx", license="")
    text = human.render(repository.save().check(), Style(colour=True), verbose=True)
    without = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "\x1b" not in without
    assert "m\\u001b[32mOK\\u001b[0m" in without
    assert "\x1b[38;5;196m\x1b[1mFAILED" in text


def test_no_row_speaks_to_the_runner(repository: Repository) -> None:
    hostile = ("::add-mask::x", "##[stop-commands]y", "a ::error::z")
    for number, name in enumerate(hostile):
        content = model(salt=number, external=External(f"{number}.data"))
        repository.add(name, content, onnx=f"{number}.onnx", license=name)
    for verbose in (False, True):
        for line in shown(repository.save().check(), verbose=verbose).splitlines():
            assert not line.lstrip().startswith("::")
            assert "##" not in line
