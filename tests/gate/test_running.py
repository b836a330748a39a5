# SPDX-License-Identifier: Apache-2.0
"""Models of a registry that are run (tests/cases/run.toml), and the rules about how they run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance import check, verify
from provenance.artifacts.onnx_model import OnnxFacts, TensorSpec
from provenance.errors import InputError
from provenance.evidence.evidence import Evidence
from provenance.evidence.rows import ModelEvidence
from provenance.evidence.run_models import run_models
from provenance.gate.rules.runtime import RULES
from provenance.runtime.run import Outcome, Output, Run
from provenance.runtime.settings import RunSettings
from provenance.runtime.trial import Job, Runtime
from tests.support import runnable
from tests.support.bare import BARE
from tests.support.command import run_cli, time_limit
from tests.support.models import External, model
from tests.support.mutations import Change, append, remove
from tests.support.repository import Repository, codes, sha256
from tests.support.whole import read_whole

PASSES = runnable.identity()
NAN = runnable.RECIPES["gives-nan"]()
"""NaN for everything above zero."""


def outcomes(evidence: Evidence) -> dict[str, Outcome | None]:
    models = [m for r in evidence.rows for m in r.models]
    return {m.name: m.run.outcome if m.run else None for m in models}


def ran(repository: Repository, **settings: Any) -> Evidence:
    config = replace(repository.save().config, run=RunSettings(**settings))
    return read_whole(config, run=True)


def test_every_model_of_a_registry_is_run_on_request(full: Repository) -> None:
    names = ("plain", "ext", "q", "q.int8", "ens_seed0", "ens_seed1")
    ran = {f"{name}.onnx": Outcome.RAN for name in names}
    assert outcomes(read_whole(full.config, run=True)) == ran
    assert outcomes(read_whole(full.config)) == dict.fromkeys(ran)


@pytest.mark.parametrize("command", ["check", "verify"])
def test_the_report_counts_the_models_that_were_run(full: Repository, command: str) -> None:
    full.released()
    full.path("q.int8.onnx").unlink()
    report = run_cli(command, "--run", "--format", "json", cwd=full.root).json
    (note,) = report["notes"]
    assert note.startswith("5 of 6 models were loaded and run with onnxruntime 1.")
    assert note.endswith("; 1 not tried")
    assert run_cli(command, "--format", "json", cwd=full.root).json["notes"] == []


def test_a_model_that_failed_or_was_only_loaded_does_not_count_as_run(
    repository: Repository,
) -> None:
    repository.add("runs", PASSES)
    repository.add("refused", runnable.RECIPES["for-a-batch-of-8"]())
    repository.add("broken", runnable.RECIPES["of-opset-99"](), opset=99)
    repository.add("unfed", runnable.of_a_sequence())
    report = check(repository.save().config, run=True)
    assert codes(report) == ["RUN001", "RUN002"]
    (note,) = report.notes
    assert note.startswith("1 of 4 models were loaded and run with onnxruntime 1.")
    assert note.endswith("; 1 only loaded; 2 failed")
    for row in repository.rows:
        repository.path(row["onnx"]).unlink()
    assert check(repository.config, run=True).notes == ("0 of 4 models were loaded and run",)


@pytest.mark.parametrize(("size", "setting"), [(224, ""), (123, 'H = 123, "x.3" = 123')])
def test_a_model_is_run_with_sizes_that_it_takes_or_that_are_configured(
    repository: Repository, size: int, setting: str
) -> None:
    repository.add("m", runnable.for_pictures(size))
    report = check(repository.save().config, run=True)
    if setting:
        (finding,) = report.failing
        assert finding.message.startswith("m.onnx does not run with N=1, H=64, nor with ")
        assert "[run] of the configuration, such as `dimensions = { H = 224 }`" in finding.help
        path = repository.root / "provenance.toml"
        path.write_text(f"{path.read_text()}[run]\ndimensions = {{ {setting} }}\n")
        report = check(repository.config, run=True)
    assert codes(report) == []
    assert report.notes[0].startswith("1 of 1 models were loaded and run")


class Script:
    """A runtime whose attempts end as they are listed, each after some seconds."""

    def __init__(self, *outcomes: Outcome, seconds: float = 0) -> None:
        self._outcomes = list(outcomes)
        self._seconds = seconds
        self.timeouts: list[int] = []

    def attempt(self, job: Job, folder: Path, settings: RunSettings, stop: object) -> Run:
        self.timeouts.append(settings.timeout)
        time.sleep(self._seconds)
        return Run(self._outcomes.pop(0), "1.2", sizes=job.feed.sizes if job.feed else {})


def attempted(script: Any, repository: Repository, timeout: int = 60) -> Run:
    repository.add("m", PASSES)
    evidence = read_whole(repository.save().config)
    done = run_models(evidence.root, evidence.rows, script, RunSettings(timeout=timeout), {})
    (model,) = done[0].models
    assert model.run is not None
    return model.run


REFUSED, RAN, CRASHED = Outcome.REFUSED, Outcome.RAN, Outcome.CRASHED


TOO_LONG, TOO_LARGE = Outcome.TOO_LONG, Outcome.TOO_LARGE


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        ((REFUSED, CRASHED, RAN), RAN),
        ((REFUSED, REFUSED, CRASHED, REFUSED, REFUSED), CRASHED),
        *(((only,), only) for only in (CRASHED, TOO_LONG, TOO_LARGE)),
    ],
)
def test_only_what_the_runtime_refuses_is_tried_with_other_sizes(
    repository: Repository, attempts: tuple[Outcome, ...], expected: Outcome
) -> None:
    assert attempted(Script(*attempts), repository).outcome is expected


def test_all_further_attempts_together_have_the_time_of_one(repository: Repository) -> None:
    script = Script(*[REFUSED] * 5, seconds=0.7)
    run = attempted(script, repository, timeout=1)
    assert (run.outcome, run.sizes, run.tried) == (REFUSED, {"batch": 1}, 2)
    assert script.timeouts == [1, 1, 1]


@pytest.mark.parametrize("folder", ["", "below/"])
def test_weights_are_found_beside_the_model(repository: Repository, folder: str) -> None:
    repository.write(f"{folder}weights/w.data", bytes(24))
    content = model(external=External("weights/w.data"))
    repository.add("m", content, onnx=f"{folder}m.onnx")
    assert outcomes(ran(repository)) == {f"{folder}m.onnx": Outcome.RAN}


@pytest.mark.parametrize("size", [0, 23])
def test_a_model_whose_weights_are_truncated_is_not_run(repository: Repository, size: int) -> None:
    repository.write("w.data", bytes(size))
    repository.add("m", model(external=External("w.data")))
    repository.add("broken", b"no model")
    repository.add("out", onnx="../out.onnx")
    assert set(outcomes(ran(repository)).values()) == {None}


@pytest.mark.parametrize("baseline", [None, "."])
def test_a_model_of_two_rows_is_run_once(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, baseline: str | None
) -> None:
    for id in ("a", "b"):
        repository.add(id, PASSES, onnx="m.onnx")
    repository.save()
    runs: list[str] = []
    attempt = Runtime.attempt

    def counted(runtime: Runtime, job: Job, *rest: Any) -> Run:
        runs.append(job.model)
        return attempt(runtime, job, *rest)

    monkeypatch.setattr(Runtime, "attempt", counted)
    report = check(repository.config, run=True, baseline=baseline and str(repository.root))
    assert "1 of 1 models were loaded and run" in " ".join(report.notes)
    assert runs == ["m.onnx"]


@pytest.mark.parametrize(
    ("name", "change", "error"),
    [
        ("m.onnx", append(b"\0"), "m.onnx changed during the check"),
        ("w.data", append(b"\0"), "w.data changed during the check"),
        ("m.onnx", remove(), "does not exist"),
    ],
)
def test_a_file_that_changed_after_it_was_hashed_is_not_run(
    repository: Repository, name: str, change: Change, error: str
) -> None:
    repository.write("w.data", bytes(24))
    repository.add("m", model(external=External("w.data")))
    evidence = read_whole(repository.save().config)
    change(repository.path(name))
    with pytest.raises(InputError, match=error):
        run_models(evidence.root, evidence.rows, Runtime.find(), RunSettings(), {})


def test_copies_of_models_are_removed(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    repository.add("m", PASSES)
    assert outcomes(ran(repository)) == {"m.onnx": Outcome.RAN}
    assert list(private.iterdir()) == []


def test_an_interrupt_does_not_wait_for_models_that_hang(repository: Repository) -> None:
    for id in ("a", "b", "c"):
        repository.add(id, runnable.loop("Add"))
    began = time.monotonic()
    with pytest.raises(TimeoutError), time_limit(1):
        ran(repository, timeout=600)
    assert time.monotonic() - began < 30


def test_a_gate_that_is_killed_takes_its_workers_with_it(repository: Repository) -> None:
    repository.add("m", runnable.loop("Add"))
    repository.save()
    command = [sys.executable, "-m", "provenance", "check", "--run"]
    with subprocess.Popen(command, cwd=repository.root) as gate:
        worker = _wait_for(lambda: _children(gate.pid))
        time.sleep(1)  # until it is at the model
        assert _children(gate.pid) == worker
        gate.kill()
    _wait_for(lambda: [] if any(map(_is_there, worker)) else worker)


def _wait_for(look: Callable[[], list[int]]) -> list[int]:
    """What is seen as soon as anything is."""
    deadline = time.monotonic() + 20
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return seen


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _is_there(pid: int) -> bool:
    """Whether a process runs. A zombie, which was not waited for yet, does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("mean", "fed"),
    [
        ([-1] * 6, True),
        ([-0.5] * 6, True),
        ([-1] * 5, False),
        ([-1] * 5 + [-65505], False),
        ([-1] * 5 + [True], False),
        ([-1] * 5 + [-(10**400)], False),
        ([-1] * 5 + ["-1"], False),
        (-1, False),
        (None, False),
    ],
)
def test_a_valid_mean_of_the_sidecar_is_fed(
    repository: Repository, mean: object, fed: bool
) -> None:
    repository.add_sidecar(repository.add("m", NAN), feature_mean=mean)
    (row,) = ran(repository).rows
    assert row.onnx is not None
    assert row.onnx.run is not None
    assert row.onnx.run.outputs[0].nonfinite == (0 if fed else 6)


