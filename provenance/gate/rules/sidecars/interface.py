# SPDX-License-Identifier: Apache-2.0
"""SID410 to SID413: the names, shapes, types and opset in the sidecar match the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Final

from provenance.artifacts.documents.json_edit import Edit, Set
from provenance.artifacts.documents.strict_json import JsonPath
from provenance.artifacts.forms import STRING, WHOLE, Form, is_names, is_whole
from provenance.artifacts.onnx_model import OnnxFacts, TensorSpec, plain_dtype
from provenance.artifacts.sidecar import Sidecar
from provenance.evidence.rows import ModelEvidence, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import shown, some
from provenance.gate.rules.case import Case
from provenance.gate.rules.forms import NAMES, Forms
from provenance.gate.rules.opsets import OPSETS, repeats_opset
from provenance.gate.rules.sidecars.current import ClaimRule, describes_its_model, entries

_SIDES: Final = ("input", "output")

_SIZES: Final = {"frame_window": 5, "thumbnail_h": 4, "thumbnail_w": 4}
"""The fields for a size of an input, each with the least number of dimensions of that input."""

_SHAPES: Final = frozenset((*(f"{side}_shape{s}" for side in _SIDES for s in ("", "s")), *_SIZES))
_DTYPES: Final = frozenset((*(f"{side}_dtype{s}" for side in _SIDES for s in ("", "s")), "dtype"))
"""The members of a sidecar that declare shapes, and those that declare types."""


class _GraphClaim(ClaimRule):
    deferrable = True
    advice: ClassVar[str] = "Export model and sidecar together."

    def judge_sidecar(
        self, case: Case, row: RowEvidence, model: ModelEvidence, sidecar: Sidecar
    ) -> Iterator[Finding]:
        if model.facts is not None:
            for member, message in self.refuted(model.facts, model.name, sidecar):
                if self.is_reported(row, model, sidecar, member):
                    continue
                fixes = self.correction(model, sidecar, member)
                yield self.at(sidecar, member, message, self.advice, row=row.label, fixes=fixes)

    def is_reported(
        self, row: RowEvidence, model: ModelEvidence, sidecar: Sidecar, member: JsonPath
    ) -> bool:
        """Return whether another rule reports the same claim."""
        return False

    def refuted(
        self, facts: OnnxFacts, name: str, sidecar: Sidecar
    ) -> Iterator[tuple[JsonPath, str]]:
        """Yield the members that the graph of the file `name` refutes, each with a message."""
        raise NotImplementedError


class SidecarNames(_GraphClaim):
    """The input or output names in the sidecar are not those of the model.

    ## What it does
    Compares `input_names` and `output_names` with the inputs and outputs of the graph, in order. A
    single `input_name` or `output_name` must be one of them. A value that is not a name, or not a
    list of names, is reported too.

    ## Why it matters
    A runtime binds tensors by name and refuses a name that the model does not have. A consumer that
    binds by position may feed one tensor in place of another.

    ## Example
    `"input_names": ["features", "codec"]`; the model has `features` and `codec_onehot`.

    ## How to fix
    Export model and sidecar together.
    """

    code = "SID410"
    slug = "sidecar-names"
    forms: ClassVar[Forms] = {
        ("input_name",): STRING,
        ("output_name",): STRING,
        ("input_names",): NAMES,
        ("output_names",): NAMES,
    }

    def refuted(
        self, facts: OnnxFacts, name: str, sidecar: Sidecar
    ) -> Iterator[tuple[JsonPath, str]]:
        for side in _SIDES:
            single = sidecar.text_at(f"{side}_name")
            several = _names(sidecar.value.get(f"{side}_names"))
            has = [s.name for s in _specs(facts, side)]
            if single in (None, *has) and several in (None, has):
                continue
            names = some([n[:60] for n in has], 5)
            there = f"{name} has {names or f'no {side}s'}"
            if single is not None and single not in has:
                says = f"the sidecar declares an {side} {shown(single)}, but {there}"
                yield (f"{side}_name",), says
            if several is not None and several != has:
                known, declared = set(has), set(several)
                unknown = [n for n in several if n not in known]
                left_out = [n for n in has if n not in declared]
                if unknown:
                    says = f"the sidecar declares an {side} {shown(unknown[0])}"
                elif left_out:
                    says = f"the sidecar does not declare the {side} {shown(left_out[0])}"
                else:
                    says = f"the sidecar declares the {side}s {shown(several)}"
                yield (
                    (f"{side}_names",),
                    f"{says}, but {there}" + ("" if unknown or left_out else ", in this order"),
                )


class SidecarShape(_GraphClaim):
    """A shape in the sidecar is not that of the model's input or output.

    ## What it does
    Compares `input_shape`, `input_shapes`, `output_shape` and `output_shapes` with the graph: the
    number of dimensions, and each dimension that is a number in both. -1, null and names match any
    size. Several shapes are a list in the order of the names, or an object by name. A shape that is
    not a list, such as a string, is reported too.

    `thumbnail_h` and `thumbnail_w` must equal or divide a dimension of an image input, and
    `frame_window` a dimension of an input with a time axis (`[batch, frames, channels, height,
    width]`). They are not compared if a dimension is not fixed, or if the model takes one frame at
    a time. `n_params` is not compared at all: exporters count trained parameters, while a graph
    also holds constants and lacks what was folded.

    ## Why it matters
    A consumer allocates its tensors according to the sidecar. A runtime refuses tensors with
    another number of dimensions or another size.

    ## Example
    `"input_shape": [1, 3, 224, 224]` for an input `[batch, 1, 224, 224]`.

    ## How to fix
    Export model and sidecar together.
    """

    code = "SID411"
    slug = "sidecar-shape"
    forms: ClassVar[Forms] = {(field,): WHOLE for field in _SIZES}

    def refuted(
        self, facts: OnnxFacts, name: str, sidecar: Sidecar
    ) -> Iterator[tuple[JsonPath, str]]:
        if sidecar.value.keys().isdisjoint(_SHAPES):
            return
        for side in _SIDES:
            yield from _wrong_claims(facts, name, sidecar, side, "shape", _SHAPE, _has_shape)
        for field, dimensions in _SIZES.items():
            claim = sidecar.value.get(field)
            if is_whole(claim) and not _can_take(facts, claim, dimensions):
                there = _listed(facts.inputs)
                yield (field,), f"`{field}` is {shown(claim)}, but {name} has {there}"


class SidecarDtype(_GraphClaim):
    """An element type in the sidecar is not that of the model's input or output.

    ## What it does
    Compares `input_dtype`, `input_dtypes`, `output_dtype` and `output_dtypes` with the graph. A
    single `dtype` must be the type of an input, an output or a weight. If there are weights of
    other types, `int64`, `int32` and `bool` initializers count as shapes and indices, not as
    weights. `float32`, `float`, `fp32`, `FLOAT` and `tensor(float)` are one type. A string that is
    not the name of a type is ignored. A value that is not a string is reported.

    ## Why it matters
    A runtime refuses a tensor of another type. A consumer without a check reads its bytes as other
    numbers.

    ## Example
    `"input_dtype": "float32"` for an input of `float16`.

    ## How to fix
    Export model and sidecar together.
    """

    code = "SID412"
    slug = "sidecar-dtype"
    forms: ClassVar[Forms] = {("dtype",): STRING}

    def refuted(
        self, facts: OnnxFacts, name: str, sidecar: Sidecar
    ) -> Iterator[tuple[JsonPath, str]]:
        if sidecar.value.keys().isdisjoint(_DTYPES):
            return
        for side in _SIDES:
            yield from _wrong_claims(facts, name, sidecar, side, "dtype", _DTYPE, _has_dtype)
        claim = sidecar.text_at("dtype")
        if claim is None:
            return
        weights = set(facts.weight_dtypes)
        used = {s.dtype for s in (*facts.inputs, *facts.outputs)} | (weights - _PLACES or weights)
        if plain_dtype(claim) not in (None, *used):
            there = ", ".join(sorted(used)) or "no tensors"
            yield ("dtype",), f"`dtype` is {shown(claim)}, but {name} has {there}"


class SidecarOpset(_GraphClaim):
    """The sidecar's opset is not the model's.

    ## What it does
    Compares `opset` and `onnx_opset` with the version of the ONNX operator set that the file
    imports. The row's `opset` is left to ART310, which also covers a sidecar that repeats it. A
    value that is not a whole number, such as `"17"`, is reported too.

    ## Why it matters
    Consumers choose a runtime by the opset. A runtime that supports opset 17 refuses opset 18.

    ## Example
    `nr_metric_v1.json` has `"opset": 17`, but the file imports opset 18.

    ## How to fix
    Write the file's opset into the sidecar, and into the row. `provenance check --fix` writes it
    into a sidecar whose `sha256` is that of the file.
    """

    code = "SID413"
    slug = "sidecar-opset"
    advice = "Export model and sidecar together, or write the file's opset."
    forms: ClassVar[Forms] = {("opset",): WHOLE, ("onnx_opset",): WHOLE}

    def is_reported(
        self, row: RowEvidence, model: ModelEvidence, sidecar: Sidecar, member: JsonPath
    ) -> bool:
        return model is row.onnx and repeats_opset(row, sidecar.get(*map(str, member)))

    def correct(self, model: ModelEvidence, sidecar: Sidecar, member: JsonPath) -> Edit | None:
        # An object may hold the versions of other operator sets too.
        holds_more = isinstance(sidecar.get(*map(str, member)), dict | list)
        certain = describes_its_model(model, sidecar) and not holds_more
        opset = model.facts.opset if model.facts else None
        return Set(member, opset) if certain and opset is not None else None

    def refuted(
        self, facts: OnnxFacts, name: str, sidecar: Sidecar
    ) -> Iterator[tuple[JsonPath, str]]:
        actual = facts.opset
        for field in OPSETS:
            claim = sidecar.value.get(field)
            if is_whole(claim) and actual is not None and claim != actual:
                yield (field,), f"`{field}` is {claim}, but {name} imports opset {actual}"


def _specs(facts: OnnxFacts, side: str) -> tuple[TensorSpec, ...]:
    return facts.inputs if side == "input" else facts.outputs


def _wrong_claims(
    facts: OnnxFacts,
    name: str,
    sidecar: Sidecar,
    side: str,
    what: str,
    form: Form[Any],
    has: Callable[[TensorSpec, Any], bool],
) -> Iterator[tuple[JsonPath, str]]:
    """Yield the wrong claims under `input_shape`, `input_shapes` and the like.

    A claim is wrong if none of the tensors that it may describe matches it.

    Args:
        facts: The graph.
        name: The file name of the model, for messages.
        sidecar: The sidecar with the claims.
        side: "input" or "output".
        what: "shape" or "dtype".
        form: The form of a single claim, as opposed to a list or an object of claims.
        has: Return whether a tensor matches a claim.
    """
    specs = _specs(facts, side)
    claims: list[tuple[str, JsonPath, Sequence[TensorSpec | None], Any]]
    by_name = {s.name: s for s in specs}
    listed = _names(sidecar.value.get(f"{side}_names"))
    in_order = [by_name.get(n) for n in listed] if listed else list(specs)
    single = by_name.get(sidecar.text_at(f"{side}_name") or "")
    for field in (f"{side}_{what}", f"{side}_{what}s"):
        claim = sidecar.value.get(field)
        if form.has(claim):  # it describes the named tensor, or any tensor if none is named
            claims = [(field, (field,), [single] if single else specs, claim)]
        elif isinstance(claim, dict):
            for tensor in (n for n in by_name if claim.get(n) is not None):
                if not form.has(claim[tensor]):
                    where = f"{field}.{tensor[:60]}"
                    yield (field, tensor), form.refused(where, claim[tensor])
            # A key that is not the name of a tensor may hold anything, such as size limits.
            each = [(n, c) for n, c in claim.items() if form.has(c)]
            claims = [(f"{field}.{n[:60]}", (field, n), [by_name.get(n)], c) for n, c in each]
        elif isinstance(claim, list) and claim and all(map(form.has, claim)):
            if len(claim) != len(in_order):
                says = f"`{field}` has {entries(claim)}"
                yield (field,), f"{says}, but {name} has {_listed(specs) or f'no {side}s'}"
                continue
            places = enumerate(zip(in_order, claim, strict=True))
            claims = [(f"{field}[{i}]", (field,), [s], c) for i, (s, c) in places]
        else:
            if claim is not None:
                yield (field,), form.refused(field, claim)
            continue
        for where, member, meant, one in claims:
            known = [s for s in meant if s is not None]  # SID410 reports unknown names
            if known and not any(has(s, one) for s in known):
                yield member, f"`{where}` is {shown(one)}, but {name} has {_listed(known)}"


def _listed(specs: Sequence[TensorSpec]) -> str:
    return "; ".join(map(str, specs))[:200]


def _names(value: Any) -> list[str] | None:
    """Return a list of names, or None for any other value."""
    return list(value) if is_names(value) else None


def _is_shape(value: object) -> bool:
    """Return whether a value is a list of sizes: numbers, names or null.

    An empty list is a shape, not a list of shapes.
    """
    return isinstance(value, list) and all(
        d is None or isinstance(d, str) or is_whole(d) for d in value
    )


def _has_shape(spec: TensorSpec, claim: list[int | str | None]) -> bool:
    if spec.shape is None:
        return True
    if len(spec.shape) != len(claim):
        return False
    sizes = [(a, b) for a, b in zip(spec.shape, claim, strict=True) if _is_size(a) and _is_size(b)]
    return all(a == b for a, b in sizes)


def _is_size(dimension: int | str | None) -> bool:
    return isinstance(dimension, int) and dimension > 0


def _can_take(facts: OnnxFacts, size: int, dimensions: int) -> bool:
    """Return whether a dimension of an input may equal `size` or a multiple of it.

    A multiple occurs where frames are stacked in one dimension.
    """
    for spec in facts.inputs:
        shape = spec.shape or ()
        behind_batch = shape[1:]
        if len(shape) < dimensions or not all(map(_is_size, behind_batch)):
            return True
        if size > 0 and any(isinstance(d, int) and d % size == 0 for d in behind_batch):
            return True
    return not facts.inputs


_PLACES: Final = frozenset(("int64", "int32", "bool"))
"""The types of initializers that hold sizes or indices rather than weights."""

_SHAPE: Final = Form[list[Any]]("a list of sizes", _is_shape)
_DTYPE: Final = Form[str]("the name of a type", lambda value: isinstance(value, str))


def _has_dtype(spec: TensorSpec, claim: str) -> bool:
    return plain_dtype(claim) in (None, spec.dtype)
