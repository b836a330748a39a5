# SPDX-License-Identifier: Apache-2.0
"""The standard streams, and the files of `--output`. `result` and `narrate` print everything.

Names, paths and arguments are untrusted. Of all control characters only the newline reaches a
terminal or a log, and of all colours only those that this program chose. A closed stream, a reader
that has exited, or a character that the encoding lacks does not change the exit code.
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
"""Formats that people read, written in the encoding of the stream. All others are UTF-8."""

LONGEST: Final = 4_000
"""The maximum length of a line on standard error, in characters."""

_COLOUR: Final = re.compile(r"(\x1b\[[0-9;]*m)")
_COMMAND: Final = re.compile(r"^([ \t]*):(?=:)|(#)(?=#\[)", re.MULTILINE)
"""The start of a workflow command, which a CI runner would execute when it reads the log.

Only the format `github` may print workflow commands.
"""

_PLAIN: Final = str.maketrans({"…": "...", "×": "x", "·": "-"})
"""ASCII replacements for the characters that our own messages use."""

STEP_SUMMARY: Final = "GITHUB_STEP_SUMMARY"  # names the file that GitHub shows on a run's page


def prepare() -> None:
    """Make the standard streams usable, whatever they are connected to.

    A closed stream is replaced with the null device. Otherwise the next file that is opened would
    get the number of the stream, and the output of a library would be written into that file.
    """
    while (free := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(free, True)
    os.close(free)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _tolerant(sys.stdout, 1, BrokenPipeError)
    sys.stderr = _tolerant(sys.stderr, 2, OSError)


def result(text: str, format: str, *, colour: bool = False) -> None:
    """Print a result on standard output.

    Args:
        text: The result.
        format: The format of the result.
        colour: Whether the result may contain colours.

    Raises:
        InputError: If writing fails, for example on a full disk.
    """
    stream = sys.stdout
    try:
        if format in TEXT_FORMATS:
            shown = _shown(text, colour)
            stream.write(
                _fitting(shown if format == "github" else _without_commands(shown), stream)
            )
        elif isinstance(stream, io.TextIOWrapper):
            stream.flush()
            stream.buffer.write(text.encode("utf-8", "backslashreplace"))
        else:
            stream.write(text)
        stream.flush()
    except OSError as e:
        raise InputError(f"cannot write standard output: {e.strerror or e}") from e


def narrate(text: str, *, label: str = "") -> None:
    """Print text on standard error: each line is escaped and gets the label as a prefix."""
    for line in text.split("\n"):
        shown = printable(line)
        cut = shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
        sys.stderr.write(_fitting(f"{label}{cut}\n", sys.stderr))


def _shown(text: str, colour: bool) -> str:
    """Return text with visible control characters, except newlines and, if allowed, colours."""
    if colour:
        parts = _COLOUR.split(text)
        return "".join(p if i % 2 else _shown(p, False) for i, p in enumerate(parts))
    return "\n".join(map(visible, text.split("\n")))


def _without_commands(text: str) -> str:
    """Return text in which no line is a workflow command for a CI runner."""
    return _COMMAND.sub(lambda match: "\\u0023" if match[2] else f"{match[1]}\\u003a", text)


def _fitting(text: str, stream: IO[str]) -> str:
    """Replace our special characters with ASCII if the encoding of the stream lacks any character.

    The stream itself escapes the characters that remain.
    """
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeError:
        return text.translate(_PLAIN)
    return text


class _Tolerant(io.FileIO):
    """A standard stream on which errors of the type `ignored`, such as a closed pipe, are ignored.

    Any other error is raised once, and nothing more is written after it. Otherwise the interpreter
    would try again on exit and replace the exit code.
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
    """Return a tolerant replacement for the standard stream `number`, or `stream` itself."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8", errors="backslashreplace")
    if not isinstance(stream, io.TextIOWrapper):
        return stream  # set by a program that runs this one in its own process
    if os.name == "nt" and stream.isatty():  # a Windows console is written with calls of its own
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
    """A place where the result is written, in one format. `path` is None for standard output."""

    format: str
    path: Path | None = None
    append: bool = False

    def write(self, text: str, *, colour: bool = False) -> None:
        """Write the result; `colour` allows colours on standard output.

        Raises:
            InputError: If writing fails.
        """
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
    """Return the outputs that `--format` and `--output` ask for.

    `FORMAT=FILE` adds a file in that format. A plain `FILE` replaces standard output. Paths are
    relative to `folder`.

    Raises:
        UsageError: If a format is unknown, or two results go to the same file.
        InputError: If a file cannot be written because its folder is missing or it is a folder.
    """
    named = [_named(value, known) for value in given]
    if any(path == "-" for _, path in named):
        raise click.UsageError(
            "--output -: expected a file; the format for standard output is set with --format. "
            "To write to a file named '-', give ./-"
        )
    files = [Output(chosen or format, path_in(folder, path)) for chosen, path in named]
    _check([output.path for output in files if output.path is not None])
    # The files come first, so that they are written even if the reader of standard output exits.
    result = files if any(chosen is None for chosen, _ in named) else [*files, Output(format)]
    summary = os.environ.get(STEP_SUMMARY)
    if summary and Output("github") in result:
        result = [Output("markdown", Path(summary), append=True), *result]
    return tuple(result)


def path_in(folder: Path, given: str) -> Path:
    """Return a path from the user, resolved relative to `folder`.

    If `folder` is the current folder, the path stays as given, so that messages show it that way.
    """
    return Path(given) if folder == Path(os.path.realpath(os.curdir)) else folder / given


def repository_folder(root: Path | None) -> str:
    """Return the path of `root` in its git work tree, or "" if it is the work tree itself.

    Also returns "" if `root` is None or not in a git work tree.
    """
    if root is None:
        return ""
    for above in (root, *root.parents):
        if os.path.exists(above / ".git"):
            return "" if above == root else root.relative_to(above).as_posix()
    return ""


def _named(value: str, known: Collection[str]) -> tuple[str | None, str]:
    """Split a value of `--output` into its format, or None, and its file."""
    name, equals, path = value.partition("=")
    if not equals or "/" in name:
        return None, value
    if name not in known:
        import difflib

        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}={path}?" if near else f"formats are {', '.join(known)}."
        raise click.UsageError(
            f"--output {value}: unknown format {name!r}; {hint} To write to a file of that name, "
            f"give ./{value}"
        )
    if not path:
        raise click.UsageError(f"--output {value}: no file; expected --output {name}=FILE")
    return name, path


def _check(paths: Sequence[Path]) -> None:
    """Check the paths, so that a run fails before its work instead of after it.

    Raises:
        UsageError: If a path is given twice.
        InputError: If a path is a folder, or its folder does not exist.
    """
    seen = set()
    for path in paths:
        real = os.path.realpath(path)
        if real in seen:
            raise click.UsageError(f"--output: {path} is given twice")
        seen.add(real)
        if os.path.isdir(path):
            raise InputError(f"cannot write {path}: it is a folder")
        if not os.path.isdir(path.parent):
            raise InputError(f"cannot write {path}: the folder {path.parent} does not exist")
