# SPDX-License-Identifier: Apache-2.0
"""What a row claims about its model, where the weights come from, and whether its gate passed.

These are pure functions of the evidence. The row predicate, the rules and the report share them.
"""

from __future__ import annotations

from typing import Any

from provenance.artifacts.ensemble import GateVerdict, is_gate_verdict
from provenance.artifacts.sidecar import Document
from provenance.evidence import gates
from provenance.evidence.ensembles import current_sidecar
from provenance.evidence.evaluation import Evaluation, evaluate
from provenance.evidence.evidence import Evidence
from provenance.evidence.gates import GateResult
from provenance.evidence.origin import declared, own_sidecar
from provenance.evidence.rows import RowEvidence
from provenance.registry.rows import Classification

__all__ = [
    "Classification",
    "classification",
    "evaluated_gate",
    "gate_results",
    "origin",
    "signed_evaluations",
    "verdict_on",
]


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


def evaluated_gate(
    evidence: Evidence, row: RowEvidence
) -> dict[str, Any] | list[dict[str, Any]] | None:
    """Return the gate of the row's bytes, evaluated from the recorded numbers, ready to be signed.

    `value` must be `at-least` or `at-most` the `threshold`, as `direction` says. Each of `values`
    (one per member or fold, but at most 100 are listed) must reach the limit `least` or `most`, and
    their `spread` must be at most `spread_limit`, unless these are null. `result` is PROMOTE or
    HOLD. A member of an ensemble has the gate of the verdict file, and any other model that of its
    sidecar. If several gates of the configuration apply, the result is a list.

    Returns:
        None if there is no evaluation, or it is not about the model's bytes.
    """
    found = [one.as_json() for one in signed_evaluations(evidence, row)]
    return found if len(found) > 1 else next(iter(found), None)


def signed_evaluations(evidence: Evidence, row: RowEvidence) -> tuple[Evaluation, ...]:
    """Return the evaluations of the row's bytes: by the configured gates, or the built-in one."""
    sidecar = own_sidecar(row)
    if sidecar is None and not _is_listed(row):
        return ()
    if evidence.gates_of(row):
        results = gate_results(evidence, row)
        return tuple(each.evaluation for each in results if each.evaluation is not None)
    if sidecar is None:
        return ()
    if row.manifest is not None:
        record: Document | None = verdict_on(evidence, row)
    else:
        record = sidecar if sidecar.text_at("ensemble_id") is None else None
    found = evaluate(record) if record is not None else None
    return () if found is None else (found,)


def gate_results(evidence: Evidence, row: RowEvidence) -> tuple[GateResult, ...]:
    """Return the results of the configured gates that apply to a row or to its ensemble.

    The result is empty if the document with the values is missing, or is not a sidecar of the
    model.
    """
    applying = evidence.gates_of(row)
    if not applying:
        return ()
    if row.manifest is not None:
        verdict = verdict_on(evidence, row)
        return () if verdict is None else gates.of_ensemble(verdict, row.manifest, applying)
    sidecar = current_sidecar(row.onnx, row.sidecar)
    if sidecar is None or sidecar.text_at("ensemble_id") is not None:
        return ()
    return gates.of_model(sidecar, applying)


def _is_listed(row: RowEvidence) -> bool:
    """Whether the row has no sidecar, and a manifest lists its model with its present digest."""
    if row.manifest is None or row.sidecar is not None or row.onnx is None:
        return False
    return any(
        member.onnx == row.entry.onnx and member.sha256 == row.onnx.sha256
        for member in row.manifest.members
    )


def verdict_on(evidence: Evidence, row: RowEvidence) -> GateVerdict | None:
    """Return the gate verdict on the ensemble of a row, or None unless there is exactly one."""
    ensemble, manifest = evidence.ensemble_of(row), row.manifest
    if ensemble is not None:
        return ensemble.verdict
    if row.verdict is None and manifest is not None and is_gate_verdict(manifest.value):
        return GateVerdict(manifest.path, manifest.digest, manifest.text, manifest.value)
    return row.verdict
