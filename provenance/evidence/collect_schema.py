# SPDX-License-Identifier: Apache-2.0
"""Evaluate the registry against the JSON Schema that it names in `$schema`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from provenance.artifacts import limits
from provenance.artifacts.documents.strict_json import JsonError, decode, parse
from provenance.artifacts.paths import FileError, Tree
from provenance.evidence.beside import SchemaEvidence
from provenance.registry.reading import STOCK_ROWS
from provenance.registry.registry import Registry
from provenance.registry.rows import FIELDS

_KEY: Final = "$schema"
_PROBE_STEPS: Final = 100_000
"""The maximum number of evaluation steps for one row that has every field."""

_ELSEWHERE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")


def registry_schema(
    root: Tree, registry: Registry, addable: Iterable[str] = ()
) -> SchemaEvidence | None:
    """Return the violations of the registry's schema, or None if it names no local schema.

    `addable` are keys, besides those of `FIELDS`, that the help of a finding may add to a row. URLs
    are never fetched.
    """
    if registry.stock is None:
        return None
    named = registry.stock.members.get(_KEY)
    if not isinstance(named, str) or _ELSEWHERE.match(named):
        return None
    name, _, fragment = named.partition("#")
    if not name:
        return None
    path = registry.absolute(unquote(name))
    try:
        schema = parse(decode(root.read(path, limits.SCHEMA)))
    except FileError as e:
        return SchemaEvidence(path, unevaluated=(e.message,))
    except JsonError as e:
        return SchemaEvidence(path, unevaluated=(f"it {e}",))
    from provenance.artifacts.documents import json_schema  # loaded only for a schema

    found = json_schema.evaluate(schema, _instance(registry), fragment)
    return SchemaEvidence(
        path,
        found.violations,
        found.unevaluated,
        _undeclared(schema, fragment, registry, addable),
    )


def _undeclared(
    schema: Any, fragment: str, registry: Registry, addable: Iterable[str]
) -> dict[str, str]:
    """Return the keys that the schema refuses in a row, each with the place to declare it."""
    from provenance.artifacts.documents import json_schema

    row: Mapping[str, Any] = registry.rows[0].verbatim if registry.rows else {}
    more = dict.fromkeys([*FIELDS, *addable])
    instance = {**registry.files[0].members, STOCK_ROWS[0]: [{**more, **row}]}
    found = json_schema.evaluate(schema, instance, fragment, steps=_PROBE_STEPS)
    return {
        violation.member: f"{violation.where.removesuffix('additionalProperties')}properties"
        for violation in found.violations
        if violation.keyword == "additionalProperties"
        and violation.member in more
        and violation.path == (*STOCK_ROWS, 0)
    }


def _instance(registry: Registry) -> dict[str, Any]:
    """Return the registry as it was read, with null for entries that are not rows (REG101)."""
    file = registry.files[0]
    rows: list[Any] = [None] * (len(registry.rows) + len(file.not_rows))
    for row in registry.rows:
        rows[row.index] = row.verbatim
    return {**file.members, STOCK_ROWS[0]: rows}
