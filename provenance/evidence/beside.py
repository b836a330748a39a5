# SPDX-License-Identifier: Apache-2.0
"""Files beside a registry that are not valid documents, and the schema that it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from provenance.artifacts.documents.strict_json import Position
from provenance.frozen import dataclass

if TYPE_CHECKING:  # loaded only for a registry that names a schema
    from provenance.artifacts.documents.schema_work import Violation


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a document, in words that follow "it", with the position."""

    reason: str
    position: Position


@dataclass(frozen=True, slots=True)
class NotADocument:
    """A JSON object that is not a document about models.

    Attributes:
        as_manifest: Why it is not a manifest.
        as_verdict: Why it is not a gate verdict, or None if nothing in it looks like one.
    """

    as_manifest: Fault
    as_verdict: Fault | None


@dataclass(frozen=True, slots=True)
class SchemaEvidence:
    """The JSON Schema at `path` that the registry names.

    Attributes:
        path: The path of the schema.
        violations: The violations of the schema in the registry.
        unevaluated: The parts of the schema that were not evaluated, each with the reason.
        undeclared: Keys that the schema refuses in a row, each with the place to declare it.
    """

    path: str
    violations: tuple[Violation, ...] = ()
    unevaluated: tuple[str, ...] = ()
    undeclared: Mapping[str, str] = field(default_factory=dict)
