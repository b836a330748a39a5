# SPDX-License-Identifier: Apache-2.0
"""One model in one worker: the limits of its process, and the outcome of how it ends.

A script takes the place of the worker for what no model does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.errors import UnavailableError
from provenance.runtime import listening, trial
from provenance.runtime.feed import Feed, Input
from provenance.runtime.run import Outcome, Run
from provenance.runtime.settings import RunSettings
from provenance.runtime.trial import Job, Runtime
from tests.support import runnable

FEED = Feed((Input("x", "float", (1, 6), 0.5),), {"batch": 1})
FED = Job("m.onnx", FEED)
PATIENT = RunSettings(timeout=30, memory=512)
QUICK = RunSettings(timeout=1, memory=512)
HEAD = """
import os, signal, subprocess, sys, time
answer = int(sys.argv[2])
def say(text): os.write(answer, text.encode())
"""
READY = 'say(\'{"stage": "ready", "version": "1.2"}\\n\')\n'
LOADED = 'say(\'{"stage": "loaded"}\\n\')\n'
DONE = 'say(\'{"stage": "done", "outputs": []}\\n\')\n'

Attempt = Callable[..., Run]


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    def attempt(content: bytes = b"", settings: RunSettings = PATIENT, *, job: Job = FED) -> Run:
        (tmp_path / "m.onnx").write_bytes(content)
        return Runtime.find().attempt(job, tmp_path, settings, threading.Event())

    return attempt


@pytest.fixture
def pretend(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Return a function that replaces the worker with a script."""

    def pretend(script: str) -> None:
        path = tmp_path_factory.mktemp("worker") / "worker.py"
        path.write_text(HEAD + script, "utf-8")
        monkeypatch.setattr(trial, "WORKER", path)

    return pretend


