# SPDX-License-Identifier: Apache-2.0
"""ART308, ART314 and ART315: int8 variants, which a runtime can open instead of their models."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.artifacts.onnx_model import OnnxFacts, TensorSpec
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Rule, accept, command, short
from provenance.gate.rules.case import Case
from provenance.gate.rules.recovery_help import lost_field


class Int8Undeclared(Rule):
    """A row has no digest for its quantized variant.

    ## What it does
    Requires `int8_sha256` if `<stem>.int8.onnx` exists beside the model. If the row says that the
    model is quantized and the file does not exist, ART301 reports it.

    ## Why it matters
    The runtime opens the int8 file instead of the model, so a digest must cover that file.

    ## Example
    `"quant_mode": "dynamic"` without `int8_sha256`, and `m.int8.onnx` beside `m.onnx`.

    ## How to fix
    Add `"int8_sha256": ""` after `sha256` and run `provenance hash ROW --write`, or remove the
    int8 file.
    """

    code = "ART308"
    slug = "int8-undeclared"
    looks_around = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if row.int8 is None or row.int8.missing or "int8_sha256" in row.entry.fields:
            return
        mode = row.entry.text("quant_mode")
        reason = (
            f"`{row.called('quant_mode')}` is {mode!r}"
            if mode not in (None, "fp32")
            else "the file exists"
        )
        lost = lost_field(case, row, "int8_sha256")
        yield self.in_row(
            case,
            row,
            "quant_mode",
            f"no `{row.called('int8_sha256')}` for {row.int8.path} ({reason})"
            + (lost.said if lost else ""),
            lost.help
            if lost
            else case.declare_first(row.called("int8_sha256"))
            + f'Add "{row.called("int8_sha256")}": "" to the row, then: '
            + command("hash", row.label, "--write"),
        )


class Int8Interface(Rule):
    """The inputs or outputs of the int8 variant differ from those of its model.

    ## What it does
    Compares the names, order, element types and dimensions of the inputs and outputs of both files.
    Dimensions are compared only if both are numbers.

    ## Why it matters
    For a quantized row the runtime opens the int8 file, and feeds it the inputs of the row's model.
    If a name or type differs, the runtime fails; if the order differs, the results are wrong.

    ## Example
    `m.onnx` takes `features: float [batch, 6]`, `m.int8.onnx` takes `input: float [batch, 6]`.

    ## How to fix
    Quantize the model again, starting from the file that the row names.
    """

    code = "ART314"
    slug = "int8-interface"
    deferrable = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if row.onnx is None or row.int8 is None or any(map(row.replaced, row.models)):
            return
        model, variant = row.onnx.facts, row.int8.facts
        difference = _difference(model, variant) if model and variant else None
        if difference is not None:
            yield self.in_row(
                case,
                row,
                "int8_sha256",
                f"{row.int8.name} has {difference[1]}; {row.onnx.name} has {difference[0]}",
                "Quantize the model again, from the file that the row names, then: " + accept(row),
                about=row.int8.path,
            )


class Int8NotQuantized(Rule):
    """The int8 variant is a copy of the model.

    ## What it does
    Compares the bytes of both files. The variant of a placeholder (`smoke: true`) may be a copy.

    ## Why it matters
    The row promises a model that was quantized, measured and found good enough. The file that the
    runtime opens is not quantized at all.

    ## Example
    `cp m.onnx m.int8.onnx`, and `"quant_mode": "dynamic"`.

    ## How to fix
    Quantize the model, or remove the int8 file, `int8_sha256` and `quant_mode`.
    """

    code = "ART315"
    slug = "int8-not-quantized"
    deferrable = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if row.onnx is None or row.int8 is None or any(map(row.replaced, row.models)):
            return
        is_same = row.int8.sha256 is not None and row.int8.sha256 == row.onnx.sha256
        if is_same and not row.entry.smoke:
            yield self.in_row(
                case,
                row,
                "int8_sha256",
                f"{row.int8.name} and {row.onnx.name} have the same digest, "
                f"{short(row.onnx.sha256)}",
                "Remove the int8 file and its fields, or quantize the model, then: " + accept(row),
                about=row.int8.path,
            )


def _difference(model: OnnxFacts, variant: OnnxFacts) -> tuple[str, str] | None:
    """Return the first difference between two interfaces: the first model's side, the second's."""
    for side, ours, theirs in (
        ("inputs", model.inputs, variant.inputs),
        ("outputs", model.outputs, variant.outputs),
    ):
        if len(ours) == len(theirs):
            pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if not _alike(a, b)]
            if not pairs:
                continue
            ours, theirs = (pairs[0][0],), (pairs[0][1],)
            side = side.removesuffix("s")
        return _listed(side, ours), _listed(side, theirs)
    return None


def _alike(a: TensorSpec, b: TensorSpec) -> bool:
    if (a.name, a.dtype) != (b.name, b.dtype):
        return False
    if a.shape is None or b.shape is None:
        return True
    sizes = zip(a.shape, b.shape, strict=False)
    return len(a.shape) == len(b.shape) and not any(
        isinstance(x, int) and isinstance(y, int) and x != y for x, y in sizes
    )


def _listed(side: str, specs: tuple[TensorSpec, ...]) -> str:
    return f"{side} {'; '.join(map(str, specs))[:200]}" if specs else f"no {side}"
