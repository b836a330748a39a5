# SPDX-License-Identifier: Apache-2.0
"""The progress bar: shown only in a terminal, and advancing with the bytes of a large file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import pytest
from rich.console import Console

from provenance.artifacts import digest
from provenance.cli.progress_bar import Bar
from provenance.evidence import progress as gate_progress
from tests.support.command import run_cli
from tests.support.keys import KeyPair
from tests.support.repository import Repository
from tests.support.terminal import run_on_terminal

SHOW_CURSOR = "\x1b[?25h"
ERASE_LINE = "\x1b[2K"


def test_bar_is_shown_on_a_terminal_and_erased(full: Repository) -> None:
    result = run_on_terminal("check", cwd=full.root, stream="stderr")
    assert result.code == 0
    for stage in ("judging rows", "judging rules"):
        assert stage in result.err
    assert result.out.splitlines()[-1].startswith("OK")
    assert "\x1b" not in result.out
    assert result.err.rindex(ERASE_LINE) > result.err.rindex("judging rules")
    assert SHOW_CURSOR in result.err


def test_bar_names_the_stages_of_a_release(full: Repository, key: KeyPair) -> None:
    result = run_on_terminal("release", "--signer", key.signer, cwd=full.root, stream="stderr")
    assert result.code == 0
    for stage in ("preparing statements", "signing documents", "signing the summary"):
        assert stage in result.err


def test_bar_needs_a_terminal_and_can_be_switched_off(full: Repository) -> None:
    for command in ("check", "hash"):
        assert run_on_terminal(command, cwd=full.root, stream="stdout").err == ""
    assert run_cli("check", "--quiet", cwd=full.root, terminal=True).err == ""
    assert "\x1b" in run_cli("check", cwd=full.root, terminal=True, env={"TERM": "xterm"}).err
    assert "\x1b" not in run_cli("check", cwd=full.root, terminal=True, env={"TERM": "dumb"}).err


class Shown:
    """A progress bar on a console of the test."""

    def __init__(self) -> None:
        self._text = io.StringIO()
        self.bar = Bar(Console(file=self._text, force_terminal=True, width=100))

    @property
    def text(self) -> str:
        self.bar.lines.refresh()
        return self._text.getvalue()


def test_line_of_a_file_advances_with_its_bytes_and_escapes_its_name() -> None:
    shown = Shown()
    name = "model/\x1b[2J[bold]w"
    with shown.bar.lines, shown.bar.large_file(name, 1 << 30) as advance:
        assert "\\u001b[2J[bold]w" in shown.text
        advance(1 << 28)
        assert "256.0 MiB of 1.0 GiB" in shown.text
        advance(1 << 28)
        assert "512.0 MiB of 1.0 GiB" in shown.text


def test_stage_replaces_the_last_one_and_may_grow() -> None:
    shown = Shown()
    with shown.bar.lines:
        shown.bar.advance()  # before there is a stage
        shown.bar.begin("hashing files", 1_000)
        shown.bar.advance()
        shown.bar.begin("hashing files", 2_000)
        assert "1 of 2,000" in shown.text
        shown.bar.begin("reading rows", 3)
        assert [task.description for task in shown.bar.lines.tasks] == ["reading rows"]


class Counted(gate_progress.Progress):
    def __init__(self) -> None:
        self.large: dict[str, list[int]] = {}

    @contextmanager
    def large_file(self, path: str, size: int) -> Iterator[Callable[[int], None]]:
        yield self.large.setdefault(path, []).append


@pytest.mark.parametrize("size", [0, 1, gate_progress.LARGE - 1, gate_progress.LARGE])
def test_only_a_large_file_reports_its_progress(size: int) -> None:
    counted = Counted()
    content = bytes(size)
    with counted.reading(cast(BinaryIO, io.BytesIO(content)), "w.data", size) as stream:
        assert digest.of_stream(stream, size) == digest.of_bytes(content)
    assert sum(counted.large.get("w.data", [])) == (size if size == gate_progress.LARGE else 0)
