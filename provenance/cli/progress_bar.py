# SPDX-License-Identifier: Apache-2.0
"""The progress bar: one line for the current stage, and one for each large file being read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Lines
from rich.text import Text

from provenance.evidence.progress import Progress
from provenance.output.text import printable, size


class _Done(ProgressColumn):
    """A column that shows how many steps of a stage, or bytes of a file, are done."""

    def render(self, task: Task) -> Text:
        if task.fields.get("in_bytes"):
            return Text(f"{size(int(task.completed))} of {size(int(task.total or 0))}")
        return Text(f"{int(task.completed):,} of {int(task.total or 0):,}")


@contextmanager
def on_standard_error(*, colour: bool) -> Iterator[Bar]:
    """Show a progress bar while the block runs, and remove it afterwards."""
    bar = Bar(Console(stderr=True, no_color=not colour or None))
    with bar.lines:
        yield bar


class Bar(Progress):
    """A progress bar on a console. It is visible while `lines` is entered."""

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            _Done(),
            TimeElapsedColumn(),
        )
        self.lines = Lines(*columns, console=console, transient=True)
        self._stage: TaskID | None = None
        self._what = ""

    def begin(self, what: str, steps: int) -> None:
        """Show a new stage in place of the last one, or change the length of the current one."""
        if self._stage is not None and what == self._what:
            self.lines.update(self._stage, total=steps)
            return
        if self._stage is not None:
            self.lines.remove_task(self._stage)
        self._stage, self._what = self.lines.add_task(what, total=steps), what

    def advance(self) -> None:
        """Move the bar of the stage by one step."""
        if self._stage is not None:
            self.lines.advance(self._stage)

    @contextmanager
    def large_file(self, path: str, size: int) -> Iterator[Callable[[int], None]]:
        """Show a line for the file, which advances with the number of bytes read."""
        name = printable(path.rpartition("/")[2])
        task = self.lines.add_task(f"  {name[:40]}", total=size, in_bytes=True)
        try:
            yield lambda count: self.lines.advance(task, count)
        finally:
            self.lines.remove_task(task)
