# SPDX-License-Identifier: Apache-2.0
"""Evaluate a JSON Schema (draft 4 to 2020-12) that may be hostile, with bounded work.

No other document is read. A part that cannot be evaluated within the limits is reported as *not
evaluated*: it neither passes nor fails (docs/adr/0022-registry-schema.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from provenance.artifacts.documents.schema_assertions import LIMITS, Assertions, is_number
from provenance.artifacts.documents.schema_work import (
    SHOWN,
    Outcome,
    StoppedError,
    UnresolvedError,
    Violation,
    shown,
)
from provenance.artifacts.documents.strict_json import JsonPath
from provenance.frozen import dataclass

STEPS: Final = 10_000_000
"""Steps of half a microsecond: one for each keyword, several for each schema. Room for 30,000
models."""

_SCHEMA_STEPS: Final = 6

_DEPTH: Final = 100
"""Levels of nested schemas that are evaluated."""

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
"""The drafts that define a keyword, for keywords that not all drafts define."""

_UNSUPPORTED: Final = "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef"


@dataclass(frozen=True, slots=True)
class Result:
    """The violations of a schema, and the parts of it that were not evaluated."""

    violations: tuple[Violation, ...] = ()
    unevaluated: tuple[str, ...] = ()


def evaluate(schema: Any, instance: Any, fragment: str = "", *, steps: int = STEPS) -> Result:
    """Evaluate `schema`, or the part of it at the JSON pointer `fragment`, for `instance`."""
    dialect = schema.get("$schema", _LATEST) if isinstance(schema, dict) else _LATEST
    draft = next((d for d in _DRAFTS if isinstance(dialect, str) and d in dialect), None)
    if draft is None:
        return Result(unevaluated=(f"its dialect {shown(dialect)} is not supported",))
    run = _Evaluation(schema, draft, steps)
    try:
        found, where = run.resolve(f"#{fragment}")
        run.value(found, instance, (), where)
    except UnresolvedError as e:
        return Result(unevaluated=(f"{shown(fragment)}: {e}",))
    except StoppedError:
        pass
    return Result(tuple(run.violations), tuple(run.unevaluated))


class _Evaluation(Assertions):
    # --- schemas ----------------------------------------------------------------------------------

    def value(self, schema: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        """Return whether the schema at `where` allows a value, and note violations."""
        self.spend(_SCHEMA_STEPS)
        if isinstance(schema, bool):
            return schema or self.fail(path, where, "", "is not allowed", "Remove it.")
        if not isinstance(schema, dict):
            return self.unknown(f"{where} is not a schema")
        here = (id(schema), path)
        if here in self._active:
            return self.unknown(f"{where} refers to itself")
        if len(self._active) >= _DEPTH:
            return self.unknown(f"{where} is nested too deeply")
        self._active.add(here)
        try:
            return _all(self._keywords(schema, value, path, where))
        finally:
            self._active.discard(here)

    def _keywords(
        self, schema: dict[str, Any], value: Any, path: JsonPath, where: str
    ) -> Iterator[Outcome]:
        if "$ref" in schema:
            yield self._ref(schema["$ref"], value, path, where)
            if self.draft in _DRAFTS[:3]:
                return  # keywords beside it are ignored
        for keyword, argument in schema.items():
            self.spend()
            known, at = _KEYWORDS.get(keyword), f"{where}/{keyword}"
            if known is not None and self.draft in _SINCE.get(keyword, _DRAFTS):
                if not isinstance(argument, known.argument):
                    yield self.unknown(f"{at} is not {_CALLED[known.argument]}")
                elif isinstance(value, known.value):
                    yield known.evaluate(self, schema, argument, value, path, at)
            elif keyword in _UNSUPPORTED:
                yield self.unknown(f"`{keyword}` at {where}")

    def probe(self, schema: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        """Return the same as `value`, without noting violations."""
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

    # --- keywords that hold schemas --------------------------------------------------------------

    def _properties(
        self, schema: Any, known: Any, value: Any, path: JsonPath, where: str
    ) -> Outcome:
        return _all(
            self.value(below, value[key], (*path, key), f"{where}/{key}")
            for key, below in known.items()
            if key in value
        )

    def _patterned(
        self, schema: Any, known: Any, value: Any, path: JsonPath, where: str
    ) -> Outcome:

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
        known = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        if not isinstance(known, dict) or not isinstance(patterns, dict):
            return self.unknown(
                f"{where} is beside a `properties` or `patternProperties` that is not an object"
            )

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
                    says = f"field `{key[:SHOWN]}` is not in the schema"
                    yield self.fail(path, where, "additionalProperties", says, "Remove it.", key)
                else:
                    yield self.value(below, member, (*path, key), where)

        return _all(judged())

    def _names(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        def judged() -> Iterator[Outcome]:
            for key in value:
                outcome = self.probe(below, key, (*path, key), where)
                if outcome is False:
                    says = f"the schema does not allow the key `{key[:SHOWN]}`"
                    outcome = self.fail(path, where, "propertyNames", says, "Rename it.", key)
                yield outcome

        return _all(judged())

    def _prefix(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        pairs = zip(below, value, strict=False)
        return _all(
            self.value(each, entry, (*path, number), f"{where}/{number}")
            for number, (each, entry) in enumerate(pairs)
        )

    def _items(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        if isinstance(below, list) and self.draft == _LATEST:
            return self.unknown(f"{where} is a list, which is `prefixItems` in {_LATEST}")
        if not isinstance(value, list):
            return True
        if isinstance(below, list):
            return self._prefix(schema, below, value, path, where)
        before = schema.get("prefixItems") if self.draft == _LATEST else None
        return self._rest(below, value, path, where, before)

    def _more(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        before = schema.get("items")
        if not isinstance(before, list):
            return True
        return self._rest(below, value, path, where, before)

    def _rest(self, below: Any, value: Any, path: JsonPath, where: str, before: Any) -> Outcome:
        start = len(before) if isinstance(before, list) else 0
        return _all(
            self.value(below, value[number], (*path, number), where)
            for number in range(start, len(value))
        )

    def _contains(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        counted = self.draft in ("2019-09", _LATEST)
        least, most = schema.get("minContains", 1), schema.get("maxContains")
        least, most = (least, most) if counted else (1, None)
        if not is_number(least) or not (most is None or is_number(most)):
            return self.unknown(
                f"{where} has a `minContains` or `maxContains` that is not a number"
            )
        found = [
            self.probe(below, entry, (*path, number), where) for number, entry in enumerate(value)
        ]
        sure, open = found.count(True), found.count(None)
        if sure >= least and (most is None or sure + open <= most):
            return True
        if sure + open >= least and (most is None or sure <= most):
            return None
        limit = f"at least {least}" + (f" and at most {most}" if most is not None else "")
        says = f"expected {limit} entries that match the schema's `contains`, found {sure}"
        return self.fail(path, where, "contains", says, "Add or remove such entries.")

    def _all_of(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
        return _all(
            self.value(each, value, path, f"{where}/{number}") for number, each in enumerate(below)
        )

    def _any_of(self, schema: Any, below: Any, value: Any, path: JsonPath, where: str) -> Outcome:
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
        found = [
            self.probe(each, value, path, f"{where}/{number}") for number, each in enumerate(below)
        ]
        sure = found.count(True)
        if None in found and sure < 2:
            return None
        if sure == 1:
            return True
        says = f"matches {sure} of {len(below)} forms in the schema, expected exactly one"
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


class _Keyword(NamedTuple):
    """How a keyword is evaluated, and the types of its argument and of the values it applies to."""

    evaluate: Callable[[_Evaluation, Any, Any, Any, JsonPath, str], Outcome]
    argument: type = object
    value: type = object


_CALLED: Final[Mapping[type, str]] = {dict: "an object", list: "a list"}
_KEYWORDS: Final[Mapping[str, _Keyword]] = {
    "type": _Keyword(_Evaluation._type),
    "enum": _Keyword(_Evaluation._enum, list),
    "const": _Keyword(_Evaluation._const),
    "multipleOf": _Keyword(_Evaluation._multiple),
    "pattern": _Keyword(_Evaluation._pattern, value=str),
    "uniqueItems": _Keyword(_Evaluation._unique, value=list),
    "required": _Keyword(_Evaluation._required),
    "properties": _Keyword(_Evaluation._properties, dict, dict),
    "patternProperties": _Keyword(_Evaluation._patterned, dict, dict),
    "additionalProperties": _Keyword(_Evaluation._additional, value=dict),
    "propertyNames": _Keyword(_Evaluation._names, value=dict),
    "prefixItems": _Keyword(_Evaluation._prefix, list, list),
    "items": _Keyword(_Evaluation._items),
    "additionalItems": _Keyword(_Evaluation._more, value=list),
    "contains": _Keyword(_Evaluation._contains, value=list),
    "allOf": _Keyword(_Evaluation._all_of, list),
    "anyOf": _Keyword(_Evaluation._any_of, list),
    "oneOf": _Keyword(_Evaluation._one_of, list),
    "not": _Keyword(_Evaluation._not),
    "if": _Keyword(_Evaluation._if),
    **dict.fromkeys(
        ("dependentRequired", "dependentSchemas", "dependencies"),
        _Keyword(_Evaluation._depends, dict, dict),
    ),
    **dict.fromkeys(LIMITS, _Keyword(_Evaluation._limit)),
}


def _all(outcomes: Iterator[Outcome]) -> Outcome:
    """Return whether all are valid. All are evaluated, so that every violation is noted."""
    result: Outcome = True
    for outcome in outcomes:
        if outcome is False:
            result = False
        elif outcome is None and result:
            result = None
    return result
