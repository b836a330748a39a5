# SPDX-License-Identifier: Apache-2.0
"""The options that commands share, and the session that they open."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from provenance.errors import InputError
from provenance.output.text import Style

F = TypeVar("F", bound=Callable[..., Any])

ROWS = click.argument("rows", nargs=-1, metavar="[ROW]...")
SIGNER = click.option(
    "--signer",
    envvar="PROVENANCE_SIGNER",
    metavar="URI",
    help="Who signs: file:PATH, an ECDSA P-256 private key in PEM. Also PROVENANCE_SIGNER.",
)


@dataclass(frozen=True)
class Session:
    """How a command was asked to run."""

    folder: Path
    config: Path | None
    format: str
    output: Path | None
    quiet: bool
    verbose: bool
    no_color: bool
    offline: bool = False

    def path(self, given: str) -> Path:
        """A path as the user gave it, relative to DIR; shown as given where DIR is this folder."""
        return (
            Path(given) if self.folder == Path(os.path.realpath(os.curdir)) else self.folder / given
        )

    def signer(self, uri: str | None) -> str | None:
        """A signer's URI, a relative file in it relative to DIR as all paths are."""
        if uri is None or not uri.startswith("file:"):
            return uri
        return f"file:{self.path(uri.removeprefix('file:'))}"

    def load(self) -> Any:
        """The configuration. Raises InputError."""
        from provenance.config import load

        return load(self.folder, self.config)

    @property
    def style(self) -> Style:
        """How text for people is shown on standard output."""
        terminal = sys.stdout.isatty() and self.output is None
        colour = terminal and not self.no_color and not os.environ.get("NO_COLOR")
        dumb = os.environ.get("TERM") == "dumb"
        width = shutil.get_terminal_size((100, 24)).columns if terminal else 100
        return Style(colour and not dumb, min(width, 140))

    def emit(self, text: str) -> None:
        """Write the result: to standard output, or to the file of --output."""
        if self.output is None:
            try:
                click.echo(text, nl=False)
                sys.stdout.flush()
            except BrokenPipeError as e:
                # Left to click, this would exit with 1, the code of findings.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise InputError("nobody reads standard output any more") from e
            return
        try:
            self.output.write_text(text, "utf-8")
        except OSError as e:
            raise InputError(f"cannot write {self.output}: {e.strerror}") from e

    def emit_report(self, report: Any) -> int:
        """Write a report in the chosen format; its exit code."""
        if self.format == "json":
            from provenance.output import machine

            self.emit(machine.render(machine.report(report)))
        else:
            from provenance.output import human

            self.emit(human.render(report, self.style, verbose=self.verbose))
        code: int = report.exit_code
        return code

    def say(self, text: str) -> None:
        """Narrate on standard error."""
        if not self.quiet:
            click.echo(text, err=True)

    @contextmanager
    def progress(self) -> Iterator[Any]:
        """A progress bar, on a terminal only."""
        if self.quiet or not sys.stderr.isatty():
            yield None
            return
        from provenance.cli.progress_bar import Bar

        with Bar(colour=not self.no_color).shown() as bar:
            yield bar


def common(function: F) -> F:
    """The options of every command; the command receives a `Session` as its first argument."""

    def open_session(**options: Any) -> Any:
        folder = Path(os.path.realpath(options.pop("folder") or os.curdir))
        if not folder.is_dir():
            raise InputError(f"-C {folder}: not a folder")
        explicit = options.pop("config")
        output = options.pop("output")
        session = Session(
            folder=folder,
            config=folder / explicit if explicit else None,
            format=options.pop("format"),
            output=Path(output) if output else None,
            quiet=options.pop("quiet"),
            verbose=options.pop("verbose"),
            no_color=options.pop("no_color"),
            offline=options.pop("offline"),
        )
        return function(session, **options)

    open_session.__name__ = function.__name__
    open_session.__doc__ = function.__doc__
    decorated: Any = open_session
    for option in reversed(_COMMON):
        decorated = option(decorated)
    decorated.__click_params__ = getattr(function, "__click_params__", []) + getattr(
        decorated, "__click_params__", []
    )
    result: F = decorated
    return result


_COMMON = (
    click.option("-C", "folder", metavar="DIR", help="Run as if started in DIR."),
    click.option(
        "--config",
        metavar="FILE",
        help="This configuration; its registry is then relative to DIR, or the current folder.",
    ),
    click.option(
        "--format",
        type=click.Choice(["human", "json"]),
        default="human",
        show_default=True,
        help="How the result is written.",
    ),
    click.option("--output", metavar="FILE", help="Write the result to FILE."),
    click.option(
        "--offline",
        is_flag=True,
        help="Never use the network: take the trusted root that is cached.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="No narration, no progress bar."),
    click.option("-v", "--verbose", is_flag=True, help="Show every row."),
    click.option("--no-color", is_flag=True, help="No colour; NO_COLOR does the same."),
)
