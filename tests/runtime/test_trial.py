# SPDX-License-Identifier: Apache-2.0
"""One model in one worker: what its process may do, and what is made of how it ends.

Where a model cannot be made to do something, a script takes the place of the worker.
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
from provenance.runtime.trial import Job, Runtime, environment
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
    """Puts a script in the place of the worker."""

    def pretend(script: str) -> None:
        path = tmp_path_factory.mktemp("worker") / "worker.py"
        path.write_text(HEAD + script, "utf-8")
        monkeypatch.setattr(trial, "WORKER", path)

    return pretend


def test_a_model_runs(attempt: Attempt) -> None:
    run = attempt(runnable.identity())
    (output,) = run.outputs
    assert (run.outcome, run.loaded, run.sizes) == (Outcome.RAN, True, {"batch": 1})
    assert (output.name, output.dtype, output.shape, output.nonfinite) == ("y", "float", (1, 6), 0)
    assert run.version[0].isdigit()


def test_a_model_that_cannot_be_fed_is_loaded(attempt: Attempt) -> None:
    job = Job("m.onnx", None, "it is a sequence")
    run = attempt(runnable.of_a_sequence(), job=job)
    assert (run.outcome, run.loaded, run.reason) == (Outcome.UNFED, True, "it is a sequence")


@pytest.mark.parametrize(
    ("recipe", "outcome", "loaded", "reason"),
    [
        ("of-an-operator-that-nobody-has", Outcome.REFUSED, False, "Fatal error: com.example"),
        ("for-a-batch-of-8", Outcome.REFUSED, True, "Non-zero status code returned while running"),
        ("that-grows", Outcome.TOO_LARGE, True, "Non-zero status"),
        ("of-four-tebibytes", Outcome.TOO_LARGE, True, "Non-zero status"),
    ],
)
def test_how_a_run_ends(
    attempt: Attempt, recipe: str, outcome: Outcome, loaded: bool, reason: str
) -> None:
    run = attempt(runnable.RECIPES[recipe]())
    assert (run.outcome, run.loaded) == (outcome, loaded), run
    assert run.reason.startswith(reason)


@pytest.mark.parametrize("recipe", ["that-hangs", "that-hangs-on-constants"])
def test_a_model_that_hangs_is_stopped(attempt: Attempt, recipe: str) -> None:
    run = attempt(runnable.RECIPES[recipe](), QUICK)
    assert (run.outcome, run.loaded, run.reason) == (Outcome.TOO_LONG, True, "")


def test_a_file_that_is_not_there_does_not_load(attempt: Attempt) -> None:
    run = attempt(job=replace(FED, model="other.onnx"))
    assert (run.outcome, run.loaded) == (Outcome.REFUSED, False)


def test_a_message_of_the_runtime_holds_no_place_in_its_source(attempt: Attempt) -> None:
    run = attempt(runnable.RECIPES["for-a-batch-of-8"]())
    assert "onnxruntime_src" not in run.reason
    assert "The input tensor cannot be reshaped to the requested shape" in run.reason


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


def test_a_flood_on_standard_error_is_read_and_thrown_away(
    attempt: Attempt, pretend: Callable[[str], None]
) -> None:
    pretend(READY + "for _ in range(500): os.write(2, b'x' * 99_999 + b'\\n')\nsys.exit('last')")
    assert attempt().reason == "exit 1: last"


@pytest.mark.parametrize(
    "script", ["while True: os.write(2, b'x' * 65_536)", "os.close(answer); time.sleep(60)"]
)
def test_a_worker_that_does_not_end_is_stopped(
    attempt: Attempt, pretend: Callable[[str], None], script: str
) -> None:
    pretend(READY + script)
    assert attempt(settings=QUICK).outcome is Outcome.TOO_LONG


def test_a_line_of_any_length_is_shown_as_a_short_one(
    attempt: Attempt, pretend: Callable[[str], None]
) -> None:
    pretend(READY + "sys.exit('x' * 100_000)")
    assert len(attempt().reason) == len("exit 1: ") + listening.LINE


@pytest.mark.parametrize("flood", ["b'x' * 65_536", "b'[]\\n'"])
def test_an_answer_that_does_not_end_is_none(
    attempt: Attempt, pretend: Callable[[str], None], flood: str
) -> None:
    pretend(READY + f"while True: os.write(answer, {flood})")
    assert attempt().outcome is Outcome.CRASHED


def test_standard_output_goes_nowhere(attempt: Attempt, pretend: Callable[[str], None]) -> None:
    pretend(READY + LOADED + 'print(\'x\' * 200_000)\nsay(\'{"stage": "done", "outputs": []}\\n\')')
    assert attempt().outcome is Outcome.RAN


def test_what_a_worker_started_ends_with_it(
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
    """Whether a process runs: one that nobody has waited for yet does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_worker_sees_nothing_of_the_gate(
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
    told = json.loads(seen.read_text())
    unset = {"LC_CTYPE"}  # Python's own, in the C locale
    assert told["env"].keys() - unset == {
        "LD_LIBRARY_PATH",
        "MALLOC_ARENA_MAX",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
    }
    assert len(told["fds"]) == 4  # the three standard ones and the answer
    assert json.loads(told["stdin"])["model"] == "m.onnx"
    assert (told["cwd"], told["session"], told["isolated"]) == (str(tmp_path), True, 1)


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


def test_a_worker_cannot_write_a_file(attempt: Attempt, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    attempt(runnable.identity())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before


def test_a_runtime_that_does_not_start_is_no_finding(
    attempt: Attempt, pretend: Callable[[str], None]
) -> None:
    pretend("sys.exit('ImportError: libonnxruntime.so')")
    with pytest.raises(UnavailableError, match=r"does not start: ImportError: lib") as raised:
        attempt()
    assert raised.value.exit_code == 4
    assert "import onnxruntime" in (raised.value.help or "")
    pretend("os.kill(os.getpid(), signal.SIGILL)")
    with pytest.raises(UnavailableError, match="does not start: SIGILL"):
        attempt()
    pretend("say('hello\\n')")
    with pytest.raises(UnavailableError, match="does not start: its answer cannot be read"):
        attempt()


def test_a_runtime_that_never_gets_ready_is_no_finding(
    attempt: Attempt, pretend: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "START", 1)
    pretend("time.sleep(60)")
    with pytest.raises(UnavailableError, match="does not start within 1 seconds"):
        attempt()


def test_starting_does_not_count_as_running(
    attempt: Attempt, pretend: Callable[[str], None]
) -> None:
    pretend("time.sleep(1.2)\n" + READY + LOADED + 'say(\'{"stage": "done", "outputs": []}\\n\')')
    assert attempt(settings=QUICK).outcome is Outcome.RAN


def test_a_run_can_be_called_off(tmp_path: Path, pretend: Callable[[str], None]) -> None:
    pretend("time.sleep(60)")
    stop = threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        Runtime.find().attempt(FED, tmp_path, QUICK, stop)


@pytest.mark.parametrize("package", ["onnxruntime", "numpy"])
def test_without_the_extra_the_command_that_installs_it_is_named(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == package else find(n))
    with pytest.raises(UnavailableError, match=f"--run needs {package}") as raised:
        Runtime.find()
    assert raised.value.help == "pip install 'onnx-provenance[run]'"


def test_where_there_are_no_process_groups_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "name", "nt")
    with pytest.raises(UnavailableError, match="POSIX"):
        Runtime.find()


def test_a_worker_needs_no_more_than_it_is_given() -> None:
    assert environment().keys() <= {
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "MALLOC_ARENA_MAX",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
    }


def test_text_of_others_becomes_one_short_printable_line() -> None:
    assert listening.one_line("a\n\tb\x1b[2J\u202e c") == "a b [2J c"
    assert len(listening.one_line("x" * 1000)) == listening.LINE


def test_the_package_that_the_worker_is_part_of_is_not_what_it_imports() -> None:
    text = trial.WORKER.read_text("utf-8")
    assert "import provenance" not in text
    assert "from provenance" not in text