@pytest.mark.parametrize("own", [True, False])
def test_an_int8_variant_is_fed_by_its_own_sidecar_or_by_the_rows(
    repository: Repository, own: bool
) -> None:
    repository.write("m.int8.onnx", NAN)
    row = repository.add("m", PASSES, int8_sha256=sha256(NAN))
    repository.add_sidecar(row, feature_mean=[1 if own else -1] * 6)
    if own:
        repository.write("m.int8.json", {"feature_mean": [-1] * 6})
    (evidence,) = ran(repository).rows
    assert evidence.int8 is not None
    assert evidence.int8.run is not None
    assert evidence.int8.run.outputs[0].nonfinite == 0


@pytest.mark.parametrize(
    ("settings", "found", "help"),
    [
        (
            {"dimensions": {"bacht": 2}},
            "'bacht', but no model has such an open dimension",
            "'batch'",
        ),
        ({"dimensions": {"x.1": 2}}, "'x.1', but no model has such an open dimension", "Remove it"),
        ({"inputs": {"features": 2}}, "'features', but no model has such an input", "Remove it"),
    ],
)
def test_a_setting_of_an_unknown_dimension_or_input_is_an_error(
    repository: Repository, settings: Any, found: str, help: str
) -> None:
    repository.add("m", PASSES)
    with pytest.raises(InputError, match=found) as raised:
        ran(repository, **settings)
    assert help in (raised.value.help or "")


