# SPDX-License-Identifier: Apache-2.0
"""Check whether a former field of a row is still true of the present files.

If a file cannot be read, the field counts as not true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from provenance.artifacts.digest import canonical, sha256_of
from provenance.evidence.rows import FileEvidence, ModelEvidence, RowEvidence
from provenance.gate.rules.base import short, shown
from provenance.registry.rows import INT8_MODES, Row


def refutation(row: RowEvidence, field: str, was: Row) -> str | None:
    """Return why the former value of a field is not true of the present files, or None if it is.

    A field that does not describe bytes is always true.

    Args:
        row: The evidence about the present row with the former field put back.
        field: The name of the field.
        was: The former row.
    """
    value = was.fields.get(field)
    match field:
        case "onnx":
            return other_bytes(row, {"sha256": row.entry.fields.get("sha256")})
        case "sha256" | "int8_sha256" | "external_data_sha256":
            return other_bytes(row, {field: value})
        case "smoke":
            return other_bytes(row, was.fields)
        case "opset":
            return _other_opset(row.onnx, value)
        case "quant_mode":
            quantized = value in INT8_MODES
            return _unreadable(row.variant, "the int8 variant") if quantized else None
    return None


def other_bytes(row: RowEvidence, declared: Mapping[str, Any]) -> str | None:
    """Return which file lacks the digest that a former row declares, or None if all have it."""
    for absent, file, sha256 in _declared(row, declared):
        if file is None:
            return absent
        if file.sha256 is None:
            return file.problem.message if file.problem else f"{file.path} cannot be read"
        if file.sha256 != sha256_of(sha256):
            known = short(canonical(sha256)) if isinstance(sha256, str) else shown(sha256)
            return f"the digest of {file.path} is {short(file.sha256)}, not {known}"
    return None


def _declared(
    row: RowEvidence, declared: Mapping[str, Any]
) -> Iterator[tuple[str, FileEvidence | None, Any]]:
    """Yield each declared digest with its file, and the message if the file is missing."""
    if "sha256" in declared:
        yield "the model is missing", row.onnx, declared["sha256"]
    if "int8_sha256" in declared:
        yield "the int8 variant is missing", row.variant, declared["int8_sha256"]
    data = declared.get("external_data_sha256")
    files = {f.name: f for m in row.models for f in m.external}
    for name, sha256 in data.items() if isinstance(data, dict) else ():
        yield f"no model uses {name}", files.get(name), sha256


def _other_opset(model: ModelEvidence | None, value: Any) -> str | None:
    reason = _unreadable(model, "the model")
    if reason is not None or model is None or model.facts is None:
        return reason
    actual = model.facts.opset
    return None if actual == value else f"{model.path} imports opset {actual}, not {shown(value)}"


def _unreadable(model: ModelEvidence | None, called: str) -> str | None:
    if model is None:
        return f"{called} is missing"
    if model.problem is not None:
        return model.problem.message
    return None if model.facts is not None else f"{model.path} is not an ONNX model"
