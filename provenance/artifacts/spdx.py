# SPDX-License-Identifier: Apache-2.0
"""SPDX license expressions: which ids are on the SPDX list, and which licenses can be chosen.

The library's index is read when a license is first looked up. Its parser, which takes 50 ms to
build, is used only for expressions that are not a single id.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Container, Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from provenance.frozen import dataclass

if TYPE_CHECKING:
    from license_expression import Licensing

COMMON: Final = frozenset(
    (
        *("Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MPL-2.0", "0BSD", "Zlib"),
        *("GPL-2.0-only", "GPL-3.0-only", "LGPL-2.1-only", "LGPL-3.0-only", "AGPL-3.0-only"),
        *("BSD-2-Clause-Patent", "BSL-1.0", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0"),
        *("CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC-BY-NC-ND-4.0", "Unlicense"),
    )
)
"""Common licenses of the SPDX list. Looking them up does not read the index, which takes 13 ms."""

MAX_EXPRESSION: Final = 1000
"""Characters of a license expression that are parsed."""

OWN: Final = ("LicenseRef-", "DocumentRef-", "AdditionRef-")
"""Prefixes of ids that are, by design, not on the SPDX list."""


Alternatives: TypeAlias = frozenset[frozenset[str]]
"""The choices that an expression offers. Each is the set of licenses that apply together."""

_MAX_ALTERNATIVES: Final = 64  # (A OR B) AND (C OR D) AND … doubles with each pair


class NotAnExpressionError(ValueError):
    """Text that is not an SPDX license expression."""


class Kind(enum.Enum):
    """What an id denotes: an exception after `WITH`, a license everywhere else."""

    LICENSE = "license"
    EXCEPTION = "exception"

    @property
    def own(self) -> str:
        """The prefix of a custom id of this kind."""
        return "LicenseRef-" if self is Kind.LICENSE else "AdditionRef-"


_IDSTRING: Final = "[A-Za-z0-9.-]+"
_OWN: Final = {
    kind: re.compile(rf"(?:DocumentRef-{_IDSTRING}:)?{kind.own}{_IDSTRING}") for kind in Kind
}
"""The form of custom ids (SPDX 3.0, annex on license expressions)."""


@dataclass(frozen=True, slots=True)
class UnknownId:
    """An id in an expression that is not on the SPDX list of its kind."""

    name: str
    kind: Kind


@cache
def known_ids(kind: Kind = Kind.LICENSE) -> frozenset[str]:
    """Return the ids on the SPDX list of licenses, or of exceptions."""
    from license_expression import get_license_index

    found = set()
    for entry in get_license_index():
        # A deprecated "exception" is the id of a license with an exception, so it is a license.
        is_exception = entry.get("is_exception") and not entry.get("is_deprecated")
        if entry.get("spdx_license_key") and bool(is_exception) is (kind is Kind.EXCEPTION):
            found.add(entry["spdx_license_key"])
    return frozenset(found)


def _is_listed(id: str) -> bool:
    return id in COMMON or id in known_ids()


def own_id(name: str, kind: Kind) -> str | None:
    """Return a custom id from the allowed characters of `name`, or None if it has none."""
    plain = re.sub("[^A-Za-z0-9.]+", "-", name.removeprefix(kind.own)).strip("-.")
    return f"{kind.own}{plain}" if plain else None


@cache
def licensing() -> Licensing:
    """Return a parser for expressions of ids on the SPDX license list."""
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


@lru_cache(maxsize=4096)
def unknown_ids(expression: str) -> tuple[UnknownId, ...]:
    """Return the ids in an expression that are neither on the SPDX list nor custom.

    Raises:
        NotAnExpressionError: If the string is not an SPDX license expression.
    """
    if _is_listed(expression):
        return ()
    if not expression.strip() or len(expression) > MAX_EXPRESSION:
        raise NotAnExpressionError(expression)
    # On malformed input, the parser that license-expression uses also raises IndexError and
    # AssertionError. A string that it cannot parse is not an expression.
    try:
        parser = licensing()
        parsed = parser.parse(expression)
        named = [
            (s, kind)
            for one in parser.license_symbols(parsed, decompose=False)
            for s, kind in _named(one)
        ]
    except Exception as e:
        raise NotAnExpressionError(expression) from e
    unknown = (UnknownId(str(s.key), kind) for s, kind in named if not _is_known(s, kind))
    return tuple(dict.fromkeys(unknown))


def is_known(expression: str) -> bool:
    """Return whether a string is a license expression of only listed and custom ids."""
    try:
        return not unknown_ids(expression)
    except NotAnExpressionError:
        return False


def _named(symbol: Any) -> Iterator[tuple[Any, Kind]]:
    """Yield the license of one symbol of an expression, and its exception if it has one."""
    yield getattr(symbol, "license_symbol", symbol), Kind.LICENSE
    exception = getattr(symbol, "exception_symbol", None)
    if exception is not None:
        yield exception, Kind.EXCEPTION


def _is_known(symbol: Any, kind: Kind) -> bool:
    key, listed = str(symbol.key), known_ids(kind)
    if key in listed or _OWN[kind].fullmatch(key):
        return True
    # "+" after any id means "or later"; the library supports it only for GNU licenses.
    return kind is Kind.LICENSE and key.removesuffix("+") in listed


@lru_cache(maxsize=4096)
def alternatives(expression: str) -> Alternatives | None:
    """Return the choices that an expression offers, or None if it has ids that are not listed.

    Also None if there are too many choices. Ids of the same license text count as one license:
    GPL-2.0, GPL-2.0-only, GPL-2.0-or-later. An exception (WITH) does not make another license.
    """
    if _is_listed(expression):
        return frozenset({frozenset({_text_of(expression)})})
    try:
        if unknown_ids(expression):
            return None
        return _alternatives(licensing().parse(expression))
    except NotAnExpressionError:
        return None


def ids_in(expression: str) -> frozenset[str]:
    """Return all licenses of an expression; empty if `alternatives` returns None."""
    return frozenset().union(*(alternatives(expression) or ()))


def equivalent(a: str, b: str) -> bool:
    """Return whether two expressions differ only in order, brackets or case."""
    if max(len(a), len(b)) > MAX_EXPRESSION:
        return False
    try:
        parsed = [licensing().parse(expression, validate=True) for expression in (a, b)]
        return bool(licensing().is_equivalent(*parsed))
    except Exception:  # as in `unknown_ids`: the string is not an expression
        return False


def single_id(text: str) -> str | None:
    """Return the one license that `text` names, with its exception, in a form to compare.

    None if `text` is an expression of several licenses, or has an unknown id.
    """
    try:
        if unknown_ids(text):
            return None
        node = licensing().parse(text)
    except NotAnExpressionError:
        return None
    return None if getattr(node, "args", ()) else _compared(node)


def refused_ids(expression: str, permitted: Container[str]) -> tuple[str, ...]:
    """Return the licenses that make an expression not permitted; empty if it is permitted.

    `A OR B` is permitted if either is, `A AND B` if both are. `permitted` holds ids in the form
    that `single_id` returns. An id with `-or-later` or with an exception is another id, and has to
    be permitted itself.

    Raises:
        NotAnExpressionError: If the string is not an SPDX license expression.
    """
    unknown_ids(expression)  # raises if it cannot be parsed
    return tuple(dict.fromkeys(_refused(licensing().parse(expression), permitted)))


def _refused(node: Any, permitted: Container[str]) -> list[str]:
    operator = getattr(node, "operator", "").strip()
    if not operator:
        return [] if _compared(node) in permitted else [str(node.render())]
    parts = [_refused(arg, permitted) for arg in node.args]
    if operator == "OR" and not all(parts):
        return []
    return [name for part in parts for name in part]


def _compared(node: Any) -> str:
    """Return the id in a form to compare. SPDX ids are case-insensitive."""
    return str(node.render()).casefold()


def _alternatives(node: Any) -> Alternatives | None:
    operator = getattr(node, "operator", "").strip()
    if not operator:
        license = getattr(node, "license_symbol", node)
        key = str(license.key)
        return None if key.startswith(OWN) else frozenset({frozenset({_text_of(key)})})
    parts = [_alternatives(arg) for arg in node.args]
    found: Alternatives = frozenset() if operator == "OR" else frozenset({frozenset()})
    for part in parts:
        if part is None:
            return None
        found = found | part if operator == "OR" else frozenset(a | b for a in found for b in part)
        if len(found) > _MAX_ALTERNATIVES:
            return None
    return found


def _text_of(id: str) -> str:
    """Return a name for the license text of an id. SPDX ids are case-insensitive."""
    plain = id.casefold().removesuffix("+")
    return plain.removesuffix("-only").removesuffix("-or-later")
