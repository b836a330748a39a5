# SPDX-License-Identifier: Apache-2.0
"""Every command that a page shows or names exists, with its options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from provenance.cli import COMMANDS, group
from tests.docs.pages import Problem, blocks, inline_code, problems, read, require_none

_ENDS = {";", "|", "||", "&", "&&", ">", ">>", "<", "(", ")"}


def shown_commands(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each shell command in a fenced block."""
    for first, language, block in blocks(text):
        if language in ("console", "sh"):
            for match in re.finditer(r"^\$ ((?:\\\n|.)*)", block, re.MULTILINE):
                line = first + block.count("\n", 0, match.start())
                yield line, match[1].replace("\\\n", " ")


def calls(line: str) -> Iterator[list[str]]:
    """The words of every call of `provenance` in a shell line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in (*lexer, ";"):
        if word in _ENDS:
            if words[:1] == ["provenance"]:
                yield words[1:]
            words = []
        else:
            words.append(word)


def problem(words: list[str]) -> str | None:
    """Return why the command line rejects these words, or None."""
    command: click.Command = group
    context = click.Context(group, info_name="provenance")
    if words and not words[0].startswith("-"):
        found = group.get_command(context, words[0])
        if found is None:
            return f"no command {words[0]!r}"
        command, words = found, words[1:]
    context = click.Context(command, info_name=command.name)
    try:
        options, _, _ = command.make_parser(context).parse_args(list(words))
    except click.UsageError as e:
        return e.format_message()
    chosen = options.get("format")
    types = [p.type for p in command.params if p.name == "format"]
    known = {c for t in types if isinstance(t, click.Choice) for c in t.choices}
    return None if chosen is None or chosen in known else f"no format {chosen!r}"


def wrong_in_blocks(page: str) -> Iterator[Problem]:
    for line, command in shown_commands(read(page)):
        for words in calls(command):
            if wrong := problem(words):
                yield line, f"{command}: {wrong}"


def wrong_in_sentences(page: str) -> Iterator[Problem]:
    for line, code in inline_code(read(page)):
        whole = code.startswith("provenance ") and not code.endswith("…")
        if whole and (wrong := problem(code.split()[1:])):
            yield line, f"`{code}`: {wrong}"


@pytest.mark.parametrize("find", [wrong_in_blocks, wrong_in_sentences])
def test_every_command_exists_with_its_options(find: Callable[[str], Iterator[Problem]]) -> None:
    require_none(problems(find))


def test_the_readme_has_every_command_and_every_exit_code() -> None:
    text = read("README.md")
    cells = [*(f"`provenance {name}`" for name in COMMANDS), *range(5)]
    assert [cell for cell in cells if f"| {cell} |" not in text] == []


@pytest.mark.parametrize(
    ("find", "text", "expected"),
    [
        (
            wrong_in_blocks,
            "$ cd x && provenance check --zzz; echo $?",
            ["2: cd x && provenance check --zzz; echo $?: No such option '--zzz'."],
        ),
        (
            wrong_in_blocks,
            "\n$ provenance hash \\\n--format sarif > out; provenance check\nprovenance x",
            ["3: provenance hash  --format sarif > out; provenance check: no format 'sarif'"],
        ),
        (wrong_in_sentences, "$ provenance chekc", []),
        (
            wrong_in_sentences,
            "```\n`provenance\nchekc` and `provenance …`\n```",
            ["3: `provenance chekc`: no command 'chekc'"],
        ),
    ],
)
def test_a_wrong_command_is_reported_with_its_line(
    tmp_path: Path, find: Callable[[str], Iterator[Problem]], text: str, expected: list[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```console\n{text}\n```\n", "utf-8")
    assert [p.removeprefix(f"{page}:") for p in problems(find, [str(page)])] == expected
