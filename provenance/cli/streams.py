# SPDX-License-Identifier: Apache-2.0
"""The standard streams: everything that is printed goes through `result` or `narrate`.

Names, paths and arguments come from elsewhere: no control character but the newline, and no colour
that this program has not chosen, reaches a terminal or a log. No stream changes the exit code by
being closed, by a reader that has gone, or by an encoding that lacks a character.
"""

from __future__ import annotations

import io
import os
import re
import sys
from typing import IO, TYPE_CHECKING, Any, Final

from provenance.errors import InputError
from provenance.output.text import printable, visible

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

TEXT_FORMATS: Final = frozenset({"human", "github"})
"""Formats that are read by people, in the encoding of the stream. All others are UTF-8."""

LONGEST: Final = 4_000
"""Characters of a line on standard error."""

_COLOUR: Final = re.compile(r"(\x1b\[[0-9;]*m)")
_COMMAND: Final = re.compile(r"^([ \t]*):(?=:)|(#)(?=#\[)", re.MULTILINE)
"""What a runner obeys where it reads a log; only the format that is made for it may say it."""

_PLAIN: Final = str.maketrans({"…": "...", "×": "x", "·": "-"})
"""How our own words are written where the encoding of a stream has no such characters."""


def prepare() -> None:
    """Make the standard streams usable, whatever they are connected to.

    A closed stream is replaced by the null device: otherwise the next file that is opened takes its
    number, and what a library prints is written into that file.
    """
    while (free := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(free, True)
    os.close(free)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _tolerant(sys.stdout, 1, BrokenPipeError)
    sys.stderr = _tolerant(sys.stderr, 2, OSError)


def result(text: str, format: str, *, colour: bool = False) -> None:
    """Print a result; `colour` allows colours in it. Raises InputError, as on a full disk."""
    stream = sys.stdout
    try:
        if format in TEXT_FORMATS:
            shown = _shown(text, colour)
            stream.write(_fitting(shown if format == "github" else _unheard(shown), stream))
        elif isinstance(stream, io.TextIOWrapper):
            stream.flush()
            stream.buffer.write(text.encode("utf-8", "backslashreplace"))
        else:
            stream.write(text)
        stream.flush()
    except OSError as e:
        raise InputError(f"cannot write standard output: {e.strerror or e}") from e


def narrate(text: str, *, label: str = "") -> None:
    """Print text on standard error, each of its lines escaped, behind a label of our own."""
    for line in text.split("\n"):
        shown = printable(line)
        cut = shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
        sys.stderr.write(_fitting(f"{label}{cut}\n", sys.stderr))


def _shown(text: str, colour: bool) -> str:
    """Return text with all control characters visible but newlines and chosen colours."""
    if colour:
        parts = _COLOUR.split(text)
        return "".join(p if i % 2 else _shown(p, False) for i, p in enumerate(parts))
    return "\n".join(map(visible, text.split("\n")))


def _unheard(text: str) -> str:
    """Return text in which no line is a command to the runner whose log it is written to."""
    return _COMMAND.sub(lambda found: "\\u0023" if found[2] else f"{found[1]}\\u003a", text)


def _fitting(text: str, stream: IO[str]) -> str:
    """Return text that the encoding of a stream can express; what it lacks is escaped there."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeError:
        return text.translate(_PLAIN)
    return text


class _Tolerant(io.FileIO):
    """A standard stream on which a reader that has gone is no error.

    After another error, which is raised once, nothing more is written: the interpreter would
    otherwise try again when it exits, and replace the exit code.
    """

    def __init__(self, number: int, ignored: type[OSError]) -> None:
        super().__init__(number, "w", closefd=False)
        self._ignored = ignored
        self._failed = False

    def write(self, data: WriteableBuffer, /) -> int:
        """Write bytes, or drop them."""
        size = memoryview(data).nbytes
        if self._failed:
            return size
        try:
            return super().write(data) or 0
        except OSError as e:
            self._failed = True
            if not isinstance(e, self._ignored):
                raise
            return size


def _tolerant(stream: Any, number: int, ignored: type[OSError]) -> Any:
    """Return `stream`, or what takes its place where it is the standard stream `number`."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8", errors="backslashreplace")
    if not isinstance(stream, io.TextIOWrapper):
        return stream  # of a program that runs this one in its own process
    if os.name == "nt" and stream.isatty():  # a console takes UTF-16, by calls of its own
        stream.reconfigure(errors="backslashreplace")
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Tolerant(number, ignored)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=number == 2 or stream.line_buffering,
        write_through=stream.write_through,
    )
