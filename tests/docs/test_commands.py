# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
import pytest

from provenance.cli import COMMANDS, group
from tests.docs.pages import NAMES, fences, inline_code, read

_ENDS = {";", "|", "||", "&", "&&", ">", ">>", "<", "(", ")"}


def shown_commands(text: str) -> Iterator[str]:
    for language, block in fences(text):
        if language in ("console", "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("$ "):
                    yield line.removeprefix("$ ")


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
    """Why the command line would not understand these words; None where it would."""
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


@pytest.mark.parametrize("page", NAMES)
def test_every_command_that_is_shown_exists_with_its_options(page: str) -> None:
    for line in shown_commands(read(page)):
        for words in calls(line):
            assert problem(words) is None, f"{page}: {line}: {problem(words)}"


@pytest.mark.parametrize("page", NAMES)
def test_every_command_that_is_named_in_a_sentence_exists(page: str) -> None:
    for code in inline_code(read(page)):
        if code.startswith("provenance ") and not code.endswith("…"):
            words = code.split()[1:]
            assert problem(words) is None, f"{page}: `{code}`: {problem(words)}"


def test_the_readme_has_every_command_and_every_exit_code() -> None:
    text = read("README.md")
    for name in COMMANDS:
        assert f"| `provenance {name}` |" in text
    for code in range(5):
        assert f"| {code} |" in text


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
