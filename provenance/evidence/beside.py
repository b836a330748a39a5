# SPDX-License-Identifier: Apache-2.0
"""What lies beside a registry and cannot be judged as a document, and the schema that it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provenance.artifacts.documents.strict_json import Position

if TYPE_CHECKING:  # loaded only for a registry that names a schema
    from provenance.artifacts.documents.schema_work import Violation


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a document, in words that follow "it", and at which place."""

    reason: str
    position: Position


@dataclass(frozen=True, slots=True)
class NotADocument:
    """A JSON object that is no document about models, and why.

    `as_verdict` is None where nothing in it looks like a verdict.
    """

    as_manifest: Fault
    as_verdict: Fault | None


@dataclass(frozen=True, slots=True)
class SchemaEvidence:
    """The JSON Schema at `path` that the registry names.

    Attributes:
        violations: What it does not allow of the registry.
        unevaluated: Parts of it that were not evaluated, each with the reason.
        undeclared: Keys that a row may not have, each with the place to declare it in the schema.
    """

    path: str
    violations: tuple[Violation, ...] = ()
    unevaluated: tuple[str, ...] = ()
    undeclared: Mapping[str, str] = field(default_factory=dict)
