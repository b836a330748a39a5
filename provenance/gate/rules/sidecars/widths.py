# SPDX-License-Identifier: Apache-2.0
"""SID403: the widths that a sidecar declares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from provenance.artifacts.documents.strict_json import JsonPath
from provenance.artifacts.forms import is_names
from provenance.artifacts.onnx_model import OnnxFacts, TensorSpec
from provenance.artifacts.sidecar import Sidecar, WidthClaim, once
from provenance.evidence.rows import ModelEvidence, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import shown
from provenance.gate.rules.case import Case
from provenance.gate.rules.forms import NAMES_OR_COUNT, WIDTHS, Forms
from provenance.gate.rules.sidecars.current import ClaimRule, unfit_claims


class SidecarWidth(ClaimRule):
    """A width that the sidecar declares is not that of the model's input.

    ## What it does
    Compares `feature_order` (or `features`), `in_features`, `codec_block_layout`, `num_codecs`,
    `codec_vocab` and `encoder_vocab` with the last dimension of the input that they describe, and
    the encoders of the layout with the vocabularies. If an input has more dimensions than
    `[batch, width]`, any of them may be the width. Each field must be a list of names or a number;
    any other value is reported. `in_features` may also be the sum of all inputs, and `num_codecs`
    the number of encoders in the layout. A sidecar that is known to describe another file is left
    to SID402 and SID404.

    ## Why it matters
    A consumer builds its input according to the sidecar. With a wrong width the model does not run,
    or a feature ends up in the wrong column.

    ## Example
    `codec_block_layout` has 14 entries, but the input is `codec_onehot [batch, 6]`.

    ## How to fix
    Export model and sidecar together, with one vocabulary.
    """

    code = "SID403"
    slug = "sidecar-width"
    deferrable = True
    forms: ClassVar[Forms] = WIDTHS | {
        ("training_recipe", "in_features"): NAMES_OR_COUNT,
        ("training_recipe", "num_codecs"): NAMES_OR_COUNT,
    }

    def judge_sidecar(
        self, case: Case, row: RowEvidence, model: ModelEvidence, sidecar: Sidecar
    ) -> Iterator[Finding]:
        for member, message in refuted_widths(model, sidecar):
            if member not in unfit_claims(sidecar):
                help = "Export model and sidecar together, with one vocabulary."
                yield self.at(sidecar, member, message, help, row=row.label)


def refuted_widths(model: ModelEvidence, sidecar: Sidecar) -> Iterator[tuple[JsonPath, str]]:
    """Yield the members whose width differs from the model or the layout, each with a message."""
    for claim, spec in wrong_widths(sidecar, model.facts):
        member = ".".join(map(str, claim.member))
        yield (
            claim.member,
            f"`{member}` declares a width of {claim.width} for input {spec.name!r}, but "
            f"{model.name} has {spec}",
        )
    encoders, layout = sidecar.layout_encoders, sidecar.get("codec_block_layout")
    if encoders is None or not is_names(layout):
        return
    for field in ("encoder_vocab", "codec_vocab"):
        vocabulary = sidecar.get(field)
        if not isinstance(vocabulary, list):
            continue
        # The layout names encoders. `codec_vocab` may use other names, or include the norms.
        as_long = len(vocabulary) in (len(encoders), len(layout))
        if list(encoders) != vocabulary and not (field == "codec_vocab" and as_long):
            yield (
                (field,),
                f"`codec_block_layout` has {len(encoders)} encoders, `{field}` has "
                f"{len(vocabulary)}{_difference(encoders, vocabulary)}",
            )


def _difference(encoders: Sequence[str], vocabulary: Sequence[object]) -> str:
    """Return how a vocabulary differs from a layout of the same length, for a message."""
    if len(vocabulary) != len(encoders):
        return ""
    other = next((name for name in vocabulary if name not in encoders), None)
    if other is not None:
        return f", but {shown(other)} is not in the layout"
    missing = next((name for name in encoders if name not in vocabulary), None)
    return ", in another order" if missing is None else f", without {shown(missing)}"


def input_width(spec: TensorSpec | None) -> int | None:
    """Return the size of an input's last dimension, or None if it is not fixed."""
    last = spec.shape[-1] if spec is not None and spec.shape else None
    return last if isinstance(last, int) else None


def can_be(width: int, spec: TensorSpec) -> bool:
    """Return whether an input can hold `width` features."""
    return width in _holding(spec) or not is_fixed(spec)


def is_fixed(spec: TensorSpec) -> bool:
    """Return whether all dimensions that can hold features are fixed."""
    return bool(spec.shape) and all(isinstance(d, int) for d in _holding(spec))


def _holding(spec: TensorSpec) -> Sequence[int | str | None]:
    """Return the dimensions that can hold features.

    That is the last one, or for an image or a window any dimension but the batch.
    """
    shape = spec.shape or ()
    return shape[1:] if len(shape) > 2 else shape[-1:]


@once
def wrong_widths(
    sidecar: Sidecar, facts: OnnxFacts | None
) -> Sequence[tuple[WidthClaim, TensorSpec]]:
    """Return the declared widths that do not fit their inputs, each with that input."""
    if facts is None:
        return ()
    by_name: dict[str | None, TensorSpec] = {s.name: s for s in reversed(facts.inputs)}
    wrong: list[tuple[WidthClaim, TensorSpec]] = []
    for claim in sidecar.width_claims:
        # A claim refers to an input by name, or by position if the sidecar has no names.
        at_place = facts.inputs[claim.at] if claim.at < len(facts.inputs) else None
        spec = by_name.get(claim.input) if sidecar.input_names else at_place
        if spec is None or can_be(claim.width, spec):
            continue
        if at_place is not None and can_be(claim.width, at_place):
            continue  # the names are in another order: SID410 reports it
        widths = [input_width(s) for s in facts.inputs]
        if claim.of_all and (None in widths or claim.width == sum(w for w in widths if w)):
            continue
        wrong.append((claim, spec))
    return tuple(wrong)
