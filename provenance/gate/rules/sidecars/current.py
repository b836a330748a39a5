# SPDX-License-Identifier: Apache-2.0
"""Pairs of models and sidecars, and the base class of rules about a sidecar's claims."""

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
    """Yield the models of a row, each with its sidecar.

    `x.onnx` has `x.json`, and `x.int8.onnx` has `x.int8.json`.
    """
    if row.onnx is not None and row.sidecar is not None:
        yield row.onnx, row.sidecar
    if row.int8 is not None and row.int8_sidecar is not None:
        yield row.int8, row.int8_sidecar


def describes_its_model(model: ModelEvidence, sidecar: Sidecar) -> bool:
    """Return whether the sidecar's digest equals the computed digest of the model."""
    return model.sha256 is not None and sidecar.claimed_sha256 == model.sha256


def describes_other_bytes(model: ModelEvidence, sidecar: Sidecar) -> bool:
    """Return whether the sidecar's digest is known to be that of another file (SID402, SID404)."""
    known = sidecar.claimed_sha256 is not None and model.sha256 is not None
    return known and not describes_its_model(model, sidecar)


_FORMS: dict[Place, Form[Any]] = {}
"""The required forms of all claims that rules compare."""


class ClaimRule(Rule):
    """A rule about the claims of a sidecar.

    A sidecar that describes other bytes is left to SID402 and SID404.
    """

    forms: ClassVar[Forms] = {}
    """The claims that the rule compares, each with its required form. Other forms are reported."""

    def __init_subclass__(cls) -> None:
        _FORMS.update(cls.forms)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        """Yield the findings about the sidecars of one row."""
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
        """Yield the findings about claims that have the required form."""
        raise NotImplementedError

    def correct(self, model: ModelEvidence, sidecar: Sidecar, member: JsonPath) -> Edit | None:
        """Return the edit that corrects a member, or None if the right value is uncertain."""
        return None

    def correction(
        self, model: ModelEvidence, sidecar: Sidecar, member: JsonPath
    ) -> tuple[Fix, ...]:
        """Return the fix for a member, or () if the right value is uncertain."""
        edit = self.correct(model, sidecar, member)
        return (Fix(sidecar.path, edit),) if edit else ()


@once
def unfit_claims(sidecar: Sidecar) -> Mapping[Place, tuple[str, Form[Any]]]:
    """Return the claims without the required form, each with a message and that form."""
    return {place: (message, form) for place, message, form in misfits(sidecar, _FORMS)}


def entries(values: Sized) -> str:
    """Return the number of entries of a list, in words."""
    return f"{len(values)} {'entry' if len(values) == 1 else 'entries'}"
