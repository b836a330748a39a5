# SPDX-License-Identifier: Apache-2.0
"""Read the answer of a worker and what it prints, with limits on time and size.

The answer is read strictly, because a process that has run a hostile model cannot be trusted. It
has one JSON object per line: `ready`, then `loaded`, then `done`; or `failed` in place of one of
the last two. With any other answer, or with none, the worker counts as crashed.
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
"""Bytes of an answer: room for about ten thousand outputs."""

PRINTED: Final = 4096
"""Bytes that are kept of the end of what a worker prints."""

LINE: Final = 300
"""Characters that are shown of a message of the runtime."""

CHUNK: Final = 1 << 16

POLL: Final = 0.25
"""Seconds between two checks whether to stop."""

EXIT: Final = 1.0
"""Seconds that a process may take to end after it closed both streams."""


class NoAnswerError(ValueError):
    """The bytes are not a valid answer of a worker."""


@dataclass(frozen=True)
class Answer:
    """The answer so far.

    Attributes:
        version: The version of onnxruntime, or None until the worker is ready.
        loaded: Whether the model was loaded.
        finished: Whether the answer is complete.
        outputs: The outputs, or None if the model was not run.
        error: The message of the runtime's error, or None.
        memory: Whether the error is Python's MemoryError.
    """

    version: str | None = None
    loaded: bool = False
    finished: bool = False
    outputs: tuple[Output, ...] | None = None
    error: str | None = None
    memory: bool = False

    def then(self, line: bytes) -> Answer:
        """Return the answer with one more line. Raises NoAnswerError if the line is not valid."""
        try:
            message = parse_object(line)
        except JsonError as e:
            raise NoAnswerError(str(e)) from e
        match message:
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
        raise NoAnswerError("unexpected message")


def _output(value: Any) -> Output:
    match value:
        case {"name": str(name), "dtype": None, "shape": None, "nonfinite": None}:
            return Output(name, None, None)
        case {"name": str(name), "dtype": str(dtype), "shape": list(shape), "nonfinite": count} if (
            all(map(_is_count, shape)) and (count is None or _is_count(count))
        ):
            return Output(name, dtype, tuple(shape), count)
    raise NoAnswerError("not a valid output")


def _is_count(value: Any) -> bool:
    return is_whole(value) and value >= 0


@dataclass
class Heard:
    """What was read from a worker.

    Attributes:
        answer: The answer.
        nonsense: Why the answer is not valid, or None.
        printed: The end of what the worker printed.
        in_time: Whether the worker answered or ended before the timeout.
    """

    answer: Answer = field(default_factory=Answer)
    nonsense: str | None = None
    printed: bytes = b""
    in_time: bool = True
    _size: int = 0
    _rest: bytes = b""

    @property
    def last_line(self) -> str:
        """The last line that the worker printed, ready to be shown."""
        lines = [
            line for line in self.printed.decode("utf-8", "replace").splitlines() if line.strip()
        ]
        return one_line(lines[-1]) if lines else ""

    @property
    def over(self) -> bool:
        """Whether further output can be ignored."""
        return self.answer.finished or self.nonsense is not None

    def answered(self, chunk: bytes) -> None:
        """Handle bytes from the answer pipe."""
        self._size += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        try:
            if self._size > LONGEST:
                raise NoAnswerError(f"longer than {LONGEST:,} bytes")
            for line in lines:
                self.answer = self.answer.then(line)
        except NoAnswerError as e:
            self.nonsense = f"its answer cannot be read: {one_line(str(e))}"

    def said(self, chunk: bytes) -> None:
        """Handle bytes from standard error."""
        self.printed = (self.printed + chunk)[-PRINTED:]


def listen(
    process: subprocess.Popen[bytes],
    answers: int,
    *,
    start: float,
    timeout: float,
    stop: threading.Event,
) -> Heard:
    """Read from `process` until it has answered, ended or timed out.

    It has `start` seconds to become ready, and then `timeout` seconds to answer.

    Raises:
        CancelledError: If `stop` is set.
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
    """Return untrusted text for a message: printable, on one line, and shortened."""
    words = "".join(c if c.isprintable() else " " for c in text).split()
    line = " ".join(words)
    return line if len(line) <= LINE else f"{line[: LINE - 1]}…"