def test_a_setting_may_name_an_input_of_a_model_that_is_not_examined(
    repository: Repository,
) -> None:
    repository.add("m", PASSES)
    repository.add("n", runnable.identity(shape=("n", 6)))
    config = replace(repository.save().config, run=RunSettings(dimensions={"n": 2}))
    assert outcomes(read_whole(config, rows=["m"], run=True)) == {"m.onnx": RAN}
    repository.path("n.onnx").unlink()
    assert outcomes(read_whole(config, run=True)) == {"m.onnx": RAN, "n.onnx": None}


def test_a_deferral_of_a_rule_about_runs_need_not_be_signed(full: Repository) -> None:
    full.write("plain.onnx", runnable.RECIPES["gives-another-rank"]())
    full.rows[0]["sha256"] = sha256(full.path("plain.onnx").read_bytes())
    full.add_sidecar(full.rows[0], feature_order=None, input_names=None)
    full.defer("RUN003", ["plain"])
    full.released()
    assert codes(full.verify()) == []
    report = verify(full.config, run=True)
    assert codes(report) == []
    assert [(f.code, f.row) for f in report.deferred] == [("RUN003", "plain")]


def test_a_model_that_cannot_be_stopped_does_not_stop_the_others(repository: Repository) -> None:
    repository.add("a", runnable.loop("Add"))
    repository.add("b", PASSES)
    repository.add("c", runnable.bomb())
    assert outcomes(ran(repository, timeout=1, memory=512)) == {
        "a.onnx": Outcome.TOO_LONG,
        "b.onnx": Outcome.RAN,
        "c.onnx": Outcome.TOO_LARGE,
    }


