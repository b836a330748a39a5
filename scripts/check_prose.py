#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Find phrases that mark unidiomatic prose: `python scripts/check_prose.py [--count]`.

Prose is Markdown without code, and the comments and string literals of Python files. Each match is
printed as `path:line: phrase: the line`, and the exit status is 1 if there are any. `--count`
prints the matches per thousand words of each folder instead.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]

MARKS: Final = (
    "is none",
    "are none",
    "nobody",
    "somebody",
    "whoever",
    "is told",
    "told of",
    "says so",
    "no matter",
)
"""In lower case; the first letter may be a capital. `is None` is Python."""

CHECKED: Final = ("provenance", "docs", ".")
"""The folders that must be free of marks; of `.`, the pages in it and not below it."""

COUNTED: Final = (*CHECKED, "model", "scripts", "tests")
"""The folders of `--count`."""

_LISTS_MARKS: Final = ("scripts/check_prose.py", "tests/test_prose.py")


@dataclass(frozen=True)
class Allowed:
    """A phrase that may stay in a file.

    Attributes:
        path: The file, relative to the root.
        phrase: One of `MARKS`.
        reason: Why it may stay.
    """

    path: str
    phrase: str
    reason: str


ALLOWED: Final[tuple[Allowed, ...]] = ()


@dataclass(frozen=True)
class Match:
    """A mark in a file.

    Attributes:
        path: The file, relative to the root.
        line: The number of the line in which it begins.
        phrase: The mark.
        text: That line.
    """

    path: str
    line: int
    phrase: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.phrase}: {self.text}"


_HIDDEN: Final = "\0"
"""Replaces code: no word contains it, and no phrase extends across it."""

_MARK: Final = re.compile(
    "|".join(rf"\b[{m[0].upper()}{m[0]}]{m[1:]}\b".replace(" ", r"\s+") for m in MARKS)
)
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_CODE: Final = re.compile(
    r"^[ \t]*(?P<fence>```+|~~~+).*?(?:^[ \t]*(?P=fence)[ \t]*$|\Z)"  # indented in a list
    r"|(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=ticks)(?!`)"
    r"|(?<=\])\([^)\s]*\)"  # the target of a link
    r"|<!--.*?-->",
    re.MULTILINE | re.DOTALL,
)
_LITERAL: Final = re.compile(r"""([A-Za-z]*)(\'{3}|"{3}|'|")((?:\\.|(?!\2).)*)\2""", re.DOTALL)
_FIELD: Final = re.compile(r"\{[^{}]*\}")


def markdown_prose(text: str) -> str:
    """Return `text` with its code hidden, every character and line in its place."""
    return _CODE.sub(lambda code: _hidden(code[0]), text)


def python_prose(source: str) -> str:
    """Return a module with all but its prose hidden, every character and line in its place."""
    lines = [*io.StringIO(source)]
    starts = [0, *accumulate(map(len, lines))]
    comments = [
        (starts[token.start[0] - 1] + token.start[1], token.string)
        for token in tokenize.generate_tokens(iter([*lines, ""]).__next__)
        if token.type == tokenize.COMMENT
    ]
    code, view = list(source), list(_hidden(source))
    for begin, comment in comments:
        code[begin : begin + len(comment)] = " " * len(comment)
    for node in _strings(ast.parse(source)):
        begin, end = (
            starts[line - 1] + len(lines[line - 1].encode()[:in_bytes].decode())
            for line, in_bytes in (
                (node.lineno, node.col_offset),
                (node.end_lineno or 0, node.end_col_offset or 0),
            )
        )
        view[begin:end] = _literals("".join(code[begin:end]))
    for begin, comment in comments:
        view[begin : begin + len(comment)] = markdown_prose(comment.replace("#", " "))
    return "".join(view)


def _strings(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield each string, also one of several literals, but nothing inside an f-string."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str)
        ):
            yield node
        else:
            yield from _strings(node)


def _literals(code: str) -> str:
    """Return the prose of adjacent literals. A single word is a name, unless it is a mark."""
    text = " ".join(literal[3] for literal in _LITERAL.finditer(code)).strip()
    if len(text.split()) < 2 and not _MARK.fullmatch(text):
        return _hidden(code)
    return markdown_prose(_LITERAL.sub(_content, code.replace("\\\n", " \n")))


def _content(literal: re.Match[str]) -> str:
    prefix, quote, content = literal.groups()
    if "r" not in prefix.lower():
        content = re.sub(r"\\[^\n]", "  ", content)
    if "f" in prefix.lower():
        content = content.replace("{{", "  ")
        while _FIELD.search(content):
            content = _FIELD.sub(_field, content)
    return " " * len(prefix + quote) + content + " " * len(quote)


def _field(field: re.Match[str]) -> str:
    """Return the literals in a replacement field of an f-string."""
    shown = list(_hidden(field[0]))
    for literal in _LITERAL.finditer(field[0]):
        shown[literal.start() : literal.end()] = _literals(literal[0])
    return "".join(shown)


def _hidden(text: str) -> str:
    return re.sub(r"\S", _HIDDEN, text)


def prose(path: Path) -> str:
    """Return the prose of a Markdown or Python file."""
    text = path.read_text("utf-8")
    return python_prose(text) if path.suffix == ".py" else markdown_prose(text)


def files(folders: Iterable[str], root: Path = ROOT) -> Iterator[Path]:
    """Yield the Markdown and Python files in the folders, and the pages beside the folders."""
    for folder in folders:
        found = root.glob("*") if folder == "." else (root / folder).rglob("*")
        for path in sorted(found):
            own = path.relative_to(root).as_posix() in _LISTS_MARKS
            if path.suffix in (".md", ".py") and not own:
                yield path


def marks(path: Path, root: Path = ROOT) -> Iterator[Match]:
    """Yield the marks in a file, allowed or not."""
    view = prose(path)
    lines = path.read_text("utf-8").split("\n")
    for found in _MARK.finditer(view):
        line = view.count("\n", 0, found.start())
        phrase = " ".join(found[0].lower().split())
        yield Match(path.relative_to(root).as_posix(), line + 1, phrase, lines[line].strip())


def check(root: Path = ROOT, allowed: Sequence[Allowed] = ALLOWED) -> list[str]:
    """Return what is wrong: marks, and entries of the allow-list that nothing needs."""
    listed = {(entry.path, entry.phrase) for entry in allowed}
    found = [match for path in files(CHECKED, root) for match in marks(path, root)]
    unused = listed - {(match.path, match.phrase) for match in found}
    return [
        *(str(match) for match in found if (match.path, match.phrase) not in listed),
        *(f"{path}: {phrase}: in ALLOWED, but not in the file" for path, phrase in sorted(unused)),
    ]


def count(root: Path = ROOT) -> Iterator[str]:
    """Yield a line a folder: marks, words, marks per thousand words."""
    yield f"{'folder':12} {'marks':>6} {'words':>8} {'per 1,000':>10}"
    for folder in COUNTED:
        paths = [*files([folder], root)]
        found = sum(len([*marks(path, root)]) for path in paths)
        words = sum(len(_WORD.findall(prose(path))) for path in paths)
        yield f"{folder:12} {found:6,} {words:8,} {1000 * found / max(words, 1):10.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the marks or, with `--count`, how many there are; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--count", action="store_true", help="marks per thousand words")
    if parser.parse_args(arguments).count:
        print(*count(), sep="\n")
        return 0
    problems = check()
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
