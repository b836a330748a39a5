# SPDX-License-Identifier: Apache-2.0
"""What stands between a row and production: the conditions of ADR-1105.

The sidecar describes these very bytes, the gate's verdict is PROMOTE by its own numbers, widths
agree, the license is complete. Of an imported model no gate is expected: its sidecar declares the
origin. `provenance promote` writes `"smoke": false` only where nothing stands in the way; SID417
refuses a row that claims production without it, and BAS804 one that was flipped by hand. All of
them ask the same conditions: those in this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from provenance.artifacts.digest import sha256_of
from provenance.artifacts.ensemble import GateVerdict, Manifest
from provenance.artifacts.registry import is_blank
from provenance.artifacts.sidecar import Sidecar, once
from provenance.evidence.classification import verdict_on
from provenance.evidence.ensembles import named_ensemble
from provenance.evidence.evaluation import PROMOTE, evaluate, no_evidence, stated_outcomes
from provenance.evidence.evidence import Evidence
from provenance.evidence.origin import stated
from provenance.evidence.rows import ModelEvidence, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import command, short, shown
from provenance.gate.rules.ensembles.verdicts import (
    not_passed,
    wrong_gate,
    wrong_verdict,
)
from provenance.gate.rules.sidecars.current import (
    describes_its_model,
    pairs,
)
from provenance.gate.rules.sidecars.identity import smoke_claim

WIDTHS: Final = ("SID403", "SID411", "ENS507", "ENS521")
"""The rules that compare widths, and the one that says that a manifest is not about these bytes.

