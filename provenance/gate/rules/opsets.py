# SPDX-License-Identifier: Apache-2.0
"""Compare the opset of a row with that of its model. Only ART310 reports a difference."""

from __future__ import annotations

from typing import Final

from provenance.artifacts.forms import is_whole
from provenance.evidence.rows import RowEvidence

OPSETS: Final = ("opset", "onnx_opset")
"""The fields of a sidecar for the version of the ONNX operator set."""


def other_opset(row: RowEvidence) -> int | None:
    """Return the opset that the row's model imports, or None if the row declares the same."""
    declared = row.entry.fields.get("opset")
    model = row.onnx
    if model is None or model.facts is None or row.replaced(model):
        return None
    if not is_whole(declared):
        return None  # REG101 reports its type
    return model.facts.opset if model.facts.opset != declared else None


def repeats_opset(row: RowEvidence, claim: object) -> bool:
    """Return whether a sidecar's claim repeats the wrong opset of its row."""
    declared = row.entry.fields.get("opset")
    return is_whole(claim) and claim == declared and other_opset(row) is not None
