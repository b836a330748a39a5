# SPDX-License-Identifier: Apache-2.0
"""Evaluating a JSON Schema (draft 4 to 2020-12) that may be hostile: bounded work, one document.

Nothing outside of the schema is read. What cannot be evaluated within bounds is *not evaluated*: it
neither fails nor passes, and is named (docs/adr/0022-registry-schema.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from provenance.artifacts.documents import strict_json
from provenance.artifacts.documents.schema_references import References, UnresolvedError
from provenance.artifacts.documents.schema_work import (
    SHOWN,
    Outcome,
    StoppedError,
    Violation,
    shown,
)
from provenance.artifacts.documents.strict_json import JsonPath

STEPS: Final = 10_000_000
"""Steps of half a microsecond: one a keyword, several a schema. Room for 30,000 models."""

_SCHEMA_STEPS: Final = 6


_DEPTH: Final = 100
"""Schemas that are evaluated inside one another."""

_DRAFTS: Final = ("draft-04", "draft-06", "draft-07", "2019-09", "2020-12")
_LATEST: Final = "2020-12"


_SINCE: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("const", "contains", "propertyNames"), _DRAFTS[1:]),
    **dict.fromkeys(("dependentRequired", "dependentSchemas"), _DRAFTS[3:]),
    "if": _DRAFTS[2:],
    "dependencies": _DRAFTS[:3],
    "additionalItems": _DRAFTS[:4],
    "prefixItems": _DRAFTS[4:],
}
"""The drafts that know a keyword, where not all do."""

_UNSUPPORTED: Final = (
    *("unevaluatedProperties", "unevaluatedItems"),
    *("$dynamicRef", "$recursiveRef"),
)
_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "number": lambda v: _is_number(v),
    "integer": lambda v: _is_number(v) and (isinstance(v, int) or v.is_integer()),
}


@dataclass(frozen=True, slots=True)
class Result:
    """What the schema does not allow, and the parts of it that were not evaluated."""

    violations: tuple[Violation, ...] = ()
    unevaluated: tuple[str, ...] = ()


def evaluate(schema: Any, instance: Any, fragment: str = "", *, steps: int = STEPS) -> Result:
    """What `schema`, or the part of it that `fragment` points at, does not allow of `instance`."""
    dialect = schema.get("$schema", _LATEST) if isinstance(schema, dict) else _LATEST
    draft = next((d for d in _DRAFTS if isinstance(dialect, str) and d in dialect), None)
    if draft is None:
        return Result(unevaluated=(f"its dialect {shown(dialect)} is not known",))
    run = _Evaluation(schema, draft, steps)
    try:
        found, where = run.resolve(f"#{fragment}")
        run.value(found, instance, (), where)
    except UnresolvedError as e:
        return Result(unevaluated=(f"{shown(fragment)}: {e}",))
    except StoppedError:
        pass
    return Result(tuple(run.violations), tuple(run.unevaluated))


class _Evaluation(References):
    def __init__(self, schema: Any, draft: str, steps: int) -> None:
        super().__init__(schema, draft, steps)
        self._depth = 0
        self._active: set[tuple[int, JsonPath]] = set()
        self._enums: dict[int, frozenset[Any]] = {}

    # --- schemas ----------------------------------------------------------------------------------

    def value(self, schema: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        """Whether `schema`, which is at `where`, allows a value. What it does not is noted."""
        self.spend(_SCHEMA_STEPS)
        if isinstance(schema, bool):
            return schema or self.fail(path, where, "", "is not allowed", "Remove it.")
        if not isinstance(schema, dict):
            return self.unknown(f"{where} is not a schema")
        here = (id(schema), path)
        if here in self._active:
            return self.unknown(f"{where} refers to itself")
        if self._depth >= _DEPTH:
            return self.unknown(f"{where} is nested too deeply")
        self._active.add(here)
        self._depth += 1
        try:
            return _all(self._keywords(schema, value, path, where))
        finally:
            self._depth -= 1
            self._active.discard(here)

    def _keywords(
        self, schema: dict[str, Any], value: Any, path: JsonPath, where: str
    ) -> Iterator[Outcome]:
        if "$ref" in schema:
            yield self._ref(schema["$ref"], value, path, where)
            if self.draft in _DRAFTS[:3]:
                return  # what is beside it does not count
        for keyword, argument in schema.items():
            self.spend()
            evaluate = _KEYWORDS.get(keyword)
            if evaluate is not None and self.draft in _SINCE.get(keyword, _DRAFTS):
                yield evaluate(self, schema, argument, value, path, f"{where}/{keyword}")
            elif keyword in _UNSUPPORTED:
                yield self.unknown(f"`{keyword}` at {where}")

    def probe(self, schema: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        """As `value`; what is not allowed is not noted."""
        self.silent += 1
        try:
            return self.value(schema, value, path, where)
        finally:
            self.silent -= 1

    def _ref(self, ref: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        try:
            found, target = self.resolve(ref)
        except UnresolvedError as e:
            return self.unknown(f"`$ref` {shown(ref)} at {where}: {e}")
        return self.value(found, value, path, target)

    # --- keywords ---------------------------------------------------------------------------------

    def _type(self, schema: Any, types: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        names = types if isinstance(types, list) else [types]
        if not all(isinstance(name, str) and name in _TYPES for name in names):
            return self.unknown(f"{where} is not a type")
        whole = isinstance(value, int) or self.draft != "draft-04"
        if any(_TYPES[name](value) and (whole or name != "integer") for name in names):
            return True
        expected = " or ".join(_article(name) for name in names)
        found = strict_json.type_name(value)
        return self.fail(
            path, where, "type", f"expected {expected}, found {found}", f"Write {expected}."
        )

    def _enum(self, schema: Any, allowed: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if not isinstance(allowed, list):
            return self.unknown(f"{where} is not a list")
        known = self._enums.get(id(allowed))
        if known is None:
            known = self._enums[id(allowed)] = frozenset(map(self.key, allowed))
        if self.key(value) in known:
            return True
        some = ", ".join(shown(v) for v in allowed[:8])
        some += f" and {len(allowed) - 8} more" if len(allowed) > 8 else ""
        says = f"expected one of {some}, found {shown(value)}"
        return self.fail(path, where, "enum", says, "Write one of the values that are allowed.")

    def _const(self, schema: Any, allowed: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if self.key(value) == self.key(allowed):
            return True
        says = f"expected {shown(allowed)}, found {shown(value)}"
        return self.fail(path, where, "const", says, f"Write {shown(allowed)}.")

    def _limit(self, schema: Any, limit: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        keyword = where.rpartition("/")[2]
        measured, compare, words, advice = _LIMITS[keyword]
        size = measured(value)
        if isinstance(limit, bool) and keyword.startswith("exclusive"):
            return True  # draft 4: it is about `minimum` or `maximum`
        if not _is_number(limit):
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
        if not _is_number(of) or of <= 0:
            return self.unknown(f"{where} is not a positive number")
        if not _is_number(value):
            return True
        from fractions import Fraction

        self.spend(20)
        if (Fraction(repr(value)) / Fraction(repr(of))).denominator == 1:
            return True
        says = f"expected a multiple of {of}, found {shown(value)}"
        return self.fail(path, where, "multipleOf", says, f"Write a multiple of {of}.")

    def _pattern(self, schema: Any, text: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if not isinstance(value, str):
            return True
        matches = self.matches(text, value, where)
        if matches is not False:
            return matches
        says = f"expected text that matches {shown(text)}, found {shown(value)}"
        return self.fail(path, where, "pattern", says, f"Write text that matches {shown(text)}.")

    def _unique(self, schema: Any, wanted: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if wanted is not True or not isinstance(value, list):
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

    def _properties(
        self, schema: Any, known: Any, value: Any, path: JsonPath, where: str
    ) -> Outcome:
        if not isinstance(known, dict):
            return self.unknown(f"{where} is not an object")
        if not isinstance(value, dict):
            return True
        return _all(
            self.value(below, value[key], (*path, key), f"{where}/{key}")
            for key, below in known.items()
            if key in value
        )

    def _patterned(
        self, schema: Any, known: Any, value: Any, path: JsonPath, where: str
    ) -> Outcome:
        if not isinstance(known, dict):
            return self.unknown(f"{where} is not an object")
        if not isinstance(value, dict):
            return True

        def judged() -> Iterator[Outcome]:
            for text, below in known.items():
                for key, member in value.items():
                    self.spend()
                    matches = self.matches(text, key, where)
                    if matches:
                        yield self.value(below, member, (*path, key), f"{where}/{text}")
                    elif matches is None:
                        yield None

        return _all(judged())

    def _additional(
        self, schema: Any, below: Any, value: Any, path: JsonPath, where: str
    ) -> Outcome:
        if not isinstance(value, dict):
            return True
        known = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        if not isinstance(known, dict) or not isinstance(patterns, dict):
            return self.unknown(f"{where} is beside what is not an object")

        def judged() -> Iterator[Outcome]:
            for key, member in value.items():
                self.spend()
                if key in known:
                    continue
                matched = [self.matches(text, key, where) for text in patterns]
                if any(matched):
                    continue
                if None in matched:
                    yield None
                elif below is False:
                    says = f"field `{key[:SHOWN]}` is not one that the schema knows"
                    yield self.fail(path, where, "additionalProperties", says, "Remove it.", key)
                else:
                    yield self.value(below, member, (*path, key), where)

        return _all(judged())

    def _names(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if not isinstance(value, dict):
            return True

        def judged() -> Iterator[Outcome]:
            for key in value:
                outcome = self.probe(below, key, (*path, key), where)
                if outcome is False:
                    says = f"the key `{key[:SHOWN]}` is not one that the schema allows"
                    outcome = self.fail(path, where, "propertyNames", says, "Rename it.", key)
                yield outcome

        return _all(judged())

    def _prefix(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if not isinstance(below, list):
            return self.unknown(f"{where} is not a list")
        if not isinstance(value, list):
            return True
        pairs = zip(below, value, strict=False)
        return _all(
            self.value(each, entry, (*path, number), f"{where}/{number}")
            for number, (each, entry) in enumerate(pairs)
        )

    def _items(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if isinstance(below, list):
            if self.draft == _LATEST:
                return self.unknown(f"{where} is a list, which is `prefixItems` in {_LATEST}")
            return self._prefix(schema, below, value, path, where)
        before = schema.get("prefixItems") if self.draft == _LATEST else None
        return self._rest(below, value, path, where, before)

    def _more(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        before = schema.get("items")
        if not isinstance(before, list):
            return True
        return self._rest(below, value, path, where, before)

    def _rest(self, below: Any, value: Any, path: JsonPath, where: str, before: Any) -> Outcome:
        if not isinstance(value, list):
            return True
        start = len(before) if isinstance(before, list) else 0
        return _all(
            self.value(below, value[number], (*path, number), where)
            for number in range(start, len(value))
        )

    def _contains(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if not isinstance(value, list):
            return True
        counted = self.draft in ("2019-09", _LATEST)
        least, most = schema.get("minContains", 1), schema.get("maxContains")
        least, most = (least, most) if counted else (1, None)
        if not _is_number(least) or not (most is None or _is_number(most)):
            return self.unknown(f"{where} is beside a limit that is not a number")
        found = [
            self.probe(below, entry, (*path, number), where) for number, entry in enumerate(value)
        ]
        sure, open = found.count(True), found.count(None)
        if sure >= least and (most is None or sure + open <= most):
            return True
        if sure + open >= least and (most is None or sure <= most):
            return None
        limit = f"at least {least}" + (f" and at most {most}" if most is not None else "")
        says = f"expected {limit} entries of the kind that the schema requires, found {sure}"
        return self.fail(path, where, "contains", says, "Add or remove such entries.")

    def _all_of(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if not isinstance(below, list):
            return self.unknown(f"{where} is not a list")
        return _all(
            self.value(each, value, path, f"{where}/{number}") for number, each in enumerate(below)
        )

    def _any_of(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if not isinstance(below, list):
            return self.unknown(f"{where} is not a list")
        found: list[Outcome] = []
        for number, each in enumerate(below):
            found.append(self.probe(each, value, path, f"{where}/{number}"))
            if found[-1]:
                return True
        if None in found:
            return None
        says = f"matches none of the {len(below)} forms that the schema allows"
        return self.fail(path, where, "anyOf", says, "Write it in one of these forms.")

    def _one_of(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if not isinstance(below, list):
            return self.unknown(f"{where} is not a list")
        found = [
            self.probe(each, value, path, f"{where}/{number}") for number, each in enumerate(below)
        ]
        sure = found.count(True)
        if None in found and sure < 2:
            return None
        if sure == 1:
            return True
        says = f"matches {sure or 'none'} of the {len(below)} forms of which exactly one is allowed"
        return self.fail(path, where, "oneOf", says, "Write it in exactly one of these forms.")

    def _not(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        outcome = self.probe(below, value, path, where)
        if outcome:
            says = "has a form that the schema does not allow"
            return self.fail(path, where, "not", says, "Write it in another form.")
        return None if outcome is None else True

    def _if(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        outcome = self.probe(below, value, path, where)
        if outcome is None:
            return None
        branch = "then" if outcome else "else"
        if branch not in schema:
            return True
        return self.value(schema[branch], value, path, f"{where.removesuffix('if')}{branch}")

    def _depends(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if not isinstance(below, dict):
            return self.unknown(f"{where} is not an object")
        if not isinstance(value, dict):
            return True

        def judged() -> Iterator[Outcome]:
            for key, needs in below.items():
                self.spend()
                if key not in value:
                    continue
                keys = [needs] if isinstance(needs, str) else needs
                if isinstance(keys, list):
                    beside = f", which `{key[:SHOWN]}` needs"
                    yield self._needs(keys, value, path, f"{where}/{key}", beside)
                else:
                    yield self.value(needs, value, path, f"{where}/{key}")

        return _all(judged())


_Keyword: TypeAlias = Callable[[_Evaluation, Any, Any, Any, JsonPath, str], Outcome]

_KEYWORDS: Final[Mapping[str, _Keyword]] = {
    "type": _Evaluation._type,
    "enum": _Evaluation._enum,
    "const": _Evaluation._const,
    "multipleOf": _Evaluation._multiple,
    "pattern": _Evaluation._pattern,
    "uniqueItems": _Evaluation._unique,
    "required": _Evaluation._required,
    "properties": _Evaluation._properties,
    "patternProperties": _Evaluation._patterned,
    "additionalProperties": _Evaluation._additional,
    "propertyNames": _Evaluation._names,
    "prefixItems": _Evaluation._prefix,
    "items": _Evaluation._items,
    "additionalItems": _Evaluation._more,
    "contains": _Evaluation._contains,
    "allOf": _Evaluation._all_of,
    "anyOf": _Evaluation._any_of,
    "oneOf": _Evaluation._one_of,
    "not": _Evaluation._not,
    "if": _Evaluation._if,
    "dependentRequired": _Evaluation._depends,
    "dependentSchemas": _Evaluation._depends,
    "dependencies": _Evaluation._depends,
    **dict.fromkeys(
        (
            *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
            *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
        ),
        _Evaluation._limit,
    ),
}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> Any:
    return value if _is_number(value) else None


def _size_of(kind: Any) -> Callable[[Any], int | None]:
    return lambda value: len(value) if isinstance(value, kind) else None


def _at_least(size: Any, limit: Any) -> bool:
    return bool(size >= limit)


def _at_most(size: Any, limit: Any) -> bool:
    return bool(size <= limit)


_LIMITS: Final[Mapping[str, tuple[Callable[[Any], Any], Callable[[Any, Any], bool], str, str]]] = {
    "minimum": (_number, _at_least, "at least {}", "Write a larger number."),
    "maximum": (_number, _at_most, "at most {}", "Write a smaller number."),
    "exclusiveMinimum": (_number, lambda s, n: s > n, "more than {}", "Write a larger number."),
    "exclusiveMaximum": (_number, lambda s, n: s < n, "less than {}", "Write a smaller number."),
    "minLength": (_size_of(str), _at_least, "at least {} characters", "Write more."),
    "maxLength": (_size_of(str), _at_most, "at most {} characters", "Shorten it."),
    "minItems": (_size_of(list), _at_least, "at least {} entries", "Add entries."),
    "maxItems": (_size_of(list), _at_most, "at most {} entries", "Remove entries."),
    "minProperties": (_size_of(dict), _at_least, "at least {} fields", "Add fields."),
    "maxProperties": (_size_of(dict), _at_most, "at most {} fields", "Remove fields."),
}


def _all(outcomes: Iterator[Outcome]) -> Outcome:
    """Whether all are valid. Each is evaluated, so that every violation is noted."""
    result: Outcome = True
    for outcome in outcomes:
        if outcome is False:
            result = False
        elif outcome is None and result:
            result = None
    return result


def _article(name: str) -> str:
    return name if name == "null" else f"an {name}" if name[0] in "aeiou" else f"a {name}"