They judge smoke rows too, and a deferral may cover them.
"""

LICENSE: Final[Mapping[str, str]] = {
    "license": "LIC201",
    "license_url": "LIC202",
    "sigstore_bundle": "LIC203",
}
"""What a complete license is, with the rule that misses each field."""


@dataclass(frozen=True)
class Obstacle:
    """One condition that does not hold.

    Attributes:
        message: What was found, as a clause about the row.
        help: What has to be done first.
        path: The file that it speaks of, relative to the repository's root.
        codes: The rules that say the same of a production row; also the start of their codes.
        finding: The finding that it was taken from, which a deferral may cover.
    """

    message: str
    help: str
    path: str
    codes: tuple[str, ...] = ()
    finding: Finding | None = None

    def stated(self, findings: Iterable[Finding]) -> bool:
        """Whether one of these findings about the row already fails the run for it."""
        return any(f.fails and f.code.startswith(self.codes) for f in findings)


def about(found: Mapping[str | None, Sequence[Finding]], row: RowEvidence) -> list[Finding]:
    """The findings about a row and about the ensemble that it belongs to, of those by subject."""
    if not found:
        return []
    ids = (row.label, row.manifest.id if row.manifest else None, named_ensemble(row))
    return [f for id in dict.fromkeys(ids) if id is not None for f in found.get(id, ())]


def missing(
    evidence: Evidence, found: Mapping[str | None, Sequence[Finding]], row: RowEvidence
) -> tuple[Obstacle, ...]:
    """What stands between a row and production and is not reported yet."""
    known = about(found, row)
    mine = known if row.manifest is not None else [f for f in known if f.row is not None]
    return tuple(o for o in obstacles(evidence, mine, row) if not o.stated(known))


def promote_command(row: RowEvidence) -> str:
    """The command that flips a row on evidence: with its ensemble, if it is a member of one."""
    whole = row.manifest.id if row.manifest is not None else None
    return command("promote", *(["--ensemble", whole] if whole is not None else [row.label]))


def obstacles(
    evidence: Evidence, findings: Iterable[Finding], row: RowEvidence
) -> Iterator[Obstacle]:
    """Everything that stands between `row` and production.

    `findings` are those about the row and its ensemble, of a run over the same evidence. It does
    not matter whether the row already says production.
    """
    yield from _bytes(evidence, row)
    yield from _sidecars(row)
    yield from _verdict(evidence, row)
    for finding in findings:
        if finding.code in WIDTHS:
            yield Obstacle(
                finding.message, finding.help, finding.path, (finding.code,), finding=finding
            )
    for field, code in LICENSE.items():
        if is_blank(row.entry.fields.get(field, "")):
            called = evidence.registry.names.of(field)
            yield Obstacle(
                f"no `{called}`", f"Add `{called}` to the row.", evidence.registry.path, (code,)
            )


def _bytes(evidence: Evidence, row: RowEvidence) -> Iterator[Obstacle]:
    if row.onnx is None:
        called = evidence.registry.names.of("onnx")
        yield Obstacle(
            f"no `{called}`", "Name the model's file.", evidence.registry.path, ("REG101",)
        )
        return
    declared = {"sha256": row.onnx, "int8_sha256": row.int8}
    if "int8_sha256" in row.entry.fields:
        declared["int8_sha256"] = row.variant
    for field, model in declared.items():
        if model is None:
            continue
        if model.sha256 is None or model.not_onnx is not None:
            yield Obstacle(
                f"{model.path} is no model that can be read",
                "Export or fetch the model again.",
                model.path,
                ("ART", "REG"),
            )
        elif sha256_of(row.entry.fields.get(field)) != model.sha256:
            called, label = evidence.registry.names.of(field), row.label
            accepted = ("--accept", label) if row.replaced(model) else ()
            first = "" if field in row.entry.fields else f'Add "{called}": "" to the row. '
            yield Obstacle(
                f"`{called}` is not the digest of {model.path}",
                f"{first}If these bytes are meant: {command('hash', label, '--write', *accepted)}",
                evidence.registry.path,
                ("ART302", "ART308", "REG"),
            )
        elif row.entry.smoke is not True:
            label, path = evidence.placeholders.get(model.sha256, ("", model.path))
            if path != model.path:  # one file of two rows is for ART313 to report
                yield Obstacle(
                    f"{model.path} has the bytes of {path}, and {label!r} says that these are a "
                    "placeholder",
                    "One of the two rows is wrong: decide which.",
                    evidence.registry.path,
                )


def _sidecars(row: RowEvidence) -> Iterator[Obstacle]:
    help = "Export model and sidecar together."
    for model, evidence in pairs(row):
        sidecar = evidence.sidecar
        if sidecar is None:
            if not evidence.missing:
                yield Obstacle(
                    f"its sidecar {evidence.path} cannot be read",
                    help,
                    evidence.path,
                    ("SID405", "REG107"),
                )
            elif evidence is row.sidecar:  # an int8 variant need not have one of its own
                yield Obstacle(
                    f"it has no sidecar: {evidence.path} does not exist",
                    help,
                    evidence.path,
                    ("SID401", "ART301"),
                )
        elif sidecar.claimed_sha256 is None:
            yield Obstacle(
                f"its sidecar {sidecar.path} does not say which bytes it describes",
                f'{help} The exporter writes "sha256", the digest of the model.',
                sidecar.path,
                ("SID404",),
            )
        elif model.sha256 is not None and not describes_its_model(model, sidecar):
            yield Obstacle(
                f"its sidecar {sidecar.path} describes other bytes "
                f"({short(sidecar.claimed_sha256)}, not {short(model.sha256)})",
                help,
                sidecar.path,
                ("ART302", "SID404"),
            )
        elif (where := smoke_claim(sidecar)) is not None:
            yield Obstacle(
                f"`{'.'.join(where)}` of its sidecar {sidecar.path} is true: it describes a "
                "placeholder",
                "Train the model and export its sidecar.",
                sidecar.path,
                ("SID408",),
            )
        elif evidence is not row.sidecar:  # a variant needs no gate, and must not have failed one
            yield from _failure(sidecar)


def _failure(sidecar: Sidecar) -> Iterator[Obstacle]:
    """What the sidecar of a variant says against it."""
    failed = not_passed(sidecar)
    said = [f"`{'.'.join(failed)}` is {shown(sidecar.get(*failed))}"] if failed else []
    for message in (*said, *no_evidence(sidecar)):
        yield Obstacle(f"{sidecar.path}: {message}", "Run the gate again.", sidecar.path, _WRONG)


def _verdict(evidence: Evidence, row: RowEvidence) -> Iterator[Obstacle]:
    sidecar = row.sidecar.sidecar if row.sidecar else None
    if row.manifest is not None:
        yield from _verdict_of_ensemble(row.manifest, verdict_on(evidence, row))
    elif sidecar is None or row.onnx is None or _is_of_other_bytes(row.onnx, sidecar):
        return  # then there is no gate of these bytes; `_sidecars` says so
    elif smoke_claim(sidecar) is not None:
        return  # a placeholder passes none
    elif sidecar.text_at("ensemble_id") is not None:
        yield Obstacle(
            f"its sidecar says that it is a seed of {sidecar.text_at('ensemble_id')!r}, and no "
            "ensemble manifest lists it",
            "Export the manifest with all members.",
            sidecar.path,
            ("ENS503", "ENS519", "SID407", "BAS809"),
        )
    elif stated(row, sidecar) is None:
        yield from _gate_of_its_own(sidecar)


def _is_of_other_bytes(model: ModelEvidence, sidecar: Sidecar) -> bool:
    """Whether the sidecar names a digest, of whatever type, that is not the model's."""
    return sidecar.get("sha256") is not None and not describes_its_model(model, sidecar)


