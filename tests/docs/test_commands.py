# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
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
    """Yield what is wrong with the commands in the fenced blocks of a page."""
    for line, command in shown_commands(read(page)):
        for words in calls(command):
            if wrong := problem(words):
                yield line, f"{command}: {wrong}"


def wrong_in_sentences(page: str) -> Iterator[Problem]:
    """Yield what is wrong with the commands in the code spans of a page."""
    for line, code in inline_code(read(page)):
        whole = code.startswith("provenance ") and not code.endswith("…")
        if whole and (wrong := problem(code.split()[1:])):
            yield line, f"`{code}`: {wrong}"


def test_every_command_that_is_shown_exists_with_its_options() -> None:
    require_none(problems(wrong_in_blocks))


def test_every_command_that_is_named_in_a_sentence_exists() -> None:
    require_none(problems(wrong_in_sentences))


def test_the_readme_has_every_command_and_every_exit_code() -> None:
    text = read("README.md")
    named = {name for name in COMMANDS if f"| `provenance {name}` |" in text}
    assert named == set(COMMANDS)
    assert [code for code in range(5) if f"| {code} |" not in text] == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("provenance chekc", "no command 'chekc'"),
        ("cd x && provenance check --fast; echo $?", "No such option '--fast'."),
        ("provenance check --format xml > out", "no format 'xml'"),
        ("provenance hash --format sarif", "no format 'sarif'"),
    ],
)
def test_a_wrong_command_is_noticed(line: str, expected: str) -> None:
    (words,) = calls(line)
    assert (problem(words) or "").startswith(expected)


def test_a_wrong_command_is_reported_with_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ provenance check \\\n--format xml\nprovenance x\n"
        "$ provenance chekc; provenance check\n```\n`provenance\nchekc` and `provenance …`\n",
        "utf-8",
    )
    assert problems(wrong_in_blocks, [str(page)]) == [
        f"{page}:2: provenance check  --format xml: no format 'xml'",
        f"{page}:5: provenance chekc; provenance check: no command 'chekc'",
    ]
    assert problems(wrong_in_sentences, [str(page)]) == [
        f"{page}:7: `provenance chekc`: no command 'chekc'"
    ]
