# SPDX-License-Identifier: Apache-2.0
"""Rules about the graphs of an ensemble's members: equal widths, opsets and interfaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from provenance.artifacts.onnx_model import OnnxFacts, TensorSpec
from provenance.evidence.ensembles import Ensemble, EnsembleMember
from provenance.gate.finding import Finding
from provenance.gate.rules.case import Case
from provenance.gate.rules.ensembles.base import Agreement, Claim, EnsembleRule
from provenance.gate.rules.forms import INTERFACE, misfits
from provenance.gate.rules.sidecars.interface import SidecarDtype, SidecarNames, SidecarShape
from provenance.gate.rules.sidecars.widths import input_width, wrong_widths


class EnsembleWidth(EnsembleRule):
    """The members of an ensemble do not take the input that its manifest describes.

    ## What it does
    Compares the members' graphs with the manifest and with each other. In the manifest it reads the
    widths of the two inputs (`feature_order` or `features`; `codec_vocab`, `encoder_vocab`,
    `codec_block_layout`, `num_codecs`; each a list of names or a number) and `opset`. If the
    sidecars' `codec_block_layout` shows that the codec block holds more than the one-hot, a
    vocabulary may be as long as the one-hot alone. Problems that another rule reports for a single
    member are skipped: a file that is not the one its row names (ART302), a width that its own
    sidecar disputes (SID403), an opset that is not its row's (ART310). A manifest that is older
    than its members (ENS521) is skipped too.

    ## Why it matters
    The consumer builds one input for all members. A member of another width does not run.

    ## Example
    `codec_vocab` has 6 entries; the members take `codec_onehot [batch, 14]`.

    ## How to fix
    Export the manifest together with the weights, with one vocabulary.
    """

    code = "ENS507"
    slug = "ensemble-width"
    deferrable = True

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        manifest = ensemble.manifest
        for where, message, form in misfits(manifest, INTERFACE):
            help = f"Write it as {form.name}."
            yield self.at(manifest, where, message, help, ensemble=ensemble)
        names = input_names(ensemble)
        for at, fields in enumerate(_WIDTH_FIELDS):
            widths = [(s.label, _undisputed_width(s, at, names)) for s in ensemble.shipped]
            yield from self._compare(ensemble, f"the width of input {at + 1}", fields, widths)
        opsets = [(s.label, _opset(s)) for s in ensemble.shipped]
        yield from self._compare(ensemble, "their opset", ("opset",), opsets)

    def _compare(
        self,
        ensemble: Ensemble,
        what: str,
        fields: Sequence[str],
        of_members: Sequence[tuple[str, int | None]],
    ) -> Iterator[Finding]:
        """Compare one number of the members' graphs with the manifest and with each other."""
        by_value: dict[int, list[str]] = {}
        for label, value in of_members:
            if value is not None:
                by_value.setdefault(value, []).append(label)
        if not by_value:
            return
        spread = "; ".join(f"{value}: {', '.join(labels)}" for value, labels in by_value.items())
        if len(by_value) == 1:
            spread = f"all members have {next(iter(by_value))}"
        wrong = False
        for field in fields:
            declared = ensemble.claims.get(field)
            size = len(declared) if isinstance(declared, list) else declared
            onehots = _onehots(ensemble) if field in _VOCABULARIES else {}
            fits = any(size in (width, onehots.get(width)) for width in by_value)
            if fits or not INTERFACE[(field,)].has(declared):
                continue
            wrong = True
            of_these = [str(onehots[width]) for width in by_value if width in onehots]
            onehot = f", {' and '.join(of_these)} of them for the one-hot" if of_these else ""
            has = f"has {size} entries" if isinstance(declared, list) else f"is {size}"
            yield self.at(
                ensemble.manifest,
                (field,),
                f"`{field}` {has}; {spread[:300]}{onehot}",
                "Export the manifest together with the weights, with one vocabulary.",
                ensemble=ensemble,
            )
        if not wrong and len(by_value) > 1:
            says = f"the members differ in {what}: {spread[:300]}"
            help = "Export all members in one run."
            yield self.at(ensemble.manifest, ("members",), says, help, ensemble=ensemble)


