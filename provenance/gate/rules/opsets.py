# SPDX-License-Identifier: Apache-2.0
"""The opset of a row and that of its model: ART310 reports it, and no other rule."""

from __future__ import annotations

from typing import Final

from provenance.artifacts.forms import is_whole
from provenance.evidence.rows import RowEvidence

OPSETS: Final = ("opset", "onnx_opset")
"""What a sidecar calls the version of ONNX's own operator set."""


def other_opset(row: RowEvidence) -> int | None:
    """The opset that the row's model imports, if the row declares another one."""
    declared = row.entry.fields.get("opset")
    model = row.onnx
    if model is None or model.facts is None or row.replaced(model):
        return None
    if not is_whole(declared):
        return None  # REG101 reports its type
    return model.facts.opset if model.facts.opset != declared else None


def repeats_opset(row: RowEvidence, claim: object) -> bool:
    """Whether a sidecar of the row's model claims the wrong opset that the row declares."""
    declared = row.entry.fields.get("opset")
    return is_whole(claim) and claim == declared and other_opset(row) is not None
