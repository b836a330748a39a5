# SPDX-License-Identifier: Apache-2.0
"""What a row claims of its model, where the weights come from, and how its gate was passed.

Pure functions of the evidence: the row predicate, the rules and the report ask the same ones.
"""

from __future__ import annotations

from typing import Any

from provenance.artifacts.ensemble import GateVerdict, is_gate_verdict
from provenance.artifacts.registry import Classification
from provenance.artifacts.sidecar import Document
from provenance.evidence.evaluation import evaluate
from provenance.evidence.evidence import Evidence
from provenance.evidence.origin import declared, own_sidecar
from provenance.evidence.rows import RowEvidence

__all__ = ["Classification", "classification", "evaluated_gate", "origin", "verdict_on"]


def classification(row: RowEvidence) -> Classification:
    """Return what the row claims: by `smoke`, which is false, true, or missing.

    A value of another JSON type claims nothing; REG101 reports it.
    """
    return row.entry.classification


def origin(row: RowEvidence) -> dict[str, Any] | None:
    """Return the declared origin of an imported model, ready to be signed.

    It is the object `origin` of the sidecar: `source` and `license`, and where they are declared
    `license_url`, `revision` and `sha256` (that of the upstream file). All are strings of at most
    2,048 characters.

    Returns:
        None if the sidecar declares no origin, does not describe the bytes of the model, or
        declares an origin that is malformed or contradicts a training in this repository (SID419).
    """
    return declared(row)


def evaluated_gate(evidence: Evidence, row: RowEvidence) -> dict[str, Any] | None:
    """Return the gate of the row's bytes, recomputed from its recorded numbers, ready to be signed.

    `value`, the mean of `values` (one per seed or fold; of more than 100, the first), has to be
    `at-least` the `threshold`; each value at least `least`, and their `spread` at most
    `spread_limit`, where these are not null. `result` is PROMOTE or HOLD. The gate of an ensemble's
    member is that of its verdict file, any other that of the sidecar.

    Returns:
        None if nothing was evaluated, or only other bytes: the sidecar does not describe the model.
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
    """Return the one gate verdict on the ensemble of a row, or None if there is no single one."""
    ensemble, manifest = evidence.ensemble_of(row), row.manifest
    if ensemble is not None:
        return ensemble.verdict
    if row.verdict is None and manifest is not None and is_gate_verdict(manifest.value):
        return GateVerdict(manifest.path, manifest.digest, manifest.text, manifest.value)
    return row.verdict
