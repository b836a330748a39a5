# SPDX-License-Identifier: Apache-2.0
"""What a row claims of its model, where the weights come from, and how its gate was passed.

Pure functions of the evidence: the row predicate, the rules and the report ask the same ones.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from provenance.artifacts.digest import is_sha256
from provenance.artifacts.registry import Row, is_blank
from provenance.artifacts.sidecar import Sidecar
from provenance.artifacts.spdx import NotAnExpressionError, unknown_ids
from provenance.gate.evidence import Evidence, RowEvidence
from provenance.gate.rules.ensembles.evaluated import evaluate
from provenance.gate.rules.sidecars.current import describes_its_model

ORIGIN: Final = "origin"
"""The member of a sidecar in which an imported model is declared."""

MAX_TEXT: Final = 2048
"""Characters of each text of an origin."""

_REQUIRED: Final = ("source", "license")
_OPTIONAL: Final = ("license_url", "revision", "sha256")


class Classification(StrEnum):
    """What a row claims of its model.

    PRODUCTION is a claim that needs evidence (SID417). UNCLAIMED rows claim nothing: their evidence
    may be missing, and must agree where it exists.
    """

    PRODUCTION = "production"
    SMOKE = "smoke"
    UNCLAIMED = "unclaimed"


def classification(row: RowEvidence) -> Classification:
    """Return what the row claims: by `smoke`, which is false, true, or missing.

    A value of another JSON type claims nothing; REG101 reports it.
    """
    return claimed(row.row)


def claimed(row: Row) -> Classification:
    """Return what a row as read claims of its model."""
    match row.fields.get("smoke"):
        case True:
            return Classification.SMOKE
        case False:
            return Classification.PRODUCTION
    return Classification.UNCLAIMED


def origin(row: RowEvidence) -> dict[str, Any] | None:
    """Return the declared origin of an imported model, ready to be signed.

    It is the object `origin` of the sidecar: `source` and `license`, and where they are declared
    `license_url`, `revision` and `sha256` (that of the upstream file).

    Returns:
        None if the sidecar declares no origin, declares one that is malformed (SID419), or does not
        describe the bytes of the model.
    """
    sidecar = row.sidecar.sidecar if row.sidecar else None
    if sidecar is None or row.onnx is None or not describes_its_model(row.onnx, sidecar):
        return None
    declared = sidecar.get(ORIGIN)
    if not isinstance(declared, dict) or malformed_origin(sidecar) is not None:
        return None
    return {key: declared[key] for key in (*_REQUIRED, *_OPTIONAL) if key in declared}


def malformed_origin(sidecar: Sidecar) -> tuple[tuple[str, ...], str] | None:
    """Return the place and the fault of an origin that is not valid, or None."""
    if ORIGIN not in sidecar.value:
        return None
    declared = sidecar.value[ORIGIN]
    if not isinstance(declared, dict):
        return (ORIGIN,), f"`{ORIGIN}` is not an object"
    for key in (*_REQUIRED, *_OPTIONAL):
        where, value = (ORIGIN, key), declared.get(key)
        if key not in declared:
            if key in _REQUIRED:
                return (ORIGIN,), f"`{ORIGIN}` has no `{key}`"
        elif not isinstance(value, str) or is_blank(value):
            return where, f"`{ORIGIN}.{key}` is not a non-empty string"
        elif len(value) > MAX_TEXT:
            return where, f"`{ORIGIN}.{key}` is longer than {MAX_TEXT:,} characters"
    if not is_expression(declared["license"]):
        return (ORIGIN, "license"), f"`{ORIGIN}.license` is not an SPDX license expression"
    if "sha256" in declared and not is_sha256(declared["sha256"]):
        return (ORIGIN, "sha256"), f"`{ORIGIN}.sha256` is not a SHA-256 digest"
    return None


def is_expression(license: str) -> bool:
    """Return whether a text is an SPDX license expression."""
    try:
        unknown_ids(license)
    except NotAnExpressionError:
        return False
    return True


def evaluated_gate(_evidence: Evidence, row: RowEvidence) -> dict[str, Any] | None:
    """Return the gate of the row's bytes, recomputed from its recorded numbers, ready to be signed.

    `value`, the mean of `values` (one per seed or fold; of more than 100, the first), has to be
    `at-least` the `threshold`; each value at least `least`, and their `spread` at most
    `spread_limit`, where these are not null. `result` is PROMOTE or HOLD. The gate of an ensemble's
    member is that of its verdict file, any other that of the sidecar.

    Returns:
        None if nothing was evaluated, or only other bytes: the sidecar does not describe the model.
    """
    sidecar = row.sidecar.sidecar if row.sidecar else None
    if sidecar is None or row.onnx is None or not describes_its_model(row.onnx, sidecar):
        return None
    if row.manifest is not None:
        record = evaluate(row.verdict or row.manifest)
    else:
        record = None if sidecar.text_at("ensemble_id") is not None else evaluate(sidecar)
    return record.as_json() if record else None
