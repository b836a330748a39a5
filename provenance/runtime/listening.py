# SPDX-License-Identifier: Apache-2.0
"""Listening to a worker: its answer and what it prints, bounded in time and in bytes."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import threading
import time
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Final

from provenance.runtime.answer import LONGEST, Answer, NoAnswerError

PRINTED: Final = 4096
"""Bytes of what a worker printed last that are kept."""

LINE: Final = 300
"""Characters of a message of the runtime that are shown."""

CHUNK: Final = 1 << 16

POLL: Final = 0.25
"""Seconds after which a waiting thread looks whether it is to stop."""

EXIT: Final = 1.0
"""Seconds that a process may take to end after it has closed both of its streams."""


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
    """Everything that `process` says until it has answered, ended, or had its time.

    It has `start` seconds to become ready, and from then on `timeout` seconds.

    Raises:
        CancelledError: `stop` was set.
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
