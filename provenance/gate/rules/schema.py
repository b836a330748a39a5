# SPDX-License-Identifier: Apache-2.0
"""REG114: the registry and the JSON Schema that it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from provenance.artifacts.documents.json_edit import Set
from provenance.artifacts.documents.strict_json import START, JsonPath
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding, Fix
from provenance.gate.rules.base import Rule
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope
from provenance.gate.rules.digest_fields import SPELL, respelled
from provenance.gate.rules.opsets import other_opset
from provenance.gate.rules.registry import is_malformed, outside
from provenance.registry.reading import STOCK_ROWS
from provenance.registry.rows import FIELDS, is_blank

if TYPE_CHECKING:  # loaded only for a registry that names a schema
    from provenance.artifacts.documents.schema_work import Violation

_REQUIRED: Final = frozenset({"id", "onnx", "sha256", "license", "license_url", "sigstore_bundle"})
"""Fields whose absence REG101, LIC201, LIC202 and LIC203 report."""


class SchemaViolated(Rule):
    """The registry violates the JSON Schema that it names in `$schema`.

    ## What it does
    Evaluates the schema if `$schema` is a path in this repository, relative to the registry's
    folder. Drafts 4 to 2020-12 are supported. `format` is ignored, and nothing is fetched: a schema
    at a URL, or a `$ref` to another document, is not evaluated. Keywords and patterns that cannot
    be evaluated with bounded work are listed under "not judged". Problems that another rule reports
    about the same field are not reported again.

    ## Why it matters
    The schema is the registry's contract with its readers. A loader that validates the registry
    refuses the whole file, and one that does not may fail on an unexpected field.

    ## Example
    The schema allows `notes` of at most 512 characters:
    ```json
    {"$schema": "./registry.schema.json", "models": [{"id": "m", "notes": "600 characters"}]}
    ```

    ## How to fix
    Correct the value as the message says, or the schema at the place that the help names.
    """

    code = "REG114"
    slug = "schema-violated"
    looks_around = True
    scopes = (Scope.ROW, Scope.REGISTRY)
    deferrable = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        start = len(row.entry.location)
        for violation in case.evidence.registry_wide.violations.get(row.index, ()):
            below = violation.path[start:]
            if not _reported(case, row, violation, below):
                edits = _respelled(case, row, violation.path)
                yield self.in_row(
                    case,
                    row,
                    None,
                    _says(case, violation, below),
                    SPELL if edits else _help(case, violation),
                    below=(*below, *_member(violation)),
                    fixes=edits,
                )

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        file = case.evidence.registry.files[0]
        found = case.evidence.registry_wide.violations.get(None, ())
        for violation in found if case.evidence.whole else ():
            # Rows that are not unique have equal ids, which REG102 reports.
            if (violation.path, violation.keyword) != (STOCK_ROWS, "uniqueItems"):
                member = file.source.find((*violation.path, *_member(violation)))
                yield self.finding(
                    _says(case, violation, violation.path),
                    _help(case, violation),
                    path=file.path,
                    position=file.source.position(member.start) if member else START,
                )


def _member(violation: Violation) -> JsonPath:
    """Return the path of the key that is not allowed, or () if the violation is not about one."""
    if violation.member is None or violation.keyword == "required":
        return ()
    return (violation.member,)


def _says(case: Case, violation: Violation, below: JsonPath) -> str:
    name = f"`{'.'.join(str(step)[:60] for step in below)}`: " if below else ""
    assert case.evidence.schema is not None
    return f"{name}{violation.says} ({case.evidence.schema.path})"


def _respelled(case: Case, row: RowEvidence, place: JsonPath) -> tuple[Fix, ...]:
    """Return the fix that writes the digest at `place` in lower-case hex, or () if it is."""
    registry = case.evidence.registry
    found = ((row.entry.place(*where), sha256) for where, _, sha256 in respelled(row))
    return tuple(Fix(registry.path, Set(path, sha256)) for path, sha256 in found if path == place)


def _help(case: Case, violation: Violation) -> str:
    assert case.evidence.schema is not None
    declare = f"{case.evidence.schema.path}{violation.where}"
    if violation.keyword != "additionalProperties" or violation.member is None:
        return f"{violation.help} Or correct the schema: {declare}"
    shown = f"`{violation.member[:60]}`"
    declare = f"{declare.removesuffix('additionalProperties')}properties"
    is_known = violation.member in FIELDS
    if is_known or _was_there(case, violation):
        return f"Declare {shown} in the schema: {declare}"  # another rule requires the field
    return f"Remove {shown}, or declare it in the schema: {declare}"


def _was_there(case: Case, violation: Violation) -> bool:
    """Return whether the baseline has the key too, so that BAS802 or BAS807 reports its removal."""
    baseline, place = case.evidence.baseline, STOCK_ROWS
    if baseline is None:
        return False
    if violation.path == ():
        return violation.member in baseline.comparison.then.files[0].keys
    index = violation.path[len(place) :]
    if len(index) != 1 or not isinstance(index[0], int):
        return False
    former = baseline.rows.get(index[0])
    return former is not None and violation.member in former.row.verbatim


def _reported(case: Case, row: RowEvidence, violation: Violation, below: JsonPath) -> bool:
    """Return whether another rule reports the same cause at the same place."""
    fields: Mapping[str, Any] = row.entry.fields
    first = below[0] if below else violation.member
    field = first if isinstance(first, str) else None
    if field is None:
        return False
    if field not in fields:
        return not below and violation.keyword == "required" and field in _REQUIRED
    value = fields[field]
    if is_malformed(field, value) or (field in _REQUIRED and is_blank(value)):
        return True
    if field == "opset" and other_opset(row) is not None:
        return True
    path = row.entry.text(field) if field in ("onnx", "sigstore_bundle") else None
    return path is not None and outside(case, path) is not None


RULES: Iterable[type[Rule]] = (SchemaViolated,)
