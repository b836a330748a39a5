# SPDX-License-Identifier: Apache-2.0
"""Schemas are evaluated as by `jsonschema`, in bounded work, inside one document."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection
from typing import Any

import jsonschema
import pytest

from provenance.artifacts.documents import schema_assertions
from provenance.artifacts.documents.json_schema import STEPS, Result, evaluate
from provenance.artifacts.documents.schema_work import VIOLATIONS
from tests.support.command import time_limit

VALIDATORS: dict[str, Any] = {
    "http://json-schema.org/draft-04/schema#": jsonschema.Draft4Validator,
    "http://json-schema.org/draft-06/schema#": jsonschema.Draft6Validator,
    "http://json-schema.org/draft-07/schema#": jsonschema.Draft7Validator,
    "https://json-schema.org/draft/2019-09/schema": jsonschema.Draft201909Validator,
    "https://json-schema.org/draft/2020-12/schema": jsonschema.Draft202012Validator,
}
DRAFT_4, *_, LATEST = VALIDATORS


class Generator:
    """Random schemas of one dialect, and values for them."""

    def __init__(self, dialect: str) -> None:
        self.chance = random.Random(dialect)
        self.dialect = dialect

    def value(self, depth: int = 0) -> Any:
        chance = self.chance
        kind = chance.random()
        if kind < 0.2 and depth < 3:
            keys = chance.sample("abcd", chance.randint(0, 3))
            return {key: self.value(depth + 1) for key in keys}
        if kind < 0.4 and depth < 3:
            return [self.value(depth + 1) for _ in range(chance.randint(0, 3))]
        plain = (None, True, False, 0, 1, 2, 3, 1.0, 1.5, -1, "", "a", "ab", "abc", "b1", 10, 1e3)
        return chance.choice(plain)

    def schema(self, depth: int = 0) -> Any:
        if self.dialect != DRAFT_4 and self.chance.random() < 0.06:
            return self.chance.random() < 0.6
        found: dict[str, Any] = {}
        for _ in range(self.chance.randint(0, 3)):
            keyword, make = self.chance.choice(KEYWORDS)
            found[keyword] = make(self, depth)
        if self.dialect == DRAFT_4:
            for limit in ("Minimum", "Maximum"):
                if f"exclusive{limit}" in found:
                    found |= {f"exclusive{limit}": True, limit.lower(): self.chance.choice([0, 1])}
        if self.dialect == LATEST and isinstance(found.get("items"), list):
            del found["items"]
        return found

    def below(self, depth: int) -> Any:
        return self.schema(depth + 1) if depth < 3 else {}

    def names(self) -> list[str]:
        return self.chance.sample("abcd", self.chance.randint(1, 2))

    def of(self, *choices: Any) -> Any:
        return self.chance.choice(choices)


LIMITS = [f"{limit}{what}" for limit in ("min", "max") for what in ("Length", "Items")]
LIMITS += [f"{limit}{what}" for limit in ("min", "max") for what in ("Properties", "Contains")]
SCHEMAS = ("additionalItems", "contains", "additionalProperties", "propertyNames", "not", "if")
TYPES = (*schema_assertions._TYPES, ["string", "integer"], ["null", "object"])
KEYWORDS: list[tuple[str, Callable[[Generator, int], Any]]] = [
    ("type", lambda g, d: g.of(*TYPES)),
    ("enum", lambda g, d: [g.value(2) for _ in range(3)]),
    ("const", lambda g, d: g.value(1)),
    *((k, lambda g, d: g.of(0, 1, 1.5, 2)) for k in ("minimum", "maximum")),
    *((k, lambda g, d: g.of(0, 1.5, 2)) for k in ("exclusiveMinimum", "exclusiveMaximum")),
    ("multipleOf", lambda g, d: g.of(1, 2, 0.5, 0.25)),
    *((k, lambda g, d: g.of(0, 1, 2, 3)) for k in LIMITS),
    ("pattern", lambda g, d: g.of("^a", "b$", "[0-9]", "^(a|b)+$")),
    ("items", lambda g, d: g.of(g.below(d), [g.below(d), g.below(d)])),
    ("prefixItems", lambda g, d: [g.below(d)]),
    *((k, lambda g, d: g.below(d)) for k in (*SCHEMAS, "then", "else", "items")),
    ("uniqueItems", lambda g, d: g.of(True, True, False)),
    ("required", lambda g, d: g.names()),
    *(("properties", lambda g, d: {n: g.below(d) for n in g.names()}) for _ in range(3)),
    ("dependentSchemas", lambda g, d: {n: g.below(d) for n in g.names()}),
    ("patternProperties", lambda g, d: {g.of("^a", "[bc]", "d"): g.below(d)}),
    *((k, lambda g, d: [g.below(d), g.below(d)]) for k in ("allOf", "anyOf", "oneOf")),
    ("dependentRequired", lambda g, d: {n: g.names() for n in g.names()}),
    ("dependencies", lambda g, d: {n: g.of(g.names(), g.below(d)) for n in g.names()}),
    ("$ref", lambda g, d: f"#{g.of('/definitions/x', '/definitions/y', *[''] * (d > 0))}"),
]


@pytest.mark.parametrize("dialect", VALIDATORS)
def test_a_schema_allows_the_values_that_jsonschema_allows(dialect: str) -> None:
    generator = Generator(dialect)
    compared = invalid = 0
    for _ in range(120):
        schema = generator.schema()
        if not isinstance(schema, dict):
            continue
        schema["$schema"] = dialect
        schema["definitions"] = {"x": generator.schema(2), "y": generator.schema(2)}
        for _ in range(4):
            value = generator.value()
            try:
                expected = VALIDATORS[dialect](schema).is_valid(value)
            except RecursionError:
                continue
            found = evaluate(schema, value)
            if found.unevaluated:  # less is known, but nothing false
                assert expected is False or not found.violations
                continue
            compared += 1
            invalid += not expected
            assert (not found.violations) is expected, json.dumps([schema, value])
    assert compared > 300
    assert 40 < invalid < compared - 40


SAYS: list[tuple[Any, Any, str]] = [
    ({"type": "integer"}, "17", "expected an integer, found a string"),
    ({"type": ["null", "string"]}, 1, "expected null or a string, found a number"),
    ({"enum": ["fr", None, True]}, "nr", "expected one of 'fr', null, true, found 'nr'"),
    ({"enum": list(range(10))}, 10, "expected one of 0, 1, 2, 3, 4, 5, 6, 7 and 2 more, found 10"),
    ({"const": {"a": 1}}, [], "expected an object, found an array"),
    ({"minimum": 7}, 6, "expected at least 7, found 6"),
    ({"exclusiveMaximum": 7}, 7, "expected less than 7, found 7"),
    ({"$schema": DRAFT_4, "minimum": 1, "exclusiveMinimum": True}, 1, "expected not at least 1,"),
    ({"multipleOf": 0.1}, 0.35, "expected a multiple of 0.1, found 0.35"),
    ({"maxLength": 3}, "abcd", "expected at most 3 characters, found 4"),
    ({"minItems": 1}, [], "expected at least 1 entries, found 0"),
    ({"pattern": "^a$"}, "b", "expected a string that matches '^a$', found 'b'"),
    ({"uniqueItems": True}, [1, 2, 1.0], "entry 2 is the same as entry 0; all must differ"),
    ({"required": ["a"]}, {}, "field `a` is missing"),
    ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "field `b` is missing, which `a` needs"),
    ({"additionalProperties": False}, {"a": 1}, "field `a` is not in the schema"),
    ({"propertyNames": {"maxLength": 1}}, {"ab": 1}, "the schema does not allow the key `ab`"),
    ({"properties": {"a": False}}, {"a": 1}, "is not allowed"),
    ({"contains": {"const": 1}}, [2], "expected at least 1 entries that match"),
    ({"contains": {}, "maxContains": 1}, [1, 2], "at least 1 and at most 1 entries"),
    ({"anyOf": [{"const": 1}, {"const": 2}]}, 3, "matches none of the 2 forms"),
    ({"oneOf": [True, True]}, 3, "matches 2 of 2 forms in the schema, expected exactly one"),
    ({"oneOf": [False]}, 3, "matches 0 of 1 forms"),
    ({"not": {}}, 3, "has a form that the schema does not allow"),
]


@pytest.mark.parametrize(("schema", "value", "message"), SAYS)
def test_the_message_of_a_violation(schema: Any, value: Any, message: str) -> None:
    (violation,) = evaluate(schema, value).violations
    assert message in violation.says


def test_a_violation_names_the_value_and_the_place_in_the_schema() -> None:
    rows = {"items": {"$ref": "https://example.org/s.json#/$defs/row"}}
    schema = {"properties": {"m": rows}, "$defs": {"row": {"type": "null"}}}
    (violation,) = evaluate(
        schema | {"$id": "https://example.org/s.json"}, {"m": [None, 1]}
    ).violations
    assert (violation.path, violation.where) == (("m", 1), "#/$defs/row/type")


@pytest.mark.parametrize("part", ["/definitions/a~0b~1c/0", "name", "/gone"])
def test_a_part_of_a_schema_can_be_evaluated(part: str) -> None:
    named = {"$anchor": "name", "type": "null"}
    found = evaluate({"definitions": {"a~b/c": [{"type": "null"}], "n": named}}, 1, part)
    if part == "/gone":
        assert found == Result(unevaluated=("'/gone': its target does not exist",))
    else:
        assert len(found.violations) == 1


EACH_OTHER = {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}
CHAIN = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(5_000)}
UNEVALUATED: dict[str, tuple[Any, str]] = {
    "a reference to a server": ({"$ref": "https://example.org/s.json"}, "to another document"),
    "a reference to a file": ({"$ref": "other.json#/a"}, "to another document"),
    "a reference to nothing": ({"$ref": "#/gone"}, "its target does not exist"),
    "a reference to no anchor": ({"$ref": "#gone"}, "its target does not exist"),
    "a reference that is a number": ({"$ref": 1}, "not a reference"),
    "a reference to itself": ({"$ref": "#"}, "refers to itself"),
    "references in a circle": ({"$ref": "#/$defs/a", "$defs": EACH_OTHER}, "refers to itself"),
    "a chain of references": ({"$ref": "#/$defs/d0", "$defs": CHAIN}, "nested too deeply"),
    "another dialect": ({"$schema": "https://example.org/mine"}, "its dialect"),
    "a keyword that looks around": ({"unevaluatedProperties": False}, "`unevaluatedProperties`"),
    "a dynamic reference": ({"$dynamicRef": "#n"}, "`$dynamicRef`"),
    "a document inside": ({"$ref": "#/$defs/a", "$defs": {"a": {"$id": "x.json"}}}, "of its own"),
    "a pattern that looks around": ({"pattern": "(?=a)"}, "look-around"),
    "a pattern that looks back": ({"pattern": r"(a)\1"}, "not supported"),
    "a schema that is a list": ({"allOf": [[]]}, "not a schema"),
    "a list of items in the latest draft": ({"$schema": LATEST, "items": [{}]}, "`prefixItems`"),
    **{
        f"`{keyword}` of a wrong type": ({keyword: 1.5 if keyword != "minimum" else "x"}, "not a")
        for keyword in (
            *("type", "enum", "pattern", "required", "properties", "patternProperties"),
            *("prefixItems", "allOf", "anyOf", "oneOf", "dependentSchemas", "minimum"),
        )
    },
    "a multiple of nothing": ({"multipleOf": 0}, "not a positive number"),
    "a limit of contains": ({"contains": {}, "minContains": "x"}, "not a number"),
    "a list of properties": ({"properties": [], "additionalProperties": False}, "not an object"),
}
VALUES: tuple[Any, ...] = ("a", {"a": 1}, [1], 1)


@pytest.mark.parametrize(("schema", "why"), UNEVALUATED.values(), ids=list(UNEVALUATED))
def test_what_cannot_be_evaluated_neither_passes_nor_fails(schema: Any, why: str) -> None:
    found = [evaluate(schema, value) for value in VALUES]
    assert any(why in part for result in found for part in result.unevaluated)
    assert not any(result.violations for result in found)
    for around in ({"not": schema}, {"anyOf": [schema, False]}, {"oneOf": [schema, False]}):
        if "$ref" not in schema and "$schema" not in schema:
            open = [r for v in VALUES if (r := evaluate(around, v)).unevaluated]
            assert open
            assert not any(r.violations for r in open if r.unevaluated == found[0].unevaluated)


DOUBLED = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2} for n in range(1, 30)}
NESTED = {"anyOf": [{"items": {"$ref": "#/$defs/a"}, "minItems": 9}] * 9}
HOSTILE: dict[str, tuple[Any, Any]] = {
    "references that double": ({"$ref": "#/$defs/d29", "$defs": {"d0": {}, **DOUBLED}}, {}),
    "every pattern on every key": (
        {"patternProperties": {f"a{n}*$": {} for n in range(3_000)}},
        {f"{'a' * 50}{n}": 1 for n in range(3_000)},
    ),
    "nested alternatives": ({"$defs": {"a": NESTED}, "$ref": "#/$defs/a"}, [[[[[[[[[[]]]]]]]]]]),
    "a backtracking pattern": ({"items": {"pattern": "^(a+)+$"}}, ["a" * 100_000 + "!"] * 20),
    "long lists that are unique": ({"uniqueItems": True}, [{"a": n} for n in range(100_000)]),
    "a long list of values": ({"items": {"enum": list(range(100_000))}}, [-1] * 100_000),
    "names in a large document": ({"$ref": "#x", "$defs": [[]] * 200_000}, 1),
}


@pytest.mark.parametrize(("schema", "value"), HOSTILE.values(), ids=list(HOSTILE))
def test_work_is_bounded(schema: Any, value: Any) -> None:
    with time_limit(5):
        evaluate(schema, value, steps=200_000)


@pytest.mark.parametrize(
    ("entries", "steps", "count", "reason"),
    [
        (50, 20, range(1, 50), "it takes too many steps: the rest"),
        (5_000, STEPS, [VIOLATIONS], "after 1,000 violations: the rest"),
    ],
)
def test_the_rest_is_unevaluated(
    entries: int, steps: int, count: Collection[int], reason: str
) -> None:
    found = evaluate({"items": {"type": "null"}}, [1] * entries, steps=steps)
    assert len(found.violations) in count
    assert reason in found.unevaluated
