# SPDX-License-Identifier: Apache-2.0
"""Which sidecar speaks of which model, and a rule about what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from typing import Any, ClassVar

from provenance.artifacts.documents.json_edit import Edit
from provenance.artifacts.documents.strict_json import JsonPath
from provenance.artifacts.forms import Form
from provenance.artifacts.sidecar import Sidecar, once
from provenance.evidence.rows import ModelEvidence, RowEvidence, SidecarEvidence
from provenance.gate.finding import Finding, Fix
from provenance.gate.rules.base import Rule
from provenance.gate.rules.case import Case
from provenance.gate.rules.forms import Forms, Place, misfits


def pairs(row: RowEvidence) -> Iterator[tuple[ModelEvidence, SidecarEvidence]]:
    """The models of a row, each with its sidecar: `x.onnx` has `x.json`, `x.int8.onnx` its own."""
    if row.onnx is not None and row.sidecar is not None:
        yield row.onnx, row.sidecar
    if row.int8 is not None and row.int8_sidecar is not None:
        yield row.int8, row.int8_sidecar


def describes_its_model(model: ModelEvidence, sidecar: Sidecar) -> bool:
    """Whether the sidecar's digest is that of the model's bytes, as computed."""
    return model.sha256 is not None and sidecar.claimed_sha256 == model.sha256


def describes_other_bytes(model: ModelEvidence, sidecar: Sidecar) -> bool:
    """Whether the sidecar is known to be that of another file, as SID402 and SID404 report."""
    known = sidecar.claimed_sha256 is not None and model.sha256 is not None
    return known and not describes_its_model(model, sidecar)


_FORMS: dict[Place, Form[Any]] = {}
"""The forms of all claims that rules compare."""


class ClaimRule(Rule):
    """A rule about claims of a sidecar. One that is of other bytes is reported as that only."""

    forms: ClassVar[Forms] = {}
    """The claims that it compares, each with the form in which it can: any other is a finding."""

    def __init_subclass__(cls) -> None:
        _FORMS.update(cls.forms)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        """The findings about the sidecars of one row."""
        for model, sidecar in case.evidence.described.get(row.index, ()):
            unfit = unfit_claims(sidecar)
            for member in self.forms if unfit else ():
                if member in unfit:
                    message, form = unfit[member]
                    fixes = self.correction(model, sidecar, member)
                    help = f"Write it as {form.name}."
                    yield self.at(sidecar, member, message, help, row=row.label, fixes=fixes)
            yield from self.judge_sidecar(case, row, model, sidecar)

    def judge_sidecar(
        self, case: Case, row: RowEvidence, model: ModelEvidence, sidecar: Sidecar
    ) -> Iterator[Finding]:
        """What is wrong with the claims that have their form."""
        raise NotImplementedError

    def correct(self, model: ModelEvidence, sidecar: Sidecar, member: JsonPath) -> Edit | None:
        """What a member has to be, where that is certain."""
        return None

    def correction(
        self, model: ModelEvidence, sidecar: Sidecar, member: JsonPath
    ) -> tuple[Fix, ...]:
        """The edit of a member that is certain, if there is one."""
        edit = self.correct(model, sidecar, member)
        return (Fix(sidecar.path, edit),) if edit else ()


@once
def unfit_claims(sidecar: Sidecar) -> Mapping[Place, tuple[str, Form[Any]]]:
    """The claims that have not the form in which they are compared, each with what is said."""
    return {place: (message, form) for place, message, form in misfits(sidecar, _FORMS)}


def entries(values: Sized) -> str:
    """How many entries a list of a sidecar has, in words."""
    return f"{len(values)} {'entry' if len(values) == 1 else 'entries'}"
