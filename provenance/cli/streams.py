# SPDX-License-Identifier: Apache-2.0
"""The standard streams, and the files of `--output`. All printing is by `result` or `narrate`.

Names, paths and arguments come from elsewhere: no control character but the newline, and no colour
that this program has not chosen, reaches a terminal or a log. No stream changes the exit code by
being closed, by a reader that has gone, or by an encoding that lacks a character.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from provenance.errors import InputError
from provenance.frozen import dataclass
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

STEP_SUMMARY: Final = "GITHUB_STEP_SUMMARY"  # the file that GitHub shows on the page of a run


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


@dataclass(frozen=True, slots=True)
class Output:
    """A result in one format. `path` is None for standard output."""

    format: str
    path: Path | None = None
    append: bool = False

    def write(self, text: str, *, colour: bool = False) -> None:
        """Write the result; `colour` says that the text may be coloured. Raises InputError."""
        if self.path is None:
            result(text, self.format, colour=colour)
        elif self.append:
            from provenance.artifacts.file_system import explained

            doing = f"cannot write {self.path} ({STEP_SUMMARY})"
            with explained(doing), self.path.open("a", encoding="utf-8") as stream:
                stream.write(text)
        else:
            from provenance.artifacts.writing import write_named_file

            write_named_file(self.path, text.encode("utf-8"))


def outputs(
    format: str, given: Sequence[str], known: Collection[str], folder: Path
) -> tuple[Output, ...]:
    """Where results go by `--format` and every `--output`; paths are relative to `folder`.

    `FORMAT=FILE` adds a file in that format. A plain `FILE` takes the place of standard output.

    Raises:
        UsageError: A format is unknown, or two results go to one file.
        InputError: A file cannot be written where it is to be.
    """
    named = [_named(value, known) for value in given]
    if any(path == "-" for _, path in named):
        raise click.UsageError(
            "--output -: standard output has the result in the format of --format; a file of that "
            "name is ./-"
        )
    files = [Output(chosen or format, path_in(folder, path)) for chosen, path in named]
    _check([output.path for output in files if output.path is not None])
    # Files first: a reader of standard output that has gone takes no file with it.
    found = files if any(chosen is None for chosen, _ in named) else [*files, Output(format)]
    summary = os.environ.get(STEP_SUMMARY)
    if summary and Output("github") in found:
        found = [Output("markdown", Path(summary), append=True), *found]
    return tuple(found)


def path_in(folder: Path, given: str) -> Path:
    """A path as the user gave it, relative to DIR; shown as given where DIR is this folder."""
    return Path(given) if folder == Path(os.path.realpath(os.curdir)) else folder / given


def repository_folder(root: Path | None) -> str:
    """Where `root` lies in the git work tree that it is part of, "" where it is the same."""
    if root is None:
        return ""
    for above in (root, *root.parents):
        if os.path.exists(above / ".git"):
            return "" if above == root else root.relative_to(above).as_posix()
    return ""


def _named(value: str, known: Collection[str]) -> tuple[str | None, str]:
    """The format, where one is named, and the file of an `--output`."""
    name, equals, path = value.partition("=")
    if not equals or "/" in name:
        return None, value
    if name not in known:
        import difflib

        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}={path}?" if near else f"formats are {', '.join(known)}."
        raise click.UsageError(
            f"--output {value}: no format {name!r}; {hint} A file of that name is ./{value}"
        )
    if not path:
        raise click.UsageError(f"--output {value}: name a file: --output {name}=FILE")
    return name, path


def _check(paths: Sequence[Path]) -> None:
    """Fail before the work rather than after it."""
    seen = set()
    for path in paths:
        real = os.path.realpath(path)
        if real in seen:
            raise click.UsageError(f"--output: {path} is given twice")
        seen.add(real)
        if os.path.isdir(path):
            raise InputError(f"cannot write {path}: it is a folder")
        if not os.path.isdir(path.parent):
            raise InputError(f"cannot write {path}: there is no folder {path.parent}")
