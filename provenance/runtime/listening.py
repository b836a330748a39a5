# SPDX-License-Identifier: Apache-2.0
"""Listening to a worker: its answer and what it prints, bounded in time and in bytes.

The answer is read strictly: a process that has run a hostile model is not believed. It is one JSON
object a line: `ready`, then `loaded`, then `done`; instead of the last two also `failed`. Anything
else is no answer, and a worker that gives none counts as crashed.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import threading
import time
from concurrent.futures import CancelledError
from dataclasses import field, replace
from typing import Any, Final

from provenance.artifacts.documents.strict_json import JsonError, parse_object
from provenance.artifacts.forms import is_whole
from provenance.frozen import dataclass
from provenance.runtime.run import Output

LONGEST: Final = 4 * 1024 * 1024
"""Bytes of a whole answer: room for some ten thousand outputs."""

PRINTED: Final = 4096
"""Bytes of what a worker printed last that are kept."""

LINE: Final = 300
"""Characters of a message of the runtime that are shown."""

CHUNK: Final = 1 << 16

POLL: Final = 0.25
"""Seconds after which a waiting thread looks whether it is to stop."""

EXIT: Final = 1.0
"""Seconds that a process may take to end after it has closed both of its streams."""


class NoAnswerError(ValueError):
    """What came is not what a worker says."""


@dataclass(frozen=True)
class Answer:
    """What was said so far: until `version` is known, the worker is not ready.

    `outputs` are None where the model was not run; `error` is what the runtime raised, and `memory`
    whether Python itself says that memory ran out.
    """

    version: str | None = None
    loaded: bool = False
    finished: bool = False
    outputs: tuple[Output, ...] | None = None
    error: str | None = None
    memory: bool = False

    def then(self, line: bytes) -> Answer:
        """Return the answer with one more line. Raises NoAnswerError if that cannot come next."""
        try:
            said = parse_object(line)
        except JsonError as e:
            raise NoAnswerError(str(e)) from e
        match said:
            case _ if self.finished:
                pass
            case {"stage": "ready", "version": str(version)} if self.version is None:
                return replace(self, version=version)
            case {"stage": "loaded"} if self.version is not None and not self.loaded:
                return replace(self, loaded=True)
            case {"stage": "done", "outputs": None} if self.loaded:
                return replace(self, finished=True)
            case {"stage": "done", "outputs": list(outputs)} if self.loaded:
                return replace(self, finished=True, outputs=tuple(map(_output, outputs)))
            case {"stage": "failed", "memory": bool(memory), "message": str(error)} if self.version:
                return replace(self, finished=True, error=error, memory=memory)
        raise NoAnswerError("it is not what was asked")


def _output(said: Any) -> Output:
    match said:
        case {"name": str(name), "dtype": None, "shape": None, "nonfinite": None}:
            return Output(name, None, None)
        case {"name": str(name), "dtype": str(dtype), "shape": list(shape), "nonfinite": count} if (
            all(map(_is_count, shape)) and (count is None or _is_count(count))
        ):
            return Output(name, dtype, tuple(shape), count)
    raise NoAnswerError("an output in it is none")


def _is_count(value: Any) -> bool:
    return is_whole(value) and value >= 0


@dataclass
class Heard:
    """What a worker has said: its answer, what was wrong with it, and what it printed last.

    `in_time` says whether it ended, or had answered, before its time was up.
    """

    answer: Answer = field(default_factory=Answer)
    nonsense: str | None = None
    printed: bytes = b""
    in_time: bool = True
    _size: int = 0
    _rest: bytes = b""

    @property
    def last_line(self) -> str:
        """The last line that was printed, as it can be shown."""
        lines = [
            line for line in self.printed.decode("utf-8", "replace").splitlines() if line.strip()
        ]
        return one_line(lines[-1]) if lines else ""

    @property
    def over(self) -> bool:
        """Whether nothing that could still come would be listened to."""
        return self.answer.finished or self.nonsense is not None

    def answered(self, chunk: bytes) -> None:
        """Bytes came on the answering pipe."""
        self._size += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        try:
            if self._size > LONGEST:
                raise NoAnswerError(f"it is longer than {LONGEST:,} bytes")
            for line in lines:
                self.answer = self.answer.then(line)
        except NoAnswerError as e:
            self.nonsense = f"its answer cannot be read: {one_line(str(e))}"

    def said(self, chunk: bytes) -> None:
        """Bytes came on standard error."""
        self.printed = (self.printed + chunk)[-PRINTED:]


def listen(
    process: subprocess.Popen[bytes],
    answers: int,
    *,
    start: float,
    timeout: float,
    stop: threading.Event,
) -> Heard:
    """Return what `process` says until it has answered, ended, or had its time.

    It has `start` seconds to become ready, and from then on `timeout` seconds. Raises
    CancelledError once `stop` is set.
    """
    heard = Heard()
    assert process.stderr is not None
    deadline = time.monotonic() + start
    with selectors.DefaultSelector() as selector:
        selector.register(answers, selectors.EVENT_READ, heard.answered)
        selector.register(process.stderr, selectors.EVENT_READ, heard.said)
        while selector.get_map() and not heard.over:
            left = deadline - time.monotonic()
            if left <= 0:
                heard.in_time = False
                return heard
            if stop.is_set():
                raise CancelledError
            starting = heard.answer.version is None
            for key, _ in selector.select(min(left, POLL)):
                chunk = os.read(key.fd, CHUNK)
                if chunk:
                    key.data(chunk)
                else:
                    selector.unregister(key.fileobj)
            if starting and heard.answer.version is not None:
                deadline = time.monotonic() + timeout
    if not heard.over:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(EXIT)
    return heard


def one_line(text: str) -> str:
    """Foreign text as part of a message: one line, printable, not long."""
    words = "".join(c if c.isprintable() else " " for c in text).split()
    line = " ".join(words)
    return line if len(line) <= LINE else f"{line[: LINE - 1]}…"
