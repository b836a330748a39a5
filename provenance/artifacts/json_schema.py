# SPDX-License-Identifier: Apache-2.0
"""Evaluating a JSON Schema (draft 4 to 2020-12) that may be hostile: bounded work, one document.

Nothing outside of the schema is read. What cannot be evaluated within bounds is *not evaluated*: it
neither fails nor passes, and is named (docs/adr/0022-registry-schema.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from provenance.artifacts import linear_pattern, strict_json
from provenance.artifacts.linear_pattern import Pattern, PatternError
from provenance.artifacts.strict_json import JsonPath

STEPS: Final = 2_000_000
"""Keywords that are evaluated, a few microseconds each: room for 30,000 models."""

VIOLATIONS: Final = 1_000
"""Violations that are looked for."""

_DEPTH: Final = 100
"""Schemas that are evaluated inside one another."""

_DRAFTS: Final = ("draft-04", "draft-06", "draft-07", "2019-09", "2020-12")
_LATEST: Final = "2020-12"
_SHOWN: Final = 60

_Outcome: TypeAlias = bool | None
"""Whether a value is valid; None if that was not evaluated."""

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
class Violation:
    """A value that the schema does not allow.

    Attributes:
        path: Where the value is.
        keyword: The keyword that does not allow it, and its place in the schema.
        member: The key that is missing or not allowed, for `required` and the like.
        says: What was found and what was expected, in words that follow the name of the value.
        help: What to do about it.
    """

    path: JsonPath
    keyword: str
    where: str
    says: str
    help: str
    member: str | None = None


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
        return Result(unevaluated=(f"its dialect {_shown(dialect)} is not known",))
    run = _Evaluation(schema, draft, steps)
    try:
        found, where = run.resolve(f"#{fragment}")
        run.value(found, instance, (), where)
    except _UnresolvedError as e:
        return Result(unevaluated=(f"{_shown(fragment)}: {e}",))
    except _StoppedError:
        pass
    return Result(tuple(run.violations), tuple(run.unevaluated))


class _StoppedError(Exception):
    """No more work is done."""


class _UnresolvedError(Exception):
    """A reference leads to nothing in this document. The message says why."""


class _Evaluation:
    def __init__(self, schema: Any, draft: str, steps: int) -> None:
        self.root = schema
        self._draft = draft
        self.violations: list[Violation] = []
        self.unevaluated: dict[str, None] = {}
        self._left = steps
        self._depth = 0
        self._silent = 0
        self._active: set[tuple[int, JsonPath]] = set()
        self._patterns: dict[str, Pattern | None] = {}
        self._enums: dict[int, frozenset[Any]] = {}
        self._targets: dict[str, tuple[Any, str]] = {}
        self._anchors: dict[str, tuple[Any, str]] | None = None

    # --- schemas ----------------------------------------------------------------------------------

    def value(self, schema: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        """Whether `schema`, which is at `where`, allows a value. What it does not is noted."""
        if isinstance(schema, bool):
            return schema or self._fail(path, where, "", "is not allowed", "Remove it.")
        if not isinstance(schema, dict):
            return self._unknown(f"{where} is not a schema")
        here = (id(schema), path)
        if here in self._active:
            return self._unknown(f"{where} refers to itself")
        if self._depth >= _DEPTH:
            return self._unknown(f"{where} is nested too deeply")
        self._active.add(here)
        self._depth += 1
        try:
            return _all(self._keywords(schema, value, path, where))
        finally:
            self._depth -= 1
            self._active.discard(here)

    def _keywords(
        self, schema: dict[str, Any], value: Any, path: JsonPath, where: str
    ) -> Iterator[_Outcome]:
        if "$ref" in schema:
            yield self._ref(schema["$ref"], value, path, where)
            if self._draft in _DRAFTS[:3]:
                return  # what is beside it does not count
        for keyword, argument in schema.items():
            self._spend()
            evaluate = _KEYWORDS.get(keyword)
            if evaluate is not None and self._draft in _SINCE.get(keyword, _DRAFTS):
                yield evaluate(self, schema, argument, value, path, f"{where}/{keyword}")
            elif keyword in _UNSUPPORTED:
                yield self._unknown(f"`{keyword}` at {where}")

    def probe(self, schema: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        """As `value`; what is not allowed is not noted."""
        self._silent += 1
        try:
            return self.value(schema, value, path, where)
        finally:
            self._silent -= 1

    def _ref(self, ref: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        try:
            found, target = self.resolve(ref)
        except _UnresolvedError as e:
            return self._unknown(f"`$ref` {_shown(ref)} at {where}: {e}")
        return self.value(found, value, path, target)

    def resolve(self, ref: Any) -> tuple[Any, str]:
        """The schema that a reference leads to, and where it is. Raises _UnresolvedError."""
        if not isinstance(ref, str):
            raise _UnresolvedError("not a reference")
        known = self._targets.get(ref)
        if known is None:
            known = self._targets[ref] = self._resolve(ref)
        return known

    def _resolve(self, ref: str) -> tuple[Any, str]:
        document, _, fragment = ref.partition("#")
        own = self.root.get("$id", self.root.get("id")) if isinstance(self.root, dict) else None
        if document and document != str(own).partition("#")[0]:
            raise _UnresolvedError("it leads to another document")
        anchors = self._known_anchors()
        fragment = unquote(fragment)
        if fragment and not fragment.startswith("/"):
            if fragment not in anchors:
                raise _UnresolvedError("it leads to nothing")
            return anchors[fragment]
        found = self.root
        for step in fragment.split("/")[1:]:
            self._spend()
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdecimal() and int(key[:9]) < len(found):
                found = found[int(key[:9])]
            else:
                raise _UnresolvedError("it leads to nothing")
        return found, f"#{fragment}"

    def _known_anchors(self) -> dict[str, tuple[Any, str]]:
        """The schemas that have names. Raises _UnresolvedError if a part has a base of its own."""
        if self._anchors is None:
            self._anchors = {}
            left: list[tuple[Any, str]] = [(self.root, "#")]
            while left:
                at, where = left.pop()
                self._spend()
                if isinstance(at, dict):
                    self._name(at, where)
                    left += [
                        (v, f"{where}/{k}") for k, v in at.items() if k not in ("enum", "const")
                    ]
                elif isinstance(at, list):
                    left += [(v, f"{where}/{i}") for i, v in enumerate(at)]
        return self._anchors

    def _name(self, at: dict[str, Any], where: str) -> None:
        assert self._anchors is not None
        anchor = at.get("$anchor")
        if isinstance(anchor, str):
            self._anchors[anchor] = at, where
        own = at.get("id" if self._draft == "draft-04" else "$id")
        if isinstance(own, str) and at is not self.root:
            if own.startswith("#"):
                self._anchors[own[1:]] = at, where
            else:
                self._unknown(f"{where} is a document of its own (`$id`)")

    # --- keywords ---------------------------------------------------------------------------------

    def _type(self, schema: Any, types: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        names = types if isinstance(types, list) else [types]
        if not all(isinstance(name, str) and name in _TYPES for name in names):
            return self._unknown(f"{where} is not a type")
        whole = isinstance(value, int) or self._draft != "draft-04"
        if any(_TYPES[name](value) and (whole or name != "integer") for name in names):
            return True
        expected = " or ".join(_article(name) for name in names)
        found = strict_json.type_name(value)
        return self._fail(
            path, where, "type", f"expected {expected}, found {found}", f"Write {expected}."
        )

    def _enum(self, schema: Any, allowed: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        if not isinstance(allowed, list):
            return self._unknown(f"{where} is not a list")
        known = self._enums.get(id(allowed))
        if known is None:
            known = self._enums[id(allowed)] = frozenset(map(self._key, allowed))
        if self._key(value) in known:
            return True
        some = ", ".join(_shown(v) for v in allowed[:8])
        some += f" and {len(allowed) - 8} more" if len(allowed) > 8 else ""
        says = f"expected one of {some}, found {_shown(value)}"
        return self._fail(path, where, "enum", says, "Write one of the values that are allowed.")

    def _const(self, schema: Any, allowed: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        if self._key(value) == self._key(allowed):
            return True
        says = f"expected {_shown(allowed)}, found {_shown(value)}"
        return self._fail(path, where, "const", says, f"Write {_shown(allowed)}.")

    def _limit(self, schema: Any, limit: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        keyword = where.rpartition("/")[2]
        measured, compare, words, advice = _LIMITS[keyword]
        size = measured(value)
        if isinstance(limit, bool) and keyword.startswith("exclusive"):
            return True  # draft 4: it is about `minimum` or `maximum`
        if not _is_number(limit):
            return self._unknown(f"{where} is not a number")
        if size is None:
            return True
        strict = schema.get(f"exclusiveM{keyword[1:]}") is True  # draft 4
        if compare(size, limit) and not (strict and size == limit):
            return True
        expected = words.replace("at ", "not at ", 1) if strict else words
        found = f"{size:,}" if isinstance(size, int) else f"{size}"
        says = f"expected {expected.format(limit)}, found {found}"
        return self._fail(path, where, keyword, says, advice)

    def _multiple(self, schema: Any, of: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        if not _is_number(of) or of <= 0:
            return self._unknown(f"{where} is not a positive number")
        if not _is_number(value):
            return True
        from fractions import Fraction

        self._spend(20)
        if (Fraction(repr(value)) / Fraction(repr(of))).denominator == 1:
            return True
        says = f"expected a multiple of {of}, found {_shown(value)}"
        return self._fail(path, where, "multipleOf", says, f"Write a multiple of {of}.")

    def _pattern(self, schema: Any, text: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        if not isinstance(value, str):
            return True
        matches = self._matches(text, value, where)
        if matches is not False:
            return matches
        says = f"expected text that matches {_shown(text)}, found {_shown(value)}"
        return self._fail(path, where, "pattern", says, f"Write text that matches {_shown(text)}.")

    def _matches(self, text: Any, value: str, where: str) -> _Outcome:
        if not isinstance(text, str):
            return self._unknown(f"{where} is not a pattern")
        if text not in self._patterns:
            try:
                self._patterns[text] = linear_pattern.compile_pattern(text)
            except PatternError as e:
                self._patterns[text] = None
                self._unknown(f"the pattern at {where} {e}")
            self._spend(len(text) * 10)
        pattern = self._patterns[text]
        if pattern is None:
            return None
        before = pattern.cost
        matches = pattern.search(value)
        self._spend(pattern.cost - before)
        return matches

    def _unique(self, schema: Any, wanted: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        if wanted is not True or not isinstance(value, list):
            return True
        seen: dict[Any, int] = {}
        for number, entry in enumerate(value):
            first = seen.setdefault(self._key(entry), number)
            if first != number:
                says = f"entry {number} is the same as entry {first}; all must differ"
                return self._fail(path, where, "uniqueItems", says, "Remove one of the two.")
        return True

    def _required(self, schema: Any, keys: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        if isinstance(keys, bool):
            return True  # draft 3
        if not isinstance(keys, list):
            return self._unknown(f"{where} is not a list")
        return self._needs(keys, value, path, where, "")

    def _needs(
        self, keys: list[Any], value: Any, path: JsonPath, where: str, beside: str
    ) -> _Outcome:
        if not isinstance(value, dict):
            return True
        self._spend(len(keys))
        outcome: _Outcome = True
        for key in keys:
            if isinstance(key, str) and key not in value:
                says = f"field `{key[:_SHOWN]}` is missing{beside}"
                outcome = self._fail(path, where, "required", says, f"Add `{key[:_SHOWN]}`.", key)
        return outcome

    def _properties(
        self, schema: Any, known: Any, value: Any, path: JsonPath, where: str
    ) -> _Outcome:
        if not isinstance(known, dict):
            return self._unknown(f"{where} is not an object")
        if not isinstance(value, dict):
            return True
        return _all(
            self.value(below, value[key], (*path, key), f"{where}/{key}")
            for key, below in known.items()
            if key in value
        )

    def _patterned(
        self, schema: Any, known: Any, value: Any, path: JsonPath, where: str
    ) -> _Outcome:
        if not isinstance(known, dict):
            return self._unknown(f"{where} is not an object")
        if not isinstance(value, dict):
            return True

        def judged() -> Iterator[_Outcome]:
            for text, below in known.items():
                for key, member in value.items():
                    self._spend()
                    matches = self._matches(text, key, where)
                    if matches:
                        yield self.value(below, member, (*path, key), f"{where}/{text}")
                    elif matches is None:
                        yield None

        return _all(judged())

    def _additional(
        self, schema: Any, below: Any, value: Any, path: JsonPath, where: str
    ) -> _Outcome:
        if not isinstance(value, dict):
            return True
        known = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        if not isinstance(known, dict) or not isinstance(patterns, dict):
            return self._unknown(f"{where} is beside what is not an object")

        def judged() -> Iterator[_Outcome]:
            for key, member in value.items():
                self._spend()
                if key in known:
                    continue
                matched = [self._matches(text, key, where) for text in patterns]
                if any(matched):
                    continue
                if None in matched:
                    yield None
                elif below is False:
                    says = f"field `{key[:_SHOWN]}` is not one that the schema knows"
                    yield self._fail(path, where, "additionalProperties", says, "Remove it.", key)
                else:
                    yield self.value(below, member, (*path, key), where)

        return _all(judged())

    def _names(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        if not isinstance(value, dict):
            return True

        def judged() -> Iterator[_Outcome]:
            for key in value:
                outcome = self.probe(below, key, (*path, key), where)
                if outcome is False:
                    says = f"the key `{key[:_SHOWN]}` is not one that the schema allows"
                    outcome = self._fail(path, where, "propertyNames", says, "Rename it.", key)
                yield outcome

        return _all(judged())

    def _prefix(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        if not isinstance(below, list):
            return self._unknown(f"{where} is not a list")
        if not isinstance(value, list):
            return True
        pairs = zip(below, value, strict=False)
        return _all(
            self.value(each, entry, (*path, number), f"{where}/{number}")
            for number, (each, entry) in enumerate(pairs)
        )

    def _items(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        if isinstance(below, list):
            if self._draft == _LATEST:
                return self._unknown(f"{where} is a list, which is `prefixItems` in {_LATEST}")
            return self._prefix(schema, below, value, path, where)
        before = schema.get("prefixItems") if self._draft == _LATEST else None
        return self._rest(below, value, path, where, before)

    def _more(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        before = schema.get("items")
        if not isinstance(before, list):
            return True
        return self._rest(below, value, path, where, before)

    def _rest(self, below: Any, value: Any, path: JsonPath, where: str, before: Any) -> _Outcome:
        if not isinstance(value, list):
            return True
        start = len(before) if isinstance(before, list) else 0
        return _all(
            self.value(below, value[number], (*path, number), where)
            for number in range(start, len(value))
        )

    def _contains(
        self, schema: Any, below: Any, value: Any, path: JsonPath, where: str
    ) -> _Outcome:
        if not isinstance(value, list):
            return True
        counted = self._draft in ("2019-09", _LATEST)
        least, most = schema.get("minContains", 1), schema.get("maxContains")
        least, most = (least, most) if counted else (1, None)
        if not _is_number(least) or not (most is None or _is_number(most)):
            return self._unknown(f"{where} is beside a limit that is not a number")
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
        return self._fail(path, where, "contains", says, "Add or remove such entries.")

    def _all_of(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        if not isinstance(below, list):
            return self._unknown(f"{where} is not a list")
        return _all(
            self.value(each, value, path, f"{where}/{number}") for number, each in enumerate(below)
        )

    def _any_of(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        if not isinstance(below, list):
            return self._unknown(f"{where} is not a list")
        found: list[_Outcome] = []
        for number, each in enumerate(below):
            found.append(self.probe(each, value, path, f"{where}/{number}"))
            if found[-1]:
                return True
        if None in found:
            return None
        says = f"matches none of the {len(below)} forms that the schema allows"
        return self._fail(path, where, "anyOf", says, "Write it in one of these forms.")

    def _one_of(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        if not isinstance(below, list):
            return self._unknown(f"{where} is not a list")
        found = [
            self.probe(each, value, path, f"{where}/{number}") for number, each in enumerate(below)
        ]
        sure = found.count(True)
        if None in found and sure < 2:
            return None
        if sure == 1:
            return True
        says = f"matches {sure or 'none'} of the {len(below)} forms of which exactly one is allowed"
        return self._fail(path, where, "oneOf", says, "Write it in exactly one of these forms.")

    def _not(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        outcome = self.probe(below, value, path, where)
        if outcome:
            says = "has a form that the schema does not allow"
            return self._fail(path, where, "not", says, "Write it in another form.")
        return None if outcome is None else True

    def _if(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        outcome = self.probe(below, value, path, where)
        if outcome is None:
            return None
        branch = "then" if outcome else "else"
        if branch not in schema:
            return True
        return self.value(schema[branch], value, path, f"{where.removesuffix('if')}{branch}")

    def _depends(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> _Outcome:
        if not isinstance(below, dict):
            return self._unknown(f"{where} is not an object")
        if not isinstance(value, dict):
            return True

        def judged() -> Iterator[_Outcome]:
            for key, needs in below.items():
                self._spend()
                if key not in value:
                    continue
                keys = [needs] if isinstance(needs, str) else needs
                if isinstance(keys, list):
                    beside = f", which `{key[:_SHOWN]}` needs"
                    yield self._needs(keys, value, path, f"{where}/{key}", beside)
                else:
                    yield self.value(needs, value, path, f"{where}/{key}")

        return _all(judged())

    # --- bookkeeping ------------------------------------------------------------------------------

    def _key(self, value: Any) -> Any:
        """A value that is equal for equal JSON values: 1 and 1.0 are, 1 and true are not."""
        self._spend()
        if isinstance(value, bool) or value is None:
            return (type(value), value)
        if isinstance(value, list):
            return tuple(map(self._key, value))
        if isinstance(value, dict):
            return frozenset((key, self._key(member)) for key, member in value.items())
        if isinstance(value, str):
            self._spend(len(value) // 100)
        return value

    def _spend(self, steps: int = 1) -> None:
        self._left -= steps
        if self._left < 0:
            self._unknown("it takes more work than is done: the rest")
            raise _StoppedError

    def _unknown(self, what: str) -> None:
        if len(self.unevaluated) < _SHOWN:
            self.unevaluated[what[:300]] = None

    def _fail(
        self,
        path: JsonPath,
        where: str,
        keyword: str,
        says: str,
        help: str,
        member: str | None = None,
    ) -> bool:
        if not self._silent:
            self.violations.append(Violation(path, keyword, where, says, help, member))
            if len(self.violations) >= VIOLATIONS:
                self._unknown(f"after {VIOLATIONS:,} violations: the rest")
                raise _StoppedError
        return False


_Keyword: TypeAlias = Callable[[_Evaluation, Any, Any, Any, JsonPath, str], _Outcome]

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


def _size_of(kind: type) -> Callable[[Any], int | None]:
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


def _all(outcomes: Iterator[_Outcome]) -> _Outcome:
    """Whether all are valid. Each is evaluated, so that every violation is noted."""
    result: _Outcome = True
    for outcome in outcomes:
        if outcome is False:
            result = False
        elif outcome is None and result:
            result = None
    return result


def _article(name: str) -> str:
    return name if name == "null" else f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _shown(value: Any) -> str:
    if not isinstance(value, str | int | float | bool | None):
        return strict_json.type_name(value)
    text = (
        repr(value)
        if isinstance(value, str)
        else str(value).lower()
        if value is not None
        else "null"
    )
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
