# SPDX-License-Identifier: Apache-2.0
"""The conditions of ADR-1105 that a row must meet to become production.

The sidecar describes the present model file, the numbers of the gate support its verdict PROMOTE,
widths agree, and the license is complete. An imported model needs no gate, because its sidecar
declares its origin.

`provenance promote` writes `"smoke": false` only if all conditions are met. SID417 reports a row
that claims production without meeting them, and BAS804 a row that was flipped by hand. All three
use the functions of this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from provenance.artifacts.digest import sha256_of
from provenance.artifacts.ensemble import GateVerdict, Manifest
from provenance.artifacts.sidecar import Document, Sidecar, once
from provenance.config.gates import Gate
from provenance.evidence.classification import verdict_on
from provenance.evidence.evaluation import PROMOTE, evaluate, no_evidence, stated_outcomes
from provenance.evidence.evidence import Evidence
from provenance.evidence.gates import GateResult, of_ensemble, of_model
from provenance.evidence.origin import stated
from provenance.evidence.rows import ModelEvidence, RowEvidence
from provenance.frozen import dataclass
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
from provenance.registry.rows import is_blank

WIDTHS: Final = ("SID403", "SID411", "ENS507", "ENS521")
"""The rules that compare widths, and the one that reports a manifest about other bytes.

They apply to smoke rows too, and a deferral may cover them.
"""

LICENSE: Final[Mapping[str, str]] = {
    "license": "LIC201",
    "license_url": "LIC202",
    "sigstore_bundle": "LIC203",
}
"""The fields of a complete license, with the rule that reports each missing one."""


@dataclass(frozen=True)
class Obstacle:
    """A condition for production that a row does not meet.

    Attributes:
        message: What was found, as a clause about the row.
        help: What has to be done first.
        path: The file concerned, relative to the repository's root.
        codes: The rules that report the same problem for a production row, as codes or prefixes.
        finding: The finding behind the obstacle, which a deferral may cover, or None.
    """

    message: str
    help: str
    path: str
    codes: tuple[str, ...] = ()
    finding: Finding | None = None

    def stated(self, findings: Iterable[Finding]) -> bool:
        """Whether one of these findings about the row already reports the problem and fails."""
        return any(f.fails and f.code.startswith(self.codes) for f in findings)


def about(by_subject: Mapping[str | None, Sequence[Finding]], row: RowEvidence) -> list[Finding]:
    """Return the findings about a row and about its ensemble."""
    if not by_subject:
        return []
    ids = (row.label, row.manifest.id if row.manifest else None, row.named)
    return [f for id in dict.fromkeys(ids) if id is not None for f in by_subject.get(id, ())]


def missing(
    evidence: Evidence, by_subject: Mapping[str | None, Sequence[Finding]], row: RowEvidence
) -> tuple[Obstacle, ...]:
    """Return the obstacles between a row and production that no finding reports yet."""
    known = about(by_subject, row)
    relevant = known if row.manifest is not None else [f for f in known if f.row is not None]
    return tuple(o for o in obstacles(evidence, relevant, row) if not o.stated(known))


def promote_command(row: RowEvidence) -> str:
    """Return the command that promotes a row, or its ensemble if it is a member of one."""
    ensemble = row.manifest.id if row.manifest is not None else None
    return command("promote", *(["--ensemble", ensemble] if ensemble is not None else [row.label]))


def obstacles(
    evidence: Evidence, findings: Iterable[Finding], row: RowEvidence
) -> Iterator[Obstacle]:
    """Yield every obstacle between `row` and production, whatever the row claims now.

    Args:
        evidence: The evidence of the run.
        findings: The findings about the row and its ensemble, from a run over the same evidence.
        row: The row to be promoted.
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
            name = row.called(field)
            yield Obstacle(
                f"no `{name}`", f"Add `{name}` to the row.", evidence.registry.path, (code,)
            )