def _verdict_of_ensemble(manifest: Manifest, verdict: GateVerdict | None) -> Iterator[Obstacle]:
    if verdict is None:
        yield Obstacle(
            f"its ensemble {manifest.id!r} has no gate verdict, or more than one",
            "Run the gate and commit its verdict.",
            manifest.path,
            ("ENS510", "ENS519"),
        )
        return
    yield from _of_verdict(verdict)


@once
def _of_verdict(verdict: GateVerdict) -> tuple[Obstacle, ...]:
    """What is wrong with a verdict: the same for all members of its ensemble."""
    return tuple(_wrong_with(verdict))


def _wrong_with(verdict: GateVerdict) -> Iterator[Obstacle]:
    if verdict.verdict != PROMOTE:
        yield Obstacle(
            f"the verdict in {verdict.path} is {shown(verdict.verdict)}, not PROMOTE",
            "Train again until the gate says PROMOTE.",
            verdict.path,
            ("ENS513", "ENS511"),
        )
    wrong = [*(message for _, message in wrong_verdict(verdict)), *no_evidence(verdict)]
    for message in wrong:
        yield Obstacle(f"{verdict.path}: {message}", "Run the gate again.", verdict.path, _WRONG)
    found = evaluate(verdict)
    if verdict.verdict == PROMOTE and not wrong and (found is None or not found.passed):
        yield Obstacle(
            f"the numbers in {verdict.path} do not give its verdict",
            "Run the gate again.",
            verdict.path,
            _WRONG,
        )


def _gate_of_its_own(sidecar: Sidecar) -> Iterator[Obstacle]:
    """The gate that the sidecar of a single model records: no rule asks a row for one."""
    failed = not_passed(sidecar)
    if not stated_outcomes(sidecar):
        yield Obstacle(
            f"its sidecar {sidecar.path} records no gate that was passed: nothing says that it was "
            "evaluated",
            'Run the gate and record it in the sidecar: "gate": {"verdict": …, the numbers and '
            "their thresholds}. A model that was not trained in this repository needs no gate: "
            'declare its "origin": {"source": …, "license": …}.',
            sidecar.path,
            ("SID419",),
        )
        return
    found = evaluate(sidecar)
    wrong = [*(message for _, message in wrong_gate(sidecar)), *no_evidence(sidecar)]
    if failed is not None:
        yield Obstacle(
            f"`{'.'.join(failed)}` of its sidecar {sidecar.path} is {shown(sidecar.get(*failed))}",
            "Train again until the gate is passed.",
            sidecar.path,
            ("ENS517", "ENS511"),
        )
    elif found is None and not wrong:
        yield Obstacle(
            f"the gate in its sidecar {sidecar.path} has no number beside its threshold: its "
            "verdict cannot be computed again",
            "Let the gate record its numbers and thresholds.",
            sidecar.path,
            ("SID419", "ENS511", "ENS516"),
        )
    elif found is not None and not found.passed and not wrong:
        yield Obstacle(
            f"the numbers in its sidecar {sidecar.path} do not pass its gate",
            "Run the gate again.",
            sidecar.path,
            _WRONG,
        )
    for message in wrong:
        yield Obstacle(f"{sidecar.path}: {message}", "Run the gate again.", sidecar.path, _WRONG)


_WRONG: Final = ("ENS511",)
