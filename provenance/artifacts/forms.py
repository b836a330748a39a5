# SPDX-License-Identifier: Apache-2.0
"""The forms of fields: what a value must be, and the message for a value that is not.

The readers of registries, sidecars, manifests and configurations all use them.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any, Final, Generic, TypeGuard, TypeVar

from provenance.frozen import dataclass

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Form(Generic[T_co]):
    """What a value must be.

    Attributes:
        name: What is expected, such as "a list". It completes "expected …".
        has: Returns whether a value has this form.
        example: A valid line, for the help.
    """

    name: str
    has: Callable[[object], bool]
    example: str = ""

    @property
    def help(self) -> str | None:
        """The help with the example, or None if there is no example."""
        return f"For example: {self.example}" if self.example else None

    def missing(self, what: str, how: str = "missing") -> str:
        """Return the message that `what` is missing, or empty."""
        return f"{what} is {how}; expected {self.name}"

    def refused(self, field: str, value: object) -> str:
        """Return the message for a field whose value has another form."""
        return self.instead(f"`{field}`", shown(value))

    def instead(self, what: str, found: str) -> str:
        """Return the message for `what`, given what was found there."""
        return f"{what}: expected {self.name}, found {found}"


_TEXT: Final = frozenset((str,))


def shown(value: object, limit: int = 80) -> str:
    """Return a value of a document as messages show it, cut to `limit` characters."""
    text = str(value) if isinstance(value, datetime.date) else repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether a value is an integer. Booleans are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_names(value: object) -> TypeGuard[list[str]]:
    """Return whether a value is a list of strings."""
    return isinstance(value, list) and _TEXT.issuperset(map(type, value))


def is_filled(value: object) -> TypeGuard[str]:
    """Return whether a value is a string with more than white space in it."""
    return isinstance(value, str) and bool(value.strip())


def is_day(value: object) -> TypeGuard[datetime.date]:
    """Return whether a value is a date without a time."""
    return isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)


STRING: Final = Form[str]("a string", lambda value: isinstance(value, str))
FILLED: Final = Form[str]("a non-empty string", is_filled)
OBJECT: Final = Form[dict[str, Any]]("an object", lambda value: isinstance(value, dict))
LIST: Final = Form[list[Any]]("a list", lambda value: isinstance(value, list))
FLAG: Final = Form[bool]("true or false", lambda value: isinstance(value, bool))
WHOLE: Final = Form[int]("a whole number", is_whole)


def whole_in(allowed: range, example: str = "") -> Form[int]:
    """Return the form of a whole number in a range."""
    name = f"a whole number from {allowed[0]:,} to {allowed[-1]:,}"
    return Form(name, lambda value: is_whole(value) and value in allowed, example)


def filled(name: str, example: str = "", pattern: str | re.Pattern[str] = "(?s).*") -> Form[str]:
    """Return the form of a string that must not be empty, and must match `pattern`."""
    matches = re.compile(pattern).fullmatch
    return Form(name, lambda value: is_filled(value) and matches(value) is not None, example)
