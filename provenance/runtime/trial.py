# SPDX-License-Identifier: Apache-2.0
"""Run one model in a worker process, with limits on time and memory.

The worker gets a folder with the model's files, a nearly empty environment, no terminal, and its
own process group, which is killed as soon as the worker has answered or its time is up.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from provenance.artifacts.limits import MIB
from provenance.errors import UnavailableError
from provenance.frozen import dataclass
from provenance.runtime.feed import Feed
from provenance.runtime.listening import Heard, listen, one_line
from provenance.runtime.run import Outcome, Run
from provenance.runtime.settings import RunSettings

WORKER: Final = Path(__file__).with_name("worker.py")

START: Final = 60
"""Seconds for starting Python and importing onnxruntime. On an idle machine this takes 0.2 s."""

_OUT_OF_MEMORY: Final = re.compile(r"\bbad_alloc\b|\bbad allocation\b|[Ff]ailed to allocate memory")
"""How C++ and onnxruntime report that memory ran out, in an exception or before they abort."""

_NOISE: Final = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : (Load model from .*? failed:)?\s*"
    r"|\S*/onnxruntime_src/\S+:\d+ [^)]*\) "
)
"""The parts of onnxruntime's messages that are not shown: error codes and source locations."""

_KEPT: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Environment variables that some builds of Python need to start."""


@dataclass(frozen=True)
class Job:
    """One model to run: its file name and its inputs.

    If `feed` is None, the model is only loaded, and `unfed` says why.
    """

    model: str
    feed: Feed | None
    unfed: str = ""


@dataclass(frozen=True)
class Runtime:
    """An installed onnxruntime. A worker imports it and numpy from `folders`."""

    folders: tuple[str, ...]

    @classmethod
    def find(cls) -> Runtime:
        """Return the onnxruntime that this Python would import.

        Raises:
            UnavailableError: If it is not installed, or this is not a POSIX system.
        """
        if os.name != "posix":
            raise UnavailableError(
                "--run needs a POSIX system", help="Run it on Linux, or without --run."
            )
        folders = []
        for package in ("onnxruntime", "numpy"):
            spec = importlib.util.find_spec(package)
            if spec is None or spec.origin is None:
                raise UnavailableError(
                    f"--run needs {package}, which is not installed",
                    help="pip install 'onnx-provenance[run]'",
                )
            folders.append(str(Path(spec.origin).resolve().parents[1]))
        return cls(tuple(dict.fromkeys(folders)))

    def attempt(self, job: Job, folder: Path, settings: RunSettings, stop: threading.Event) -> Run:
        """Run the model of `job`. `folder` must contain only the files of this model.

        Raises:
            UnavailableError: If onnxruntime does not start.
            CancelledError: If `stop` is set.
        """
        with self._worker(job, folder, settings) as (process, answers):
            heard = listen(process, answers, start=START, timeout=settings.timeout, stop=stop)
        return _run(job, heard, process.returncode)

    @contextlib.contextmanager
    def _worker(
        self, job: Job, folder: Path, settings: RunSettings
    ) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """Start a worker, and kill its process group at the end.

        Yields the process and the descriptor on which it answers.
        """
        reading, writing = os.pipe()
        numbers = (os.getpid(), writing, settings.timeout + START, settings.memory * MIB)
        command = [sys.executable, "-I", "-X", "utf8", str(WORKER), *map(str, numbers)]
        inputs = None if job.feed is None else [asdict(i) for i in job.feed.inputs]
        sending = json.dumps({"model": job.model, "inputs": inputs}).encode("ascii")
        with open(reading, "rb", buffering=0):
            with open(writing, "wb"), tempfile.TemporaryFile() as sent:
                sent.write(sending)
                sent.seek(0)
                process = subprocess.Popen(
                    [*command, *self.folders],
                    stdin=sent,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    cwd=folder,
                    env=environment(),
                    pass_fds=(writing,),
                    start_new_session=True,
                )
            with process:
                try:
                    yield process, reading
                finally:
                    # Kill only before wait(): after that, another process may get its number.
                    if process.returncode is None:
                        os.killpg(process.pid, signal.SIGKILL)


def environment() -> dict[str, str]:
    """Return the environment of a worker: one thread, and no variables of the user."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


def _run(job: Job, heard: Heard, code: int) -> Run:
    """Return the result of a worker that ended with the exit code `code`."""
    answer, version, printed = heard.answer, heard.answer.version, heard.last_line
    if version is None:
        late = "" if heard.in_time else f" within {START} seconds"
        raise UnavailableError(
            f"onnxruntime does not start{late}: {heard.nonsense or printed or _ended(code)}",
            help=f"See why: {sys.executable} -c 'import onnxruntime'",
        )

    def run(outcome: Outcome, reason: str = "") -> Run:
        sizes = job.feed.sizes if job.feed else {}
        outputs = answer.outputs or ()
        return Run(outcome, version, answer.loaded, reason, outputs, sizes)

    if not heard.in_time:
        return run(Outcome.TOO_LONG)
    if heard.nonsense is not None:
        return run(Outcome.CRASHED, heard.nonsense)
    message = printed if answer.error is None else one_line(_NOISE.sub("", answer.error))
    if not answer.finished or answer.error is not None:
        if answer.memory or _OUT_OF_MEMORY.search(message):
            return run(Outcome.TOO_LARGE, message)
        if answer.finished:
            return run(Outcome.REFUSED, message)
        return run(Outcome.CRASHED, f"{_ended(code)}{f': {message}' if message else ''}")
    if answer.outputs is None:
        return run(Outcome.UNFED, job.unfed)
    return run(Outcome.RAN)


def _ended(code: int) -> str:
    """Return how a process ended, in words."""
    if code >= 0:
        return f"exit {code}"
    names = {s.value: s.name for s in signal.Signals}
    name = names.get(-code, f"signal {-code}")
    # The gate did not kill it: it only kills workers that have answered or timed out.
    by_kernel = ", as the kernel does when the machine runs out of memory"
    return f"{name}{by_kernel if name == 'SIGKILL' else ''}"