def test_a_model_runs_and_writes_no_file(attempt: Attempt, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    run = attempt(runnable.identity())
    (output,) = run.outputs
    assert (run.outcome, run.loaded, run.sizes) == (Outcome.RAN, True, {"batch": 1})
    assert (output.name, output.dtype, output.shape, output.nonfinite) == ("y", "float", (1, 6), 0)
    assert run.version[0].isdigit()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before


def test_a_model_that_cannot_be_fed_is_loaded(attempt: Attempt) -> None:
    job = Job("m.onnx", None, "it is a sequence")
    run = attempt(runnable.of_a_sequence(), job=job)
    assert (run.outcome, run.loaded, run.reason) == (Outcome.UNFED, True, "it is a sequence")


NON_ZERO = "Non-zero status"


@pytest.mark.parametrize(
    ("recipe", "settings", "outcome", "loaded", "reason"),
    [
        ("of-an-operator-that-nobody-has", PATIENT, Outcome.REFUSED, False, "Fatal error: com.exa"),
        ("for-a-batch-of-8", PATIENT, Outcome.REFUSED, True, f"{NON_ZERO} code returned while run"),
        ("that-grows", PATIENT, Outcome.TOO_LARGE, True, NON_ZERO),
        ("of-four-tebibytes", PATIENT, Outcome.TOO_LARGE, True, NON_ZERO),
        ("that-hangs", QUICK, Outcome.TOO_LONG, True, ""),
        ("that-hangs-on-constants", QUICK, Outcome.TOO_LONG, True, ""),
    ],
)
def test_a_run_ends_with_an_outcome_and_a_reason(
    attempt: Attempt,
    recipe: str,
    settings: RunSettings,
    outcome: Outcome,
    loaded: bool,
    reason: str,
) -> None:
    run = attempt(runnable.RECIPES[recipe](), settings)
    assert (run.outcome, run.loaded) == (outcome, loaded), run
    assert run.reason.startswith(reason)
    assert bool(run.reason) is bool(reason)
    assert "onnxruntime_src" not in run.reason  # no place in the source of the runtime
    if recipe == "for-a-batch-of-8":
        assert "The input tensor cannot be reshaped to the requested shape" in run.reason


def test_a_missing_file_does_not_load(attempt: Attempt) -> None:
    run = attempt(job=replace(FED, model="other.onnx"))
    assert (run.outcome, run.loaded) == (Outcome.REFUSED, False)


@pytest.mark.parametrize(
    ("script", "outcome", "reason"),
    [
        (READY + "os.kill(os.getpid(), signal.SIGSEGV)", Outcome.CRASHED, "SIGSEGV"),
        (READY + "os.abort()", Outcome.CRASHED, "SIGABRT"),
        (READY + "os.kill(os.getpid(), 40)", Outcome.CRASHED, "signal 40"),
        (READY + "os.kill(os.getpid(), signal.SIGKILL)", Outcome.CRASHED, "SIGKILL, as the kernel"),
        (READY + "sys.exit(3)", Outcome.CRASHED, "exit 3"),
        (READY + "sys.exit('first\\nlast \\x1b[31m')", Outcome.CRASHED, "exit 1: last [31m"),
        (READY + "sys.exit('std::bad_alloc')", Outcome.TOO_LARGE, "std::bad_alloc"),
        (READY + "say('nonsense\\n')", Outcome.CRASHED, "its answer cannot be read: "),
        (READY + READY, Outcome.CRASHED, "its answer cannot be read: unexpected message"),
        (READY + LOADED + "say('{\"stage\": ')", Outcome.CRASHED, "exit 0"),
        (READY + "os.close(answer); os.close(2); time.sleep(60)", Outcome.CRASHED, "SIGKILL"),
    ],
)
def test_a_worker_that_does_not_answer(
    attempt: Attempt, pretend: Callable[[str], None], script: str, outcome: Outcome, reason: str
) -> None:
    pretend(script)
    run = attempt()
    assert (run.outcome, run.version) == (outcome, "1.2"), run
    assert run.reason.startswith(reason)


FLOOD = "for _ in range(500): os.write(2, b'x' * 99_999 + b'\\n')\nsys.exit('last')"


@pytest.mark.parametrize(
    ("script", "settings", "outcome"),
    [
        (READY + "while True: os.write(2, b'x' * 65_536)", QUICK, Outcome.TOO_LONG),
        (READY + "os.close(answer); time.sleep(60)", QUICK, Outcome.TOO_LONG),
        (READY + "while True: os.write(answer, b'x' * 65_536)", PATIENT, Outcome.CRASHED),
        (READY + "while True: os.write(answer, b'[]\\n')", PATIENT, Outcome.CRASHED),
        (READY + LOADED + "print('x' * 200_000)\n" + DONE, PATIENT, Outcome.RAN),
        # Starting does not count as running.
        ("time.sleep(1.2)\n" + READY + LOADED + DONE, QUICK, Outcome.RAN),
        (READY + FLOOD, PATIENT, Outcome.CRASHED),
        (READY + "sys.exit('x' * 100_000)", PATIENT, Outcome.CRASHED),
    ],
)
def test_a_worker_can_neither_hang_nor_flood_the_gate(
    attempt: Attempt,
    pretend: Callable[[str], None],
    script: str,
    settings: RunSettings,
    outcome: Outcome,
) -> None:
    pretend(script)
    run = attempt(settings=settings)
    assert run.outcome is outcome
    if FLOOD in script:
        assert run.reason == "exit 1: last"
    assert len(run.reason) <= len("exit 1: ") + listening.LINE


def test_processes_that_a_worker_started_end_with_it(
    attempt: Attempt, pretend: Callable[[str], None], tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    pretend(
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(pid)!r}, 'w').write(str(child.pid))\n{READY}time.sleep(600)"
    )
    assert attempt(settings=QUICK).outcome is Outcome.TOO_LONG
    for _ in range(100):
        if not _runs(int(pid.read_text())):
            return
        time.sleep(0.05)
    pytest.fail("the child of a worker is still there")


