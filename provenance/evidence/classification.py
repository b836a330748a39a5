# SPDX-License-Identifier: Apache-2.0
"""What a row claims about its model, where the weights come from, and whether its gate passed.

These are pure functions of the evidence. The row predicate, the rules and the report share them.
"""

from __future__ import annotations

from typing import Any

from provenance.artifacts.ensemble import GateVerdict, is_gate_verdict
from provenance.artifacts.sidecar import Document
from provenance.evidence.evaluation import evaluate
from provenance.evidence.evidence import Evidence
from provenance.evidence.origin import declared, own_sidecar
from provenance.evidence.rows import RowEvidence
from provenance.registry.rows import Classification

__all__ = ["Classification", "classification", "evaluated_gate", "origin", "verdict_on"]


def classification(row: RowEvidence) -> Classification:
    """Return what the row claims by `smoke`, which is false, true, or missing.

    A value of another JSON type claims nothing, and REG101 reports it.
    """
    return row.entry.classification


def origin(row: RowEvidence) -> dict[str, Any] | None:
    """Return the declared origin of an imported model, ready to be signed.

    It is the object `origin` of the sidecar: `source` and `license`, and optionally `license_url`,
    `revision` and `sha256` (of the upstream file). All are strings of at most 2,048 characters.

    Returns:
        None if the sidecar declares no origin, does not describe the bytes of the model, or
        declares an origin that is malformed or contradicts a training in this repository (SID419).
    """
    return declared(row)


def evaluated_gate(evidence: Evidence, row: RowEvidence) -> dict[str, Any] | None:
    """Return the gate of the row's bytes, recomputed from its recorded numbers, ready to be signed.

    `value` is the mean of `values` (one per seed or fold, but at most 100 are listed) and must be
    `at-least` the `threshold`. Each value must be at least `least`, and their `spread` at most
    `spread_limit`, unless these are null. `result` is PROMOTE or HOLD. A member of an ensemble has
    the gate of the verdict file, and any other model that of its sidecar.

    Returns:
        None if there is no evaluation, or the sidecar does not describe the model's bytes.
    """
    sidecar = own_sidecar(row)
    if sidecar is None:
        return None
    if row.manifest is not None:
        record: Document | None = verdict_on(evidence, row)
    else:
        record = sidecar if sidecar.text_at("ensemble_id") is None else None
    found = evaluate(record) if record is not None else None
    return found.as_json() if found else None


def verdict_on(evidence: Evidence, row: RowEvidence) -> GateVerdict | None:
    """Return the gate verdict on the ensemble of a row, or None unless there is exactly one."""
    ensemble, manifest = evidence.ensemble_of(row), row.manifest
    if ensemble is not None:
        return ensemble.verdict
    if row.verdict is None and manifest is not None and is_gate_verdict(manifest.value):
        return GateVerdict(manifest.path, manifest.digest, manifest.text, manifest.value)
    return row.verdict
