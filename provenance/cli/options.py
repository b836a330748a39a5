# SPDX-License-Identifier: Apache-2.0
"""The options that all commands share, and the session that they open."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from provenance.cli import streams
from provenance.cli.streams import Output, outputs, path_in, repository_folder
from provenance.errors import InputError
from provenance.frozen import dataclass
from provenance.output.formats import REPORT_FORMATS, RESULT_FORMATS, render
from provenance.output.text import Style, printable

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

ROWS = click.argument("rows", nargs=-1, metavar="[ROW]...")
_COLUMNS: Final = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
BASELINE = click.option(
    "--baseline",
    metavar="SPEC",
    help="Compare with an earlier registry: git:REF, a folder or a registry file. none turns the "
    "comparison off.",
)
RUN = click.option(
    "--run",
    is_flag=True,
    help="Also load and run every model, each in a process with resource limits.",
)


def cores() -> int:
    """Return the number of cores that this process may use, which can be fewer than exist."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Session:
    """The values of the options that all commands share."""

    folder: Path
    config: Path | None
    outputs: tuple[Output, ...]
    quiet: bool
    verbose: bool
    no_color: bool
    offline: bool = False

    def path(self, given: str) -> Path:
        """Return the path of an input file that the user gave.

        Raises:
            InputError: If a result would overwrite that file.
        """
        path = path_in(self.folder, given)
        self._spare(lambda inputs, target: inputs.given_is_read(path, target))
        return path

    def baseline(self, config: Any, given: str | None) -> str | None:
        """Return the baseline that the user gave, or None. A path is resolved relative to DIR.

        Raises:
            InputError: If a result would overwrite a file of the baseline.
        """
        named = config.baseline if given is None else given
        if not named or named == "none" or named.startswith("git:"):
            return given
        path = config.root / named if given is None else path_in(self.folder, given)
        self._spare(lambda inputs, target: inputs.baseline_is_read(config, path, target))
        return None if given is None else str(path)

    def load(self) -> Any:
        """Load the configuration.

        Raises:
            InputError: If it cannot be read, or a result would overwrite a file that the run reads.
        """
        from provenance.config import load

        config = load(self.folder, self.config)
        self._spare(lambda inputs, target: inputs.is_read(config, target))
        return config

    def spare_below(self, folder: Path) -> None:
        """Refuse to write results over the files below `folder` that the run reads.

        Raises:
            InputError: If a result would overwrite such a file.
        """
        self._spare(lambda inputs, target: inputs.is_looked_at(folder, target))

    def _spare(self, is_read: Callable[[Any, Path], bool]) -> None:
        """Refuse to write results over files that the run reads.

        Args:
            is_read: Whether the run reads a file that would be written. It receives the module
                `operations.inputs`, which is imported only if a file would be written, and the
                path of that file.

        Raises:
            InputError: If a result would overwrite a file that the run reads.
        """
        for output in self.outputs:
            if output.path is None or output.append:
                continue
            from provenance.operations import inputs

            if is_read(inputs, output.path):
                raise InputError(
                    f"cannot write {output.path}: this run also reads or writes that file",
                    help="Give --output another file.",
                )

    def emit(
        self, result: T, human: Callable[[T, Style], str], json: Callable[[T], dict[str, Any]]
    ) -> None:
        """Write a result that is not a report to all outputs, as text or as JSON."""
        for output in self.outputs:
            if output.format == "json":
                from provenance.output import machine

                output.write(machine.render(json(result)))
            else:
                style = self._style(output)
                output.write(human(result, style), colour=style.colour)

    def emit_report(self, report: Any) -> int:
        """Write a report to all outputs, each in its format, and return the exit code."""
        folder = repository_folder(report.root)
        for output in self.outputs:
            style = self._style(output)
            text = render(report, output.format, style, verbose=self.verbose, folder=folder)
            output.write(text, colour=style.colour)
        return int(report.exit_code)

    def _style(self, output: Output) -> Style:
        """Return the width and the colours for text that people read in this output."""
        terminal = output.path is None and sys.stdout.isatty()
        colour = terminal and not self.no_color and not os.environ.get("NO_COLOR")
        dumb = os.environ.get("TERM") == "dumb"
        columns = os.environ.get("COLUMNS", "") if output.path is None else ""
        width = 100
        if terminal:
            import shutil

            width = shutil.get_terminal_size((100, 24)).columns
        width = int(columns) if _COLUMNS.fullmatch(columns) else width
        return Style(colour and not dumb, min(width, 140))

    @property
    def interactive(self) -> bool:
        """Whether the command runs in a terminal, where it can ask questions."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def asking(self, *, twice: bool = False) -> Callable[[str], str] | None:
        """Return a function that asks for a passphrase or a PIN without echo.

        Returns None if the command does not run in a terminal.
        """
        if not self.interactive:
            return None
        prompt = functools.partial(
            click.prompt, hide_input=True, confirmation_prompt=twice, err=True
        )
        return lambda what: str(prompt(printable(what)))

    def say(self, text: str) -> None:
        """Print text on standard error, unless --quiet is given."""
        if not self.quiet:
            streams.narrate(text)

    def progress(self) -> AbstractContextManager[Any]:
        """Return a progress bar, which is shown only in a terminal."""
        if self.quiet or not sys.stderr.isatty():
            return nullcontext()
        from provenance.cli.progress_bar import on_standard_error

        return on_standard_error(colour=not self.no_color)


def with_options(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Return a decorator that adds options to a command, whose help lists them in this order."""

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def common(function: F, formats: Sequence[str] = RESULT_FORMATS, *, configured: bool = True) -> F:
    """Add the common options to a command, which receives a `Session` as its first argument."""

    @functools.wraps(function, updated=())
    def open_session(**options: Any) -> Any:
        folder = Path(os.path.realpath(options.pop("folder") or os.curdir))
        if not folder.is_dir():
            raise InputError(f"-C {folder}: not a folder")
        explicit = options.pop("config", None)
        session = Session(
            folder=folder,
            config=folder / explicit if explicit else None,
            outputs=outputs(options.pop("format"), options.pop("output"), formats, folder),
            quiet=options.pop("quiet"),
            verbose=options.pop("verbose"),
            no_color=options.pop("no_color"),
            offline=options.pop("offline"),
        )
        return function(session, **options)

    decorated: Any = with_options(*_options(formats, configured))(open_session)
    decorated.__click_params__ += getattr(function, "__click_params__", [])
    result: F = decorated
    return result


