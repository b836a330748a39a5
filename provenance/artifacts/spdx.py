# SPDX-License-Identifier: Apache-2.0
"""SPDX license expressions: which ids are on the list, and what an expression offers.

The library's index is read when a license is first looked up, and its parser, which takes 50 ms to
build, only for what is not a plain id.
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
"""Listed licenses that are known without the index, which takes 13 ms to read."""

MAX_EXPRESSION: Final = 1000
"""Characters of a license expression that are parsed."""

OWN: Final = ("LicenseRef-", "DocumentRef-", "AdditionRef-")
"""What an id starts with that says itself that it is not on the list."""


Alternatives: TypeAlias = frozenset[frozenset[str]]
"""What an expression leaves to choose from; each choice is the licenses that then apply."""

_MAX_ALTERNATIVES: Final = 64  # (A OR B) AND (C OR D) AND … doubles with each pair


class NotAnExpressionError(ValueError):
    """Text that is not an SPDX license expression."""


class Kind(enum.Enum):
    """What an id stands for: behind WITH stands an exception, elsewhere a license."""

    LICENSE = "license"
    EXCEPTION = "exception"

    @property
    def own(self) -> str:
        """What an id of one's own starts with."""
        return "LicenseRef-" if self is Kind.LICENSE else "AdditionRef-"


_IDSTRING: Final = "[A-Za-z0-9.-]+"
_OWN: Final = {
    kind: re.compile(rf"(?:DocumentRef-{_IDSTRING}:)?{kind.own}{_IDSTRING}") for kind in Kind
}
"""What an id of one's own looks like (SPDX 3.0, annex on license expressions)."""


@dataclass(frozen=True, slots=True)
class UnknownId:
    """An id of an expression that is on no list, or on that of the other kind."""

    name: str
    kind: Kind


@cache
def known_ids(kind: Kind = Kind.LICENSE) -> frozenset[str]:
    """The ids on the SPDX list of licenses, or on that of exceptions."""
    from license_expression import get_license_index

    found = set()
    for entry in get_license_index():
        # Deprecated exceptions are ids of a license and its exception: they stand for a license.
        is_exception = entry.get("is_exception") and not entry.get("is_deprecated")
        if entry.get("spdx_license_key") and bool(is_exception) is (kind is Kind.EXCEPTION):
            found.add(entry["spdx_license_key"])
    return frozenset(found)


def _is_listed(id: str) -> bool:
    return id in COMMON or id in known_ids()


def own_id(name: str, kind: Kind) -> str | None:
    """An id of one's own in the characters that SPDX allows; None where nothing is left of it."""
    plain = re.sub("[^A-Za-z0-9.]+", "-", name.removeprefix(kind.own)).strip("-.")
    return f"{kind.own}{plain}" if plain else None


@cache
def licensing() -> Licensing:
    """A parser of expressions of the ids on the SPDX license list."""
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


@lru_cache(maxsize=4096)
def unknown_ids(expression: str) -> tuple[UnknownId, ...]:
    """The ids of an expression on no list that do not say so. Raises NotAnExpressionError."""
    if _is_listed(expression):
        return ()
    if not expression.strip() or len(expression) > MAX_EXPRESSION:
        raise NotAnExpressionError(expression)
    # The parser below license-expression also lets IndexError and AssertionError escape on
    # nonsense: whatever it cannot parse is not an expression.
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
    """Whether a license is an expression of ids that are on the list, or of the publisher's own."""
    try:
        return not unknown_ids(expression)
    except NotAnExpressionError:
        return False


def _named(symbol: Any) -> Iterator[tuple[Any, Kind]]:
    """The license of a part of an expression, and its exception where it has one."""
    yield getattr(symbol, "license_symbol", symbol), Kind.LICENSE
    exception = getattr(symbol, "exception_symbol", None)
    if exception is not None:
        yield exception, Kind.EXCEPTION


def _is_known(symbol: Any, kind: Kind) -> bool:
    key, listed = str(symbol.key), known_ids(kind)
    if key in listed or _OWN[kind].fullmatch(key):
        return True
    # "+" after any id means "or later"; the library knows it of the GNU licenses only.
    return kind is Kind.LICENSE and key.removesuffix("+") in listed


@lru_cache(maxsize=4096)
def alternatives(expression: str) -> Alternatives | None:
    """What an expression offers; None where it is not a plain combination of listed licenses.

    Ids of one license text are one license here: GPL-2.0, GPL-2.0-only, GPL-2.0-or-later. An
    exception (WITH) adds to a license and is no other license.
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
    """All licenses of an expression; none where `alternatives` gives none."""
    return frozenset().union(*(alternatives(expression) or ()))


def equivalent(a: str, b: str) -> bool:
    """Whether two expressions say the same in other words: order, brackets, case."""
    if max(len(a), len(b)) > MAX_EXPRESSION:
        return False
    try:
        parsed = [licensing().parse(expression, validate=True) for expression in (a, b)]
        return bool(licensing().is_equivalent(*parsed))
    except Exception:  # as above: what cannot be parsed is no expression
        return False


def single_id(text: str) -> str | None:
    """The one license that `text` names, with its exception where it has one, as it is compared.

    None where it is an expression of several, or no license that is known.
    """
    try:
        if unknown_ids(text):
            return None
        node = licensing().parse(text)
    except NotAnExpressionError:
        return None
    return None if getattr(node, "args", ()) else _compared(node)


def refused_ids(expression: str, permitted: Container[str]) -> tuple[str, ...]:
    """The licenses because of which an expression is not permitted; none where it is.

    `A OR B` is permitted where one of them is, `A AND B` where both are. `permitted` holds ids as
    `single_id` gives them. `-or-later` and an exception make another id: nothing is permitted that
    was not named. Raises NotAnExpressionError.
    """
    unknown_ids(expression)  # raises for whatever the parser cannot take
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
    """Case does not count in SPDX ids."""
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
    """A name for the license text that an id stands for; case does not count in SPDX ids."""
    plain = id.casefold().removesuffix("+")
    return plain.removesuffix("-only").removesuffix("-or-later")