# --- rules about runs ---------------------------------------------------------------------------


def spec(*shape: int | str | None, name: str = "y", dtype: str = "float") -> TensorSpec:
    return TensorSpec(name, dtype, shape)


def output(*shape: int, name: str = "y", dtype: str = "float") -> Output:
    return Output(name, dtype, shape, 0)


def found(declared: list[TensorSpec], outcome: Outcome, **fields: Any) -> dict[str, str]:
    """Return the message of each rule that fires."""
    facts = OnnxFacts(10, {"": 17}, (), tuple(declared), ())
    judged: list[Any] = [rule() for rule in RULES]
    model, run = ModelEvidence("m.onnx", "m.onnx", facts=facts), Run(outcome, "1.2", **fields)
    return {r.code: m for r in judged for m, _ in r.conclude(BARE, model, run)}


def differing(declared: list[TensorSpec], given: list[Output], **sizes: int) -> str | None:
    messages = found(declared, RAN, outputs=tuple(given), sizes=sizes)
    return messages.get("RUN003", "").partition("declares: ")[2] or None


@pytest.mark.parametrize(
    ("declared", "given", "message"),
    [
        (spec(), output(), None),
        (spec(1, 6), output(1, 6), None),
        (spec(None, -1), output(3, 4), None),
        (TensorSpec("y", "float", None), output(3, 4), None),
        (spec("n", "m"), output(1, 7), None),
        (spec("new", "new"), output(7, 7), None),
        (spec(3, dtype="undefined"), output(4), None),
        (TensorSpec("y", "unknown", None), output(4), None),
        (TensorSpec("y", "sequence_type", None), Output("y", None, None), None),
        (TensorSpec("y", "optional_type", None), output(4), None),
        (spec(), output(1), "expected y: float [], found float [1]"),
        (spec(1, 6), output(1, 7), "expected y: float [1, 6], found float [1, 7]"),
        (spec(1, 6), output(6, 1), "expected y: float [1, 6], found float [6, 1]"),
        (spec(None), output(3, 4), "expected y: float [?], found float [3, 4]"),
        (spec(0), output(1), "expected y: float [0], found float [1]"),
        (spec(1), output(1, dtype="double"), "expected y: float [1], found double [1]"),
        (spec("n"), output(2), "expected y: float [n], found float [2] with n=1"),
        (
            spec("new", "new"),
            output(7, 8),
            "expected y: float [new, new], found float [7, 8] with new=7",
        ),
        (spec(1, 6), output(6), "expected y: float [1, 6], found float [6]"),
        (spec(6), output(1, 6), "expected y: float [6], found float [1, 6]"),
        (spec(6, 1), output(6), "expected y: float [6, 1], found float [6]"),
        (
            spec(9),
            output(*range(1, 10)),
            "expected y: float [9], found float [1, 2, 3, 4, 5, 6, 7, 8]",
        ),
        (spec(1), Output("y", None, None), "expected y: float [1], found no tensor"),
        (spec(1), Output("y", None, (1,)), "expected y: float [1], found no tensor"),
        (spec(1), Output("y", "double", None), "expected y: float [1], found no tensor"),
    ],
)
def test_an_output_of_another_type_or_shape_is_reported(
    declared: TensorSpec, given: Output, message: str | None
) -> None:
    assert differing([declared], [given], n=1) == message


