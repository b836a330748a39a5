# SPDX-License-Identifier: Apache-2.0
"""Hostile arguments, options and variables of all commands are escaped before they are printed.

The commands and parameters are taken from click, so new ones are tested automatically.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from provenance.cli import COMMANDS, group
from tests.support.command import Result, run_cli
from tests.support.repository import Repository

HOSTILE = (
    "a\x1b[31m\x1b]0;x\x07\n::error::x\r::error::y\t##[group]z\u202e\u2066\x9b2J\udcff\u2028.onnx"
)
"""Escape and OSC sequences, line ends, commands to runners, bidirectional controls, a C1 control,
half of a surrogate pair (as Python reads a byte that is not UTF-8) and a line separator."""


def command_of(name: str) -> click.Command:
    module = importlib.import_module(f"provenance.cli.{name.replace('-', '_')}_command")
    found: click.Command = module.command
    return found


def typed(command: click.Command) -> Iterator[list[str]]:
    """Yield every way to give `command` the hostile text."""
    yield from ([HOSTILE], [HOSTILE, HOSTILE], [f"--{HOSTILE}"], [f"-{HOSTILE}"])
    for parameter in command.params:
        if not isinstance(parameter, click.Option):
            continue
        for option in (*parameter.opts, *parameter.secondary_opts):
            if option.startswith("--"):
                yield [f"{option}={HOSTILE}"]
            if not parameter.is_flag:
                for value in (HOSTILE, f"json={HOSTILE}", f"file:{HOSTILE}"):
                    yield [option, value]
                yield [option, HOSTILE, HOSTILE]


def variables(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        names = parameter.envvar or ()
        yield from [names] if isinstance(names, str) else names


def assert_harmless(result: Result, typed: object) -> None:
    assert result.code in (0, 1, 2, 3, 4), typed
    assert "Traceback" not in result.err, typed
    for line in (result.out + result.err).split("\n"):
        assert line.isprintable(), (typed, line)
        assert not line.lstrip().startswith("::"), (typed, line)
        assert "##[" not in line, (typed, line)


@pytest.fixture
def folder(repository: Repository) -> Path:
    """Make a repository with a file and a folder of the hostile name."""
    repository.add("m")
    repository.save()
    (repository.root / HOSTILE).write_text("x")
    (repository.root / f"file:{HOSTILE}").mkdir()
    return repository.root


@pytest.mark.parametrize("name", COMMANDS)
def test_arguments_and_variables_of_a_command_are_escaped(folder: Path, name: str) -> None:
    command = command_of(name)
    for arguments in typed(command):
        assert_harmless(run_cli(name, *arguments, cwd=folder), (name, arguments))
    for variable in variables(command):
        assert_harmless(run_cli(name, cwd=folder, env={variable: HOSTILE}), (name, variable))


def test_arguments_before_the_command_are_escaped(folder: Path) -> None:
    for arguments in typed(group):
        assert_harmless(run_cli(*arguments, "check", cwd=folder), arguments)


@pytest.mark.parametrize("format", ["human", "github", "markdown"])
def test_names_in_a_report_are_escaped(folder: Path, format: str) -> None:
    names = ["--config", "provenance.toml", "--format", format]
    assert_harmless(run_cli("check", *names, "--baseline", HOSTILE, cwd=folder), format)
    with (folder / "provenance.toml").open("a") as config:
        config.write(f"\nx{'a' * 200_000} = 1")
    assert_harmless(run_cli("check", *names, cwd=folder), format)


def test_long_name_is_cut(folder: Path) -> None:
    result = run_cli("check", "--config", "x" * 1_000_000, cwd=folder)
    assert result.code == 2
    assert len(result.err) < 10_000


def test_message_of_a_defect_is_escaped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from provenance.operations import check

    def fail(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError(HOSTILE)

    monkeypatch.setattr(check, "check", fail)
    result = run_cli("check", cwd=folder)
    assert result.code == 2
    assert_harmless(Result(2, result.out, result.err.replace("Traceback", "")), "defect")