def _runs(pid: int) -> bool:
    """Return whether a process runs. A zombie, which was not waited for yet, does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_worker_gets_only_its_job_and_a_clean_environment(
    attempt: Attempt,
    pretend: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET", "token")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    with open(tmp_path / "open file", "w"):
        seen = tmp_path / "seen"
        pretend(
            READY
            + f"""
import json
json.dump({{
    "env": dict(os.environ),
    "fds": sorted(os.listdir("/proc/self/fd"))[:-1],
    "stdin": sys.stdin.read(),
    "cwd": os.getcwd(),
    "session": os.getsid(0) == os.getpid(),
    "isolated": sys.flags.isolated,
}}, open({str(seen)!r}, "w"))
"""
        )
        attempt()
    found = json.loads(seen.read_text())
    unset = {"LC_CTYPE"}  # Python's own, in the C locale
    threads = {f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS")}
    assert found["env"].keys() - unset == {"LD_LIBRARY_PATH", "MALLOC_ARENA_MAX", *threads}
    assert len(found["fds"]) == 4  # the three standard ones and the answer
    assert json.loads(found["stdin"])["model"] == "m.onnx"
    assert (found["cwd"], found["session"], found["isolated"]) == (str(tmp_path), True, 1)


def test_the_limits_are_those_of_the_settings(
    attempt: Attempt, pretend: Callable[[str], None]
) -> None:
    pretend(
        f"""
import resource, runpy
main = runpy.run_path({str(trial.WORKER)!r})["main"]
def attempt(job, say):
    names = ("CPU", "AS", "FSIZE", "CORE")
    limits = [resource.getrlimit(getattr(resource, "RLIMIT_" + n)) for n in names]
    say("failed", memory=False, message=repr(limits))
main.__globals__["attempt"] = attempt
main(sys.argv[1:])
"""
    )
    expected = [PATIENT.timeout + trial.START, PATIENT.memory << 20, 0, 0]
    assert attempt().reason == repr([(limit, limit) for limit in expected])


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("sys.exit('ImportError: libonnxruntime.so')", "does not start: ImportError: lib"),
        ("os.kill(os.getpid(), signal.SIGILL)", "does not start: SIGILL"),
        ("say('hello\\n')", "does not start: its answer cannot be read"),
    ],
)
def test_a_runtime_that_does_not_start_gives_no_verdict(
    attempt: Attempt, pretend: Callable[[str], None], script: str, message: str
) -> None:
    pretend(script)
    with pytest.raises(UnavailableError, match=message) as raised:
        attempt()
    assert raised.value.exit_code == 4
    assert "import onnxruntime" in (raised.value.help or "")


def test_a_runtime_that_is_never_ready_gives_no_verdict(
    attempt: Attempt, pretend: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "START", 1)
    pretend("time.sleep(60)")
    with pytest.raises(UnavailableError, match="does not start within 1 seconds"):
        attempt()


def test_a_run_can_be_cancelled(tmp_path: Path, pretend: Callable[[str], None]) -> None:
    pretend("time.sleep(60)")
    stop = threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        Runtime.find().attempt(FED, tmp_path, QUICK, stop)


@pytest.mark.parametrize("package", ["onnxruntime", "numpy"])
def test_without_the_extra_the_error_names_the_command_that_installs_it(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == package else find(n))
    with pytest.raises(UnavailableError, match=f"--run needs {package}") as raised:
        Runtime.find()
    assert raised.value.help == "pip install 'onnx-provenance[run]'"


def test_models_are_run_only_on_posix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "name", "nt")
    with pytest.raises(UnavailableError, match="POSIX"):
        Runtime.find()


def test_text_of_a_worker_becomes_one_short_printable_line() -> None:
    assert listening.one_line("a\n\tb\x1b[2J\u202e c") == "a b [2J c"
    assert len(listening.one_line("x" * 1000)) == listening.LINE


def test_the_worker_does_not_import_the_package() -> None:
    text = trial.WORKER.read_text("utf-8")
    assert "import provenance" not in text
    assert "from provenance" not in text
