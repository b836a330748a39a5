# SPDX-License-Identifier: Apache-2.0
"""Models of a registry that are run: which ones, on what, and what the report says of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance import check, verify
from provenance.errors import InputError
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.evidence.run_models import run_models
from provenance.runtime.run import Outcome, Run
from provenance.runtime.settings import RunSettings
from provenance.runtime.trial import Job, Runtime
from tests.support import runnable
from tests.support.command import run_cli, time_limit
from tests.support.models import External, model
from tests.support.repository import Repository, codes, sha256
from tests.support.whole import read_whole

PASSES = runnable.identity()
NAN = runnable.RECIPES["gives-nan"]()
"""NaN for everything above zero."""


class Told(Progress):
    """Keeps what it receives."""

    def __init__(self) -> None:
        self.all: list[object] = []

    def begin(self, what: str, steps: int) -> None:
        self.all.append((what, steps))

    def advance(self) -> None:
        self.all.append("a step")


def outcomes(evidence: Evidence) -> dict[str, Outcome | None]:
    models = [m for r in evidence.rows for m in r.models]
    return {m.name: m.run.outcome if m.run else None for m in models}


def ran(repository: Repository, **settings: Any) -> Evidence:
    config = replace(repository.save().config, run=RunSettings(**settings))
    return read_whole(config, run=True)


def test_every_model_of_a_registry_is_run(full: Repository) -> None:
    evidence = read_whole(full.config, run=True)
    assert outcomes(evidence) == {
        "plain.onnx": Outcome.RAN,
        "ext.onnx": Outcome.RAN,
        "q.onnx": Outcome.RAN,
        "q.int8.onnx": Outcome.RAN,
        "ens_seed0.onnx": Outcome.RAN,
        "ens_seed1.onnx": Outcome.RAN,
    }


def test_without_being_asked_nothing_is_run(full: Repository) -> None:
    evidence = read_whole(full.config)
    assert set(outcomes(evidence).values()) == {None}


@pytest.mark.parametrize("command", ["check", "verify"])
def test_the_report_says_how_many_models_were_run(full: Repository, command: str) -> None:
    full.released()
    (full.path("q.int8.onnx")).unlink()
    report = run_cli(command, "--run", "--format", "json", cwd=full.root).json
    (note,) = report["notes"]
    assert note.startswith("5 of 6 models were loaded and run with onnxruntime 1.")
    assert note.endswith("; 1 not tried")
    assert run_cli(command, "--format", "json", cwd=full.root).json["notes"] == []


def test_the_report_notes_that_no_model_could_be_run(repository: Repository) -> None:
    repository.add("m")
    repository.save()
    repository.path("m.onnx").unlink()
    report = check(repository.config, run=True)
    assert codes(report) == ["ART301"]
    assert report.notes == ("0 of 1 models were loaded and run",)


def test_what_failed_or_was_only_loaded_does_not_count_as_run(repository: Repository) -> None:
    repository.add("runs", PASSES)
    repository.add("refused", runnable.RECIPES["for-a-batch-of-8"]())
    repository.add("broken", runnable.RECIPES["of-opset-99"](), opset=99)
    repository.add("unfed", runnable.of_a_sequence())
    report = check(repository.save().config, run=True)
    assert codes(report) == ["RUN001", "RUN002"]
    (note,) = report.notes
    assert note.startswith("1 of 4 models were loaded and run with onnxruntime 1.")
    assert note.endswith("; 1 only loaded; 2 failed")


def test_a_sound_model_is_run_with_sizes_that_it_takes(repository: Repository) -> None:
    repository.add("m", runnable.for_pictures(224))
    report = check(repository.save().config, run=True)
    assert codes(report) == []
    assert report.notes[0].startswith("1 of 1 models were loaded and run")


def test_a_model_that_runs_with_no_size_names_the_setting(repository: Repository) -> None:
    repository.add("m", runnable.for_pictures(123))
    (finding,) = check(repository.save().config, run=True).failing
    assert finding.message.startswith("m.onnx does not run with N=1, H=64, nor with ")
    assert "[run] of the configuration, such as `dimensions = { H = 224 }`" in finding.help
    path = repository.root / "provenance.toml"
    path.write_text(path.read_text() + '[run]\ndimensions = { H = 123, "x.3" = 123 }\n')
    assert codes(check(repository.config, run=True)) == []


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


def test_the_first_sizes_that_work_count(repository: Repository) -> None:
    assert attempted(Script(REFUSED, CRASHED, RAN), repository).outcome is RAN


def test_a_crash_with_other_sizes_is_reported(repository: Repository) -> None:
    run = attempted(Script(REFUSED, REFUSED, CRASHED, REFUSED, REFUSED), repository)
    assert run.outcome is CRASHED


@pytest.mark.parametrize("outcome", [CRASHED, Outcome.TOO_LONG, Outcome.TOO_LARGE])
def test_only_what_the_runtime_refuses_is_tried_again(
    repository: Repository, outcome: Outcome
) -> None:
    assert attempted(Script(outcome), repository).outcome is outcome


def test_all_further_attempts_together_have_the_time_of_one(repository: Repository) -> None:
    script = Script(*[REFUSED] * 5, seconds=0.7)
    run = attempted(script, repository, timeout=1)
    assert (run.outcome, run.sizes, run.tried) == (REFUSED, {"batch": 1}, 2)
    assert script.timeouts == [1, 1, 1]


@pytest.mark.parametrize("folder", ["", "below/"])
def test_weights_lie_where_the_model_looks_for_them(repository: Repository, folder: str) -> None:
    repository.write(f"{folder}weights/w.data", bytes(24))
    content = model(external=External("weights/w.data"))
    repository.add("m", content, onnx=f"{folder}m.onnx")
    assert outcomes(ran(repository)) == {f"{folder}m.onnx": Outcome.RAN}


@pytest.mark.parametrize("size", [0, 23])
def test_a_model_whose_weights_are_truncated_is_not_run(repository: Repository, size: int) -> None:
    repository.write("w.data", bytes(size))
    repository.add("m", model(external=External("w.data")))
    assert outcomes(ran(repository)) == {"m.onnx": None}


def test_what_is_no_model_is_not_run(repository: Repository) -> None:
    repository.add("m", b"no model")
    repository.add("out", onnx="../out.onnx")
    assert outcomes(ran(repository)) == {"m.onnx": None, "../out.onnx": None}


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


def test_a_terminal_shows_what_is_going_on(full: Repository) -> None:
    result = run_cli("check", "--run", cwd=full.root, terminal=True)
    assert result.code == 0
    assert "judging rows" in result.err


@pytest.mark.parametrize("name", ["m.onnx", "w.data"])
def test_a_file_that_changed_after_it_was_hashed_is_not_run(
    repository: Repository, name: str
) -> None:
    repository.write("w.data", bytes(24))
    repository.add("m", model(external=External("w.data")))
    evidence = read_whole(repository.save().config)
    repository.write(name, repository.path(name).read_bytes() + b"\0")
    with pytest.raises(InputError, match=rf"{name} changed during the check"):
        run_models(evidence.root, evidence.rows, Runtime.find(), RunSettings(), {})


def test_a_file_that_went_after_it_was_hashed_is_an_error(repository: Repository) -> None:
    repository.add("m", PASSES)
    evidence = read_whole(repository.save().config)
    repository.path("m.onnx").unlink()
    with pytest.raises(InputError, match="does not exist"):
        run_models(evidence.root, evidence.rows, Runtime.find(), RunSettings(), {})


def test_nothing_is_left_of_the_copies(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

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
def test_the_mean_of_the_sidecar_is_fed_where_it_is_one(
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
def test_a_setting_that_names_nothing_is_an_error(
    repository: Repository, settings: Any, found: str, help: str
) -> None:
    repository.add("m", PASSES)
    with pytest.raises(InputError, match=found) as raised:
        ran(repository, **settings)
    assert help in (raised.value.help or "")


def test_a_setting_may_name_something_in_a_model_that_is_not_looked_at(
    repository: Repository,
) -> None:
    repository.add("m", PASSES)
    repository.add("n", runnable.identity(shape=("n", 6)))
    config = replace(repository.save().config, run=RunSettings(dimensions={"n": 2}))
    assert outcomes(read_whole(config, rows=["m"], run=True)) == {"m.onnx": Outcome.RAN}
    repository.path("n.onnx").unlink()
    assert outcomes(read_whole(config, run=True)) == {"m.onnx": Outcome.RAN, "n.onnx": None}


def test_a_deferral_of_what_only_a_run_shows_is_not_one_that_was_to_be_signed(
    full: Repository,
) -> None:
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


def test_without_the_extra_a_run_is_no_verdict(
    full: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    result = run_cli("check", "--run", cwd=full.root)
    assert result.code == 4
    assert "pip install 'onnx-provenance[run]'" in result.err


def test_settings_come_from_the_configuration(repository: Repository) -> None:
    repository.add("m", runnable.RECIPES["for-a-batch-of-8"]())
    repository.save()
    text = (repository.root / "provenance.toml").read_text("utf-8")
    (repository.root / "provenance.toml").write_text(f"{text}[run.dimensions]\nbatch = 8\n")
    assert codes(check(repository.config, run=True)) == []
