# SPDX-License-Identifier: Apache-2.0
"""ART313 to ART315: one file for two rows, and int8 variants that stand in for their model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provenance.artifacts.onnx_model import OnnxFacts, TensorSpec
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Case, Rule, accept, short


class SharedFile(Rule):
    """Two rows have one file.

    ## What it does
    Compares the paths in `onnx` of all rows. A row of its own for an int8 variant, and one
    external-data file for several models, are no such thing: each row has its digest of them.

    ## Why it matters
    A consumer that looks a file up finds the first row, and its license, bundle and kind count. The
    second row's are never looked at, and a new export of "its" model changes the first one's.

    ## Example
    ```json
    [{"id": "vmaf_tiny_v2", "onnx": "vmaf_tiny.onnx"},
     {"id": "vmaf_tiny_v3", "onnx": "vmaf_tiny.onnx"}]
    ```

    ## How to fix
    Keep one row, or give each its own file.
    """

    code = "ART313"
    slug = "shared-file"
    deferrable = True

    def judge(self, case: Case) -> Iterator[Finding]:
        first: dict[str, RowEvidence] = {}
        for row in case.evidence.rows:
            # A row whose digest is not that of the file means another one: ART302 reports it.
            if row.onnx is None or row.replaced(row.onnx):
                continue
            other = first.setdefault(row.onnx.path, row)
            # A row that stands there twice has its id twice: REG102 says so.
            if other.entry.label != row.label:
                yield self.in_row(
                    case,
                    row,
                    "onnx",
                    f"{row.onnx.name} is already the model of {other.entry.label!r}",
                    "Keep one row, or give each its own file.",
                    about=row.onnx.path,
                )


class Int8Interface(Rule):
    """The int8 variant does not take the inputs of its model, or does not give its outputs.

    ## What it does
    Compares names, order, element types and dimensions of inputs and outputs of both files.
    Dimensions are compared where both are numbers.

    ## Why it matters
    For a quantized row the runtime opens the int8 file instead, and feeds it what the row's model
    takes. With another name or type it refuses; with another order it computes nonsense.

    ## Example
    `m.onnx` takes `features: float [batch, 6]`, `m.int8.onnx` takes `input: float [batch, 6]`.

    ## How to fix
    Quantize the model again, from the file that the row names.
    """

    code = "ART314"
    slug = "int8-interface"
    deferrable = True

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            if row.onnx is None or row.int8 is None or any(map(row.replaced, row.models)):
                continue
            model, variant = row.onnx.facts, row.int8.facts
            difference = _difference(model, variant) if model and variant else None
            if difference is not None:
                yield self.in_row(
                    case,
                    row,
                    "int8_sha256",
                    f"{row.int8.name} has {difference[1]}; {row.onnx.name} has {difference[0]}",
                    "Quantize the model again, from the file that the row names, then: "
                    + accept(row),
                    about=row.int8.path,
                )


class Int8NotQuantized(Rule):
    """The int8 variant of a production row is the model itself.

    ## What it does
    Compares the bytes of both files. Placeholders (`smoke: true`) may be copies.

    ## Why it matters
    The row promises a model that was quantized, measured and found good enough. What the runtime
    opens is the model that it could have opened without it: the quantization was lost.

    ## Example
    `cp m.onnx m.int8.onnx`, and `"quant_mode": "dynamic"`.

    ## How to fix
    Quantize the model, or remove the int8 file, `int8_sha256` and `quant_mode`.
    """

    code = "ART315"
    slug = "int8-not-quantized"
    deferrable = True

    def judge(self, case: Case) -> Iterator[Finding]:
        for row in case.evidence.rows:
            if row.onnx is None or row.int8 is None or row.entry.smoke:
                continue
            if any(map(row.replaced, row.models)):
                continue
            if row.int8.sha256 is not None and row.int8.sha256 == row.onnx.sha256:
                yield self.in_row(
                    case,
                    row,
                    "int8_sha256",
                    f"{row.int8.name} and {row.onnx.name} are the same bytes, "
                    f"{short(row.onnx.sha256)}",
                    "Remove the int8 file and its fields, or quantize the model, then: "
                    + accept(row),
                    about=row.int8.path,
                )


def _difference(model: OnnxFacts, variant: OnnxFacts) -> tuple[str, str] | None:
    """What differs first between the interfaces of two models: of the one, and of the other."""
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


RULES: Final[tuple[type[Rule], ...]] = (SharedFile, Int8Interface, Int8NotQuantized)