class InterfaceDiffers(EnsembleRule):
    """The members of an ensemble cannot be run in the same way.

    ## What it does
    Compares the number, element types and shapes of the inputs and outputs of all members. Inputs
    are matched by name if all members use the same names. The widths of the first two inputs are
    left to ENS507. Problems that another rule reports for a single member are skipped: a file that
    is not the one its row names (ART302), a graph that its own sidecar disputes (SID410, SID411,
    SID412).

    ## Why it matters
    The consumer builds one input, runs each member on it and takes the mean of the outputs. A
    member with another input type or output shape raises an error or distorts the mean.

    ## Example
    Four members give `score: float [batch, 1]`, one gives `score: float [batch, 2]`.

    ## How to fix
    Export all members in one run.
    """

    code = "ENS520"
    slug = "interface-differs"
    deferrable = True

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        known = [(member, _undisputed_graph(member)) for member in ensemble.shipped]
        graphs = [(member, facts) for member, facts in known if facts is not None]
        named = len({frozenset(t.name for t in facts.inputs) for _, facts in graphs}) == 1
        names = input_names(ensemble) if named else ()
        agreed = Agreement.of(
            (Claim(ensemble.manifest, s.row_label, ("members",), facts) for s, facts in graphs),
            key=lambda facts: _interface(facts, names, named=named),
        )
        for one in agreed.others:
            says = f"{one.row!r} {_signature(one.value)}"
            there = f"; {agreed.most[0].row!r} {_signature(agreed.value)}"
            yield self.at_claim(one, says + there, "Export all members in one run.", ensemble)


_WIDTH_FIELDS = (
    ("feature_order", "features"),
    ("codec_vocab", "encoder_vocab", "codec_block_layout", "num_codecs"),
)
"""The fields of a manifest that give the width of the first and of the second input."""


_VOCABULARIES = ("codec_vocab", "encoder_vocab", "num_codecs")


def input_names(ensemble: Ensemble) -> Sequence[str]:
    """Return the input names that most sidecars declare, in order, or () if no sidecar has any."""
    agreed = Agreement.of(
        Claim(sidecar, member.row_label, ("input_names",), tuple(sidecar.input_names))
        for member, sidecar in ensemble.described
        if sidecar.input_names
    )
    return agreed.value if agreed.most else ()


def width_at(facts: OnnxFacts | None, at: int, names: Sequence[str]) -> int | None:
    """Return the width of the input with the features (`at` 0) or with the codec block (1)."""
    if facts is None:
        return None
    if at < len(names):
        return input_width(next((spec for spec in facts.inputs if spec.name == names[at]), None))
    return input_width(facts.inputs[at]) if at < len(facts.inputs) else None


def _undisputed_width(member: EnsembleMember, at: int, names: Sequence[str]) -> int | None:
    """Return the width of an input, or None if the member's own sidecar disputes it (SID403)."""
    wrong = wrong_widths(member.sidecar, member.facts) if member.sidecar else ()
    disputed = any(claim.at == at for claim, _ in wrong)
    return None if disputed else width_at(member.facts, at, names)


def _undisputed_graph(member: EnsembleMember) -> OnnxFacts | None:
    """Return a member's graph, or None if its own sidecar disputes it (SID410 to SID412)."""
    facts, sidecar = member.facts, member.sidecar
    if facts is None or sidecar is None:
        return facts
    refuted = (rule().refuted(facts, member.label, sidecar) for rule in _OF_GRAPHS)
    return None if any(member for members in refuted for member in members) else facts


_OF_GRAPHS = (SidecarNames, SidecarShape, SidecarDtype)


def _onehots(ensemble: Ensemble) -> Mapping[int, int]:
    """Return the number of one-hot columns by codec block width, as the layouts declare it."""
    found: dict[int, int] = {}
    for _, sidecar in ensemble.described:
        layout, encoders = sidecar.get("codec_block_layout"), sidecar.layout_encoders
        if isinstance(layout, list) and encoders:
            found.setdefault(len(layout), len(encoders))
    return found


def _opset(member: EnsembleMember) -> int | None:
    """Return the opset of a member, or None if its row declares another one (ART310)."""
    if member.facts is None or member.row is None:
        return None
    found = member.facts.opset
    return found if member.row.entry.fields.get("opset") in (None, found) else None


def _interface(facts: OnnxFacts, names: Sequence[str], *, named: bool) -> tuple[Any, ...]:
    """Return what must be equal for all members.

    Symbolic dimensions are not compared by name, because each export chooses its own names.
    """
    for_widths = names[: len(_WIDTH_FIELDS)] or [t.name for t in facts.inputs[: len(_WIDTH_FIELDS)]]
    inputs = sorted(facts.inputs, key=lambda spec: spec.name) if named else facts.inputs
    return (
        tuple(_form(t, width=t.name not in for_widths) for t in inputs),
        tuple(_form(t, width=True) for t in facts.outputs),
    )


def _form(spec: TensorSpec, *, width: bool) -> tuple[Any, ...]:
    shape = spec.shape
    if shape is None:
        return (spec.dtype, None)
    fixed = [d if isinstance(d, int) else None for d in shape]
    return (spec.dtype, *(fixed if width else [*fixed[:-1], "width"]))


def _signature(facts: OnnxFacts) -> str:
    takes, gives = (", ".join(map(str, specs)) for specs in (facts.inputs, facts.outputs))
    return f"takes {takes[:150]} and gives {gives[:150]}"
