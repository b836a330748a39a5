# SPDX-License-Identifier: Apache-2.0
"""Read git's configuration files as git does (git-config(1), section "Syntax").

The `git` command is not run: it may be missing, or refuse the checkout. Conditional includes are
ignored.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

Read: TypeAlias = Callable[[Path], str | None]
"""Returns the text of a file, or None if it cannot be read."""

_INCLUDES: Final = 10
"""Number of included files that are followed, as in git."""

_BLANK: Final = re.compile(r"(?:[ \t\n\r]+|[#;][^\n]*)*+")
_SECTION: Final = re.compile(r'\[([A-Za-z0-9.-]+)(?:[ \t\r]+"((?:[^"\\\n]|\\[^\n])*+)")?\]')
_KEY: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]*+)[ \t]*+")
_PLAIN: Final = re.compile(r'[^\\"#;\n \t\r]+')
_SPACE: Final = " \t\r"
_ESCAPES: Final = {"n": "\n", "t": "\t", "b": "\b", "\\": "\\", '"': '"'}


class GitConfigError(ValueError):
    """git would reject the file."""


def values(path: Path, read: Read) -> Iterator[tuple[str, str | None]]:
    """Yield the settings of the file at `path` and of the files that it includes, in order.

    Names are `section.subsection.key`, with section and key in lower case. The value of a key
    without `=` is None.

    Raises:
        GitConfigError: If git would reject one of the files.
    """
    return _values(path, read, [_INCLUDES])


def _values(path: Path, read: Read, left: list[int]) -> Iterator[tuple[str, str | None]]:
    text = read(path)
    for name, value in parse(text) if text is not None else ():
        yield name, value
        if name == "include.path" and value:
            left[0] -= 1
            if left[0] < 0:
                raise GitConfigError("too many includes")
            yield from _values(path.parent / os.path.expanduser(value), read, left)


def parse(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield the settings in the text of one file, as `values` does. Raises GitConfigError."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    section = ""
    at = _after(_BLANK, text, 0)
    while at < len(text):
        if text[at] == "[":
            match = _SECTION.match(text, at)
            if match is None:
                raise GitConfigError("not a section")
            section, at = match[1].lower(), match.end()
            if match[2] is not None:
                section += "." + re.sub(r"\\(.)", r"\1", match[2])
        else:
            key = _KEY.match(text, at)
            if key is None:
                raise GitConfigError("expected a section or a key")
            at, value = key.end(), None
            if text[at : at + 1] == "=":
                value, at = _value(text, at + 1)
            elif at < len(text) and text[at] != "\n":
                raise GitConfigError(f"expected `=` after {key[1]!r}")
            name = key[1].lower()
            yield f"{section}.{name}" if section else name, value
        at = _after(_BLANK, text, at)


def _value(text: str, at: int) -> tuple[str, int]:
    """Return the value that begins at the offset `at`, and the offset of the end of its line."""
    parts: list[str] = []
    kept = 0  # number of parts without trailing white space
    quoted = False
    while at < len(text) and text[at] != "\n":
        char = text[at]
        if char in _SPACE and not quoted:
            if kept:
                parts.append(char)
            at += 1
            continue
        if char in "#;" and not quoted:
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
            break
        if char == "\\":
            follows = text[at + 1 : at + 2]
            at += 2
            if follows == "\n" or not follows:
                continue
            if follows not in _ESCAPES:
                raise GitConfigError(f"unknown escape \\{follows}")
            parts.append(_ESCAPES[follows])
        elif char == '"':
            quoted = not quoted
            at += 1
            continue
        else:
            plain = _PLAIN.match(text, at)
            parts.append(plain[0] if plain else char)
            at += len(parts[-1])
        kept = len(parts)
    if quoted:
        raise GitConfigError("a quote is not closed")
    return "".join(parts[:kept]), at


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    assert match is not None  # it matches the empty string
    return match.end()
