# SPDX-License-Identifier: Apache-2.0
"""Where a result goes: to standard output, and to the files of `--output`."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import click

from provenance.cli import streams
from provenance.errors import InputError
from provenance.frozen import dataclass

STEP_SUMMARY: Final = "GITHUB_STEP_SUMMARY"  # the file that GitHub shows on the page of a run


@dataclass(frozen=True, slots=True)
class Output:
    """A result in one format. `path` is None for standard output."""

    format: str
    path: Path | None = None
    append: bool = False

    def write(self, text: str, *, colour: bool = False) -> None:
        """Write the result; `colour` says that the text may be coloured. Raises InputError."""
        if self.path is None:
            streams.result(text, self.format, colour=colour)
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