reporting = functools.partial(common, formats=REPORT_FORMATS)
"""As `common`, for a command whose result is a report. Reports have more formats."""

consuming = functools.partial(reporting, configured=False)
"""As `reporting`, for a consumer command, which reads no configuration."""


class _Format(click.Choice[str]):
    """The output formats of a command. Some formats exist only for reports."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        if value in REPORT_FORMATS:
            return (
                f"{value!r} is a format for reports; this command supports "
                f"{' and '.join(self.choices)}."
            )
        return super().get_invalid_choice_message(value, ctx)


_CONFIG: Final = click.option(
    "--config",
    metavar="FILE",
    help="Use this configuration file. Its registry is then relative to DIR, or to the current "
    "folder.",
)


def _options(formats: Sequence[str], configured: bool) -> tuple[Callable[[F], F], ...]:
    return (
        click.option("-C", "folder", metavar="DIR", help="Run as if started in DIR."),
        *((_CONFIG,) if configured else ()),
        click.option(
            "--format",
            type=_Format(formats),
            metavar="FORMAT",
            default="human",
            show_default=True,
            help=f"Format of the result: {', '.join(formats)}.",
        ),
        click.option(
            "--output",
            metavar="[FORMAT=]FILE",
            multiple=True,
            help="Write the result to FILE instead of standard output. With FORMAT=, write it to "
            "FILE in that format as well. May be repeated.",
        ),
        click.option(
            "--offline",
            is_flag=True,
            help="Never use the network; use the cached trusted root.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="Print no progress and no hints."),
        click.option("-v", "--verbose", is_flag=True, help="Show every row."),
        click.option("--no-color", is_flag=True, help="Use no colours, as NO_COLOR does."),
    )
