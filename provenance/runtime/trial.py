# SPDX-License-Identifier: Apache-2.0
"""Running one model: in a process of its own, which has one model, little time and little memory.

The worker gets a folder with the model's files, a nearly empty environment, no terminal and a
process group of its own, which is killed as soon as it has answered or its time is up.
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
"""Seconds that starting Python and importing onnxruntime may take: 0.2 on an idle machine."""

_OUT_OF_MEMORY: Final = re.compile(r"\bbad_alloc\b|\bbad allocation\b|[Ff]ailed to allocate memory")
"""How C++ and onnxruntime say it, in an exception or before they abort."""

_NOISE: Final = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : (Load model from .*? failed:)?\s*"
    r"|\S*/onnxruntime_src/\S+:\d+ [^)]*\) "
)
"""What onnxruntime's messages hold besides what happened: their kind, the place in its source."""

_KEPT: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What some builds of Python need in order to start."""


@dataclass(frozen=True)
class Job:
    """One model to run: a file name, and what it is fed.

    Where `feed` is None, the model is only loaded, and `unfed` says why.
    """

    model: str
    feed: Feed | None
    unfed: str = ""


@dataclass(frozen=True)
class Runtime:
    """An installed onnxruntime. `folders` are those that a worker imports it and numpy from."""

    folders: tuple[str, ...]

    @classmethod
    def find(cls) -> Runtime:
        """Return the one that this Python would import. Raises UnavailableError."""
        if os.name != "posix":
            raise UnavailableError(
                "models are run on POSIX systems only", help="Run it on Linux, or without --run."
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
        """Run the model of `job`, which lies in `folder` with nothing but its own files.

        Raises UnavailableError if onnxruntime does not start, and CancelledError if `stop` is set.
        """
        with self._worker(job, folder, settings) as (process, answers):
            heard = listen(process, answers, start=START, timeout=settings.timeout, stop=stop)
        return _run(job, heard, process.returncode)

    @contextlib.contextmanager
    def _worker(
        self, job: Job, folder: Path, settings: RunSettings
    ) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """A worker at its job, and the descriptor on which it answers. Ends with its group."""
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
                    # Only while it was not waited for: until then its number is its own.
                    if process.returncode is None:
                        os.killpg(process.pid, signal.SIGKILL)


def environment() -> dict[str, str]:
    """The environment of a worker: one thread, and nothing of the user's."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


def _run(job: Job, heard: Heard, code: int) -> Run:
    """What follows from what was heard of a worker that ended with the exit code `code`."""
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
    said = printed if answer.error is None else one_line(_NOISE.sub("", answer.error))
    if not answer.finished or answer.error is not None:
        if answer.memory or _OUT_OF_MEMORY.search(said):
            return run(Outcome.TOO_LARGE, said)
        if answer.finished:
            return run(Outcome.REFUSED, said)
        return run(Outcome.CRASHED, f"{_ended(code)}{f': {said}' if said else ''}")
    if answer.outputs is None:
        return run(Outcome.UNFED, job.unfed)
    return run(Outcome.RAN)


def _ended(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit {code}"
    names = {s.value: s.name for s in signal.Signals}
    name = names.get(-code, f"signal {-code}")
    # Not ours: a worker that we kill has answered, or has had its time.
    by_kernel = ", as the kernel does where the machine has no memory left"
    return f"{name}{by_kernel if name == 'SIGKILL' else ''}"
