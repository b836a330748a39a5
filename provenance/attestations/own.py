# SPDX-License-Identifier: Apache-2.0
"""Recognising this project's own documents by what they claim to be."""

from __future__ import annotations

from typing import Any, Final

from provenance.artifacts.documents.strict_json import JsonError, parse_object

_HOME: Final = "https://onnx-provenance.dev/"
"""What our predicate types, build types and verifier ids begin with."""

_PLACES: Final = (
    ("predicateType",),
    ("predicate", "buildDefinition", "buildType"),
    ("predicate", "verifier", "id"),
)


def claims_to_be_ours(payload: bytes) -> bool:
    """Whether a statement claims to be one that this project writes, which it reads strictly."""
    try:
        value = parse_object(payload)
    except JsonError:
        return False
    return any(_at(value, place).startswith(_HOME) for place in _PLACES)


def _at(value: Any, place: tuple[str, ...]) -> str:
    for step in place:
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