def _bytes(evidence: Evidence, row: RowEvidence) -> Iterator[Obstacle]:
    if row.onnx is None:
        name = row.called("onnx")
        yield Obstacle(
            f"no `{name}`", "Name the model's file.", evidence.registry.path, ("REG101",)
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
                f"{model.path} is not a readable ONNX model",
                "Export or fetch the model again.",
                model.path,
                ("ART", "REG"),
            )
        elif sha256_of(row.entry.fields.get(field)) != model.sha256:
            name, label = row.called(field), row.label
            accepted = ("--accept", label) if row.replaced(model) else ()
            first = "" if field in row.entry.fields else f'Add "{name}": "" to the row. '
            yield Obstacle(
                f"`{name}` is not the digest of {model.path}",
                f"{first}If the file is right: {command('hash', label, '--write', *accepted)}",
                evidence.registry.path,
                ("ART302", "ART308", "REG"),
            )
        elif row.entry.smoke is not True:
            label, path = evidence.placeholders.get(model.sha256, ("", model.path))
            if path != model.path:  # ART313 reports a file that two rows name
                yield Obstacle(
                    f"{model.path} has the same bytes as {path}, which row {label!r} declares as a "
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
                f"its sidecar {sidecar.path} does not name the digest of its model",
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
        elif evidence is not row.sidecar:  # a variant needs no gate, but must not have failed one
            yield from _failed_gate(sidecar)


def _failed_gate(sidecar: Sidecar) -> Iterator[Obstacle]:
    """Yield the obstacles from a failed gate in the sidecar of a variant."""
    failed = not_passed(sidecar)
    failure = [f"`{'.'.join(failed)}` is {shown(sidecar.get(*failed))}"] if failed else []
    for message in (*failure, *no_evidence(sidecar)):
        yield Obstacle(f"{sidecar.path}: {message}", "Run the gate again.", sidecar.path, _WRONG)


def _verdict(evidence: Evidence, row: RowEvidence) -> Iterator[Obstacle]:
    sidecar = row.sidecar.sidecar if row.sidecar else None
    if row.manifest is not None:
        gates = evidence.gates_of(row)
        yield from _verdict_of_ensemble(row.manifest, verdict_on(evidence, row), gates)
    elif sidecar is None or row.onnx is None or _is_of_other_bytes(row.onnx, sidecar):
        return  # `_sidecars` reports that the sidecar is not about these bytes
    elif smoke_claim(sidecar) is not None:
        return  # `_sidecars` reports a placeholder, which has no gate
    elif sidecar.text_at("ensemble_id") is not None:
        yield Obstacle(
            f"its sidecar says that it is a seed of {sidecar.text_at('ensemble_id')!r}, but no "
            "ensemble manifest lists it",
            "Export the manifest with all members.",
            sidecar.path,
            ("ENS503", "ENS519", "SID407", "BAS809"),
        )
    elif gates := evidence.gates_of(row):
        is_imported = stated(row, sidecar) is not None
        yield from _configured_gates(sidecar, gates, needs_value=not is_imported)
    elif stated(row, sidecar) is None:
        yield from _gate_of_its_own(sidecar)


def _is_of_other_bytes(model: ModelEvidence, sidecar: Sidecar) -> bool:
    """Whether the sidecar has a `sha256`, of any JSON type, that is not the model's digest."""
    return sidecar.get("sha256") is not None and not describes_its_model(model, sidecar)


def _verdict_of_ensemble(
    manifest: Manifest, verdict: GateVerdict | None, gates: tuple[Gate, ...]
) -> Iterator[Obstacle]:
    if verdict is None:
        yield Obstacle(
            f"its ensemble {manifest.id!r} has no gate verdict, or more than one",
            "Run the gate and commit its verdict.",
            manifest.path,
            ("ENS510", "ENS519"),
        )
        return
    yield from _verdict_obstacles(verdict, manifest, gates)


@once
def _verdict_obstacles(
    verdict: GateVerdict, manifest: Manifest, gates: tuple[Gate, ...]
) -> tuple[Obstacle, ...]:
    """Return the obstacles in a verdict, which are the same for all members of its ensemble."""
    return tuple(_iter_verdict_obstacles(verdict, manifest, gates))


def _iter_verdict_obstacles(
    verdict: GateVerdict, manifest: Manifest, gates: tuple[Gate, ...]
) -> Iterator[Obstacle]:
    if verdict.verdict != PROMOTE and not (gates and verdict.verdict is None):
        yield Obstacle(
            f"the verdict in {verdict.path} is {shown(verdict.verdict)}, not PROMOTE",
            "Train again until the gate says PROMOTE.",
            verdict.path,
            ("ENS513", "ENS511"),
        )
    wrong = [message for _, message in wrong_verdict(verdict, bool(gates))]
    wrong += no_evidence(verdict) if not gates else ()
    for message in wrong:
        yield Obstacle(f"{verdict.path}: {message}", "Run the gate again.", verdict.path, _WRONG)
    if gates:
        yield from _unmet(verdict, of_ensemble(verdict, manifest, gates))
        return
    result = evaluate(verdict)
    if verdict.verdict == PROMOTE and not wrong and (result is None or not result.passed):
        yield Obstacle(
            f"the numbers in {verdict.path} do not support its verdict",
            "Run the gate again.",
            verdict.path,
            _WRONG,
        )


def _configured_gates(
    sidecar: Sidecar, gates: tuple[Gate, ...], *, needs_value: bool
) -> Iterator[Obstacle]:
    """Yield the obstacles in a sidecar that is judged by gates of the configuration."""
    failed = not_passed(sidecar)
    if failed is not None:
        yield _not_passed(sidecar, failed)
    for _, message in wrong_gate(sidecar):
        yield Obstacle(f"{sidecar.path}: {message}", "Run the gate again.", sidecar.path, _WRONG)
    yield from _unmet(sidecar, of_model(sidecar, gates), needs_value=needs_value)


def _unmet(
    document: Document, results: Iterable[GateResult], *, needs_value: bool = True
) -> Iterator[Obstacle]:
    """Yield the values that gates of the configuration miss, and the conditions that fail."""
    for result in results:
        for fault in result.missing if needs_value else ():
            yield Obstacle(
                f"{document.path}: {fault.message} ({result.gate.name})",
                "Run the evaluation and record its value at this path.",
                document.path,
                ("ENS523",),
            )
        for fault in result.failed:
            yield Obstacle(
                f"{document.path}: {fault.message}",
                "Train again until the gate is passed.",
                document.path,
                ("ENS522",),
            )


def _gate_of_its_own(sidecar: Sidecar) -> Iterator[Obstacle]:
    """Yield the obstacles in the gate that a single model's sidecar records.

    No other rule requires a gate of a single model.
    """
    failed = not_passed(sidecar)
    if not stated_outcomes(sidecar):
        yield Obstacle(
            f"its sidecar {sidecar.path} records no gate that was passed, so nothing shows that "
            "the model was evaluated",
            'Run the gate and record it in the sidecar: "gate": {"verdict": …, the numbers and '
            "their thresholds}. For another metric, declare a [[gate]]. A model that was not "
            "trained in this repository needs no gate: "
            'declare its "origin": {"source": …, "license": …}.',
            sidecar.path,
            ("SID419",),
        )
        return
    result = evaluate(sidecar)
    wrong = [*(message for _, message in wrong_gate(sidecar)), *no_evidence(sidecar)]
    if failed is not None:
        yield _not_passed(sidecar, failed)
    elif result is None and not wrong:
        yield Obstacle(
            f"the gate in its sidecar {sidecar.path} does not record a number with its threshold, "
            "so its verdict cannot be checked",
            "Record the numbers and thresholds of the gate.",
            sidecar.path,
            ("SID419", "ENS511", "ENS516"),
        )
    elif result is not None and not result.passed and not wrong:
        yield Obstacle(
            f"the numbers in its sidecar {sidecar.path} do not pass its gate",
            "Run the gate again.",
            sidecar.path,
            _WRONG,
        )
    for message in wrong:
        yield Obstacle(f"{sidecar.path}: {message}", "Run the gate again.", sidecar.path, _WRONG)


def _not_passed(sidecar: Sidecar, failed: tuple[str, ...]) -> Obstacle:
    return Obstacle(
        f"`{'.'.join(failed)}` of its sidecar {sidecar.path} is {shown(sidecar.get(*failed))}",
        "Train again until the gate is passed.",
        sidecar.path,
        ("ENS517", "ENS511"),
    )


_WRONG: Final = ("ENS511",)