def test_a_symbol_is_one_size_over_all_outputs() -> None:
    declared = [spec("k"), spec("k", name="z")]
    assert differing(declared, [output(3), output(3, name="z")]) is None
    assert differing(declared, [output(3), output(4, name="z")]) == (
        "expected z: float [k], found float [4] with k=3"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "expected 2 outputs (y, z), found 0 outputs ()"),
        ([output(1)], "expected 2 outputs (y, z), found 1 outputs (y)"),
        ([output(1, name="z"), output(1)], "expected 2 outputs (y, z), found 2 outputs (z, y)"),
    ],
)
def test_another_number_or_order_of_outputs_is_reported(given: list[Output], message: str) -> None:
    assert differing([spec(1), spec(1, name="z")], given) == message


def test_three_of_many_differences_are_shown() -> None:
    names = [f"y{i}" for i in range(9)]
    declared = [spec(1, name=n) for n in names]
    message = differing(declared, [output(2, name=n) for n in names])
    assert message is not None
    assert message.count("float [2]") == 3
    assert message.endswith("and 6 more")
    assert "expected 9 outputs (y0, y1, y2 and 6 more)" in (differing(declared, []) or "")


def test_names_and_shapes_of_any_length_make_short_messages() -> None:
    long = "n" * 100_000
    outputs = (Output(long, "d" * 100_000, (1,) * 100_000, 1),)
    messages = found([spec(long, name=long)], RAN, outputs=outputs, sizes={long: 1})
    assert all(len(m) < 800 for m in messages.values())
    refused = found([], REFUSED, sizes={f"{i}{long}": 1 for i in range(9)})
    assert len(refused["RUN002"]) < 800


@pytest.mark.parametrize(
    ("outcome", "loaded", "code", "part"),
    [
        (REFUSED, False, "RUN001", "why"),
        (REFUSED, True, "RUN002", "why"),
        (Outcome.UNFED, True, "RUN007", "why"),
        (TOO_LONG, True, "RUN004", "running"),
        (TOO_LONG, False, "RUN004", "loading"),
        (TOO_LARGE, True, "RUN004", "running"),
        (TOO_LARGE, False, "RUN004", "loading"),
        (CRASHED, True, "RUN006", "running"),
        (CRASHED, False, "RUN006", "loading"),
    ],
)
def test_an_outcome_is_reported_once(outcome: Outcome, loaded: bool, code: str, part: str) -> None:
    messages = found([spec(1)], outcome, loaded=loaded, reason="why")
    assert messages.keys() == {code}
    assert part in messages[code]


@pytest.mark.parametrize(
    ("sizes", "tried", "shown"),
    [
        ({}, 0, ": why"),
        (
            dict(zip("abcdef", range(1, 7), strict=True)),
            0,
            " with a=1, b=2, c=3, d=4 and 2 more: why",
        ),
        ({"H": 64}, 16, " with H=64, nor with 16 other sizes: why"),
        ({}, 16, " with the default sizes, nor with 16 other sizes: why"),
    ],
)
def test_the_chosen_sizes_are_part_of_the_message(
    sizes: dict[str, int], tried: int, shown: str
) -> None:
    refused = found([], REFUSED, loaded=True, reason="why", sizes=sizes, tried=tried)
    assert refused == {"RUN002": f"m.onnx does not run{shown}"}


@pytest.mark.parametrize(("nonfinite", "shown"), [("b", "'b'"), ("bc", "'b' and 1 more")])
def test_outputs_that_are_not_finite_are_named_once(nonfinite: str, shown: str) -> None:
    outputs = tuple(Output(name, "float", (1,), int(name in nonfinite)) for name in "abc")
    messages = found([spec(1, name=name) for name in "abc"], RAN, outputs=outputs)
    assert messages == {"RUN005": f"m.onnx returns NaN or infinity in {shown}"}
