# SPDX-License-Identifier: Apache-2.0
"""The keywords of JSON Schema that assert something about a value and contain no schema."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from provenance.artifacts.documents import strict_json
from provenance.artifacts.documents.schema_work import SHOWN, Outcome, Work, shown
from provenance.artifacts.documents.strict_json import JsonPath

_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "number": lambda v: is_number(v),
    "integer": lambda v: is_number(v) and (isinstance(v, int) or v.is_integer()),
}


class Assertions(Work):
    """The assertions: each method evaluates one keyword for the value at `path`.

    The argument of the keyword is at `where` in the schema. `json_schema` calls a method only if
    argument and value have the types that the keyword applies to.
    """

    def _type(self, schema: Any, types: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        names = types if isinstance(types, list) else [types]
        if not all(isinstance(name, str) and name in _TYPES for name in names):
            return self.unknown(f"{where} is not a type")
        is_integer = isinstance(value, int) or self.draft != "draft-04"
        if any(_TYPES[name](value) and (is_integer or name != "integer") for name in names):
            return True
        expected = " or ".join(_article(name) for name in names)
        found = strict_json.type_name(value)
        return self.fail(
            path, where, "type", f"expected {expected}, found {found}", f"Write {expected}."
        )

    def _enum(self, schema: Any, allowed: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        known = self._enums.get(id(allowed))
        if known is None:
            known = self._enums[id(allowed)] = frozenset(map(self.key, allowed))
        if self.key(value) in known:
            return True
        some = ", ".join(shown(v) for v in allowed[:8])
        some += f" and {len(allowed) - 8} more" if len(allowed) > 8 else ""
        says = f"expected one of {some}, found {shown(value)}"
        return self.fail(path, where, "enum", says, "Write one of the allowed values.")

    def _const(self, schema: Any, allowed: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if self.key(value) == self.key(allowed):
            return True
        says = f"expected {shown(allowed)}, found {shown(value)}"
        return self.fail(path, where, "const", says, f"Write {shown(allowed)}.")

    def _limit(self, schema: Any, limit: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        keyword = where.rpartition("/")[2]
        measured, compare, words, advice = LIMITS[keyword]
        size = measured(value)
        if isinstance(limit, bool) and keyword.startswith("exclusive"):
            return True  # draft 4: it modifies `minimum` or `maximum`
        if not is_number(limit):
            return self.unknown(f"{where} is not a number")
        if size is None:
            return True
        strict = schema.get(f"exclusiveM{keyword[1:]}") is True  # draft 4
        if compare(size, limit) and not (strict and size == limit):
            return True
        expected = words.replace("at ", "not at ", 1) if strict else words
        found = f"{size:,}" if isinstance(size, int) else f"{size}"
        says = f"expected {expected.format(limit)}, found {found}"
        return self.fail(path, where, keyword, says, advice)

    def _multiple(self, schema: Any, of: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if not is_number(of) or of <= 0:
            return self.unknown(f"{where} is not a positive number")
        if not is_number(value):
            return True
        from fractions import Fraction

        self.spend(20)
        if (Fraction(repr(value)) / Fraction(repr(of))).denominator == 1:
            return True
        says = f"expected a multiple of {of}, found {shown(value)}"
        return self.fail(path, where, "multipleOf", says, f"Write a multiple of {of}.")

    def _pattern(self, schema: Any, text: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        matches = self.matches(text, value, where)
        if matches is not False:
            return matches
        says = f"expected a string that matches {shown(text)}, found {shown(value)}"
        advice = f"Write a string that matches {shown(text)}."
        return self.fail(path, where, "pattern", says, advice)

    def _unique(self, schema: Any, wanted: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if wanted is not True:
            return True
        seen: dict[Any, int] = {}
        for number, entry in enumerate(value):
            first = seen.setdefault(self.key(entry), number)
            if first != number:
                says = f"entry {number} is the same as entry {first}; all must differ"
                return self.fail(path, where, "uniqueItems", says, "Remove one of the two.")
        return True

    def _required(self, schema: Any, keys: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if isinstance(keys, bool):
            return True  # draft 3
        if not isinstance(keys, list):
            return self.unknown(f"{where} is not a list")
        return self._needs(keys, value, path, where, "")

    def _needs(
        self, keys: list[Any], value: Any, path: JsonPath, where: str, beside: str
    ) -> Outcome:
        if not isinstance(value, dict):
            return True
        self.spend(len(keys))
        outcome: Outcome = True
        for key in keys:
            if isinstance(key, str) and key not in value:
                says = f"field `{key[:SHOWN]}` is missing{beside}"
                outcome = self.fail(path, where, "required", says, f"Add `{key[:SHOWN]}`.", key)
        return outcome


def is_number(value: object) -> bool:
    """Return whether a JSON value is a number. Booleans are numbers only in Python."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> Any:
    return value if is_number(value) else None


def _size_of(kind: Any) -> Callable[[Any], int | None]:
    return lambda value: len(value) if isinstance(value, kind) else None


LIMITS: Final[Mapping[str, tuple[Callable[[Any], Any], Callable[[Any, Any], bool], str, str]]] = {
    "minimum": (_number, operator.ge, "at least {}", "Write a larger number."),
    "maximum": (_number, operator.le, "at most {}", "Write a smaller number."),
    "exclusiveMinimum": (_number, operator.gt, "more than {}", "Write a larger number."),
    "exclusiveMaximum": (_number, operator.lt, "less than {}", "Write a smaller number."),
    "minLength": (_size_of(str), operator.ge, "at least {} characters", "Write more."),
    "maxLength": (_size_of(str), operator.le, "at most {} characters", "Shorten it."),
    "minItems": (_size_of(list), operator.ge, "at least {} entries", "Add entries."),
    "maxItems": (_size_of(list), operator.le, "at most {} entries", "Remove entries."),
    "minProperties": (_size_of(dict), operator.ge, "at least {} fields", "Add fields."),
    "maxProperties": (_size_of(dict), operator.le, "at most {} fields", "Remove fields."),
}


def _article(name: str) -> str:
    return name if name == "null" else f"an {name}" if name[0] in "aeiou" else f"a {name}"
