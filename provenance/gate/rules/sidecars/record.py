# SPDX-License-Identifier: Apache-2.0
"""SID401 to SID407: whether there is a sidecar, and whether it is of this very model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provenance.artifacts.digest import is_sha256
from provenance.artifacts.paths import FETCH, IS_POINTER
from provenance.artifacts.registry import Classification
from provenance.artifacts.sidecar import Sidecar
from provenance.attestations.statement import StatementError
from provenance.evidence import expected_statements
from provenance.evidence.rows import ModelEvidence, RowEvidence
from provenance.gate.finding import Finding, Severity
from provenance.gate.rules.base import Rule, short, shown
from provenance.gate.rules.case import Case
from provenance.gate.rules.misplaced import has_misplaced_sidecar
from provenance.gate.rules.recovery_help import (
    is_lost_with_its_manifest,
    lost_manifest,
    lost_sidecar,
)
from provenance.gate.rules.registry import outside
from provenance.gate.rules.sidecars.current import describes_its_model, pairs
from provenance.gate.rules.sidecars.widths import input_width, wrong_widths


class SidecarMissing(Rule):
    """A production row has no sidecar.

    ## What it does
    Requires `<stem>.json` beside the model of every row with `"smoke": false`.

    ## Why it matters
    The sidecar is the inference contract: feature order, normalisation, vocabulary. Without it the
    model runs and gives numbers that mean nothing.

    ## Example
    A row with `"smoke": false`, and no JSON file of the model's name.

    ## How to fix
    Export the model again with its sidecar. If the row is a placeholder, say `"smoke": true`.
    """

    code = "SID401"
    slug = "sidecar-missing"
    looks_around = True
    deferrable = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if not row.entry.claims_production or row.sidecar is None or not row.sidecar.missing:
            return
        if has_misplaced_sidecar(case, row):
            return  # the row names another file than its model, which ART301 reports
        stray = case.evidence.registry_wide.stray_sidecar_of.get(row.index)
        lost = lost_sidecar(case, row)
        help = case.in_its_words('Export it with the model, or say "smoke": true.')
        help = lost.help if lost else help
        yield self.in_row(
            case,
            row,
            "onnx",
            f"production row without a sidecar: {row.sidecar.path} does not exist"
            + (lost.said if lost else "")
            + (f"; {stray.path}, which no row has, speaks of it" if stray else ""),
            f"If {stray.path} is its sidecar, name it so. {help}" if stray else help,
            about=row.sidecar.path,
        )


class _Stale(Rule):
    looks_around = True
    production: bool

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for model, evidence in pairs(row) if row.entry.smoke is not self.production else ():
            sidecar = evidence.sidecar
            if sidecar is not None and self._is_stale(row, model, sidecar):
                says = f"{self._says(model, sidecar)}; {model.name} is {short(model.sha256)}"
                yield self.at(sidecar, ("sha256",), says, self._help(case), row=row.label)

    def _is_stale(self, row: RowEvidence, model: ModelEvidence, sidecar: Sidecar) -> bool:
        if model.sha256 is None or describes_its_model(model, sidecar):
            return False
        if names_no_bytes(sidecar):  # else SID406 says so
            return self.production and _is_record(sidecar)
        # Where it is of what the row declares, the file was replaced: ART302 says so.
        return sidecar.claimed_sha256 != row.declared(model)

    def _says(self, model: ModelEvidence, sidecar: Sidecar) -> str:
        if names_no_bytes(sidecar):
            return "the sidecar records a gate or a seed and does not say of which bytes"
        if not is_sha256(sidecar.claimed_sha256):
            written = shown(sidecar.get("sha256"))
            return f"`sha256` of the sidecar is {written}, which is no SHA-256 digest: {_DIGEST}"
        parts = [f"the sidecar describes other bytes ({short(sidecar.claimed_sha256)}"]
        widths = sorted(
            {
                f"{spec.name} [{claim.width}], not [{input_width(spec)}]"
                for claim, spec in wrong_widths(sidecar, model.facts)
            }
        )
        verdict = sidecar.text_at("gate", "verdict")
        parts += [f"with {', '.join(widths)}"] if widths else []
        parts += [f"verdict {verdict}"] if verdict else []
        return ", ".join(parts) + ")"

    def _help(self, case: Case) -> str:
        raise NotImplementedError


class SidecarStale(_Stale):
    """The sidecar of a smoke row describes another file.

    ## What it does
    Compares the digest that the sidecar claims (`sha256`) with that of the model's bytes, by value:
    upper case, a prefix `sha256:` and `sha256-BASE64` make no difference. What is no SHA-256 digest
    is named as that. The message says what else
    the sidecar claims of the other file: widths, verdict. Where row and sidecar agree on a digest,
    the file was replaced: ART302 says so.

    ## Why it matters
    A sidecar that says PROMOTE beside a placeholder looks like the evidence for it. In ADR-1105
    five such sidecars stayed behind.

    ## Example
    The sidecar describes `08ab1aed…` with `codec_onehot [14]`; the file is `fa89df1b…` with `[6]`.

    ## How to fix
    Export model and sidecar together. Where that has to wait, declare it: a `[[deferral]]` with the
    reason and the decision it refers to. It rings as soon as the sidecar is fresh again.
    """

    code = "SID402"
    slug = "sidecar-stale"
    deferrable = True
    production = False

    def _help(self, case: Case) -> str:
        return "Export model and sidecar together, or declare a [[deferral]] with its reason."


class ProductionSidecarStale(_Stale):
    """The sidecar of a row that is not smoke describes another file.

    ## What it does
    As SID402, for rows that are not `smoke: true`: also for those that claim nothing, because
    evidence that exists must agree. And also where a sidecar that records a gate
    (`gate`, `verdict`, `gate_passed`) or a seed names no digest at all. It cannot be deferred.

    ## Why it matters
    A row that says production is a promise that these bytes passed the gate. A sidecar of other
    bytes is no evidence for it. Flipping `smoke` to false by hand, with the old sidecar still
    there, is exactly what ADR-1105 forbids.

    ## Example
    `"smoke": false`, and the sidecar's `sha256` is that of the model before the last export.

    ## How to fix
    Export model and sidecar together. Until then the row is a placeholder, whose sidecar is known
    to be stale: `"smoke": true`, and a `[[deferral]]` of SID402.
    """

    code = "SID404"
    escalates = "SID402"
    slug = "production-sidecar-stale"
    production = True

    def _help(self, case: Case) -> str:
        return case.in_its_words(
            'Export model and sidecar together; until then say "smoke": true and declare a '
            "[[deferral]] of SID402."
        )


class SidecarMalformed(Rule):
    """A sidecar cannot be read.

    ## What it does
    Reads each sidecar as strict JSON: an object, UTF-8, no key twice, no NaN, at most 4 MiB, and a
    regular file in the repository.

    ## Why it matters
    What cannot be read cannot be compared, and another reader may read it differently.

    ## Example
    `{"feature_std": [NaN]}`

    ## How to fix
    Export the sidecar again, or correct it at the place in the message.
    """

    code = "SID405"
    slug = "sidecar-malformed"

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        for _, evidence in pairs(row):
            if evidence.sidecar is not None:
                continue
            if row.entry.onnx is not None and outside(case, row.entry.onnx) is not None:
                return  # REG107 has said it
            problem = evidence.problem
            reason = f"{evidence.path} {evidence.malformed}" if evidence.malformed else None
            if problem is not None and not evidence.missing:
                reason = f"{evidence.path} {IS_POINTER}" if evidence.pointer else problem.message
            if reason is not None:
                export = "Export it again, or correct it at this place."
                yield self.finding(
                    f"the sidecar {reason}",
                    FETCH if evidence.pointer else export,
                    path=evidence.path,
                    row=row.label,
                    position=evidence.malformed_at,
                )


class SidecarUnlinked(Rule):
    """The sidecar of a row that claims nothing does not say which file it describes.

    ## What it does
    Warns where a row has no `smoke`, and its sidecar no `sha256`. A warning does not fail the gate.
    Where the sidecar records a gate or a seed, SID404 fails; where the row says production, SID417.

    ## Why it matters
    Without the digest nothing links sidecar and model: after the next export nobody can tell
    whether the sidecar was written with it. That is how ADR-1105 went unnoticed.

    ## Example
    ```json
    {"id": "lpips_sq_v1", "onnx_opset": 18}
    ```

    ## How to fix
    Let the exporter write `"sha256"`, the digest of the `.onnx` it has just written.
    """

    code = "SID406"
    slug = "sidecar-unlinked"
    severity = Severity.WARNING

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if row.entry.classification is not Classification.UNCLAIMED:
            return
        for _, evidence in pairs(row):
            sidecar = evidence.sidecar
            if sidecar is not None and names_no_bytes(sidecar) and not _is_record(sidecar):
                says = "the sidecar names no `sha256`: nothing says which bytes it describes"
                help = 'Let the exporter write "sha256", the digest of the model it exported.'
                yield self.at(sidecar, (), says, help, row=row.label)


class SeedRecordIncomplete(Rule):
    """The record of an ensemble seed lacks what its attestation must state.

    ## What it does
    For each seed whose sidecar describes its bytes: requires `seed`, `training_recipe`, a corpus
    digest that is one where it is recorded, and an ensemble manifest: one that lists the model, or
    one with the `ensemble_id` of the sidecar. (That such a manifest does not list it is for ENS503;
    one that is none, or cannot be read, is told once, by ENS519, where the whole registry is
    judged.)

    ## Why it matters
    The seed attestation says how these bytes came to be. It cannot be written from half a record,
    and a release without it would leave the seed linked to nothing.

    ## Example
    A sidecar with `"ensemble_id"` and no `"seed"`.

    ## How to fix
    Export the sidecar and the manifest again with the full record.
    """

    code = "SID407"
    slug = "seed-record-incomplete"
    looks_around = True

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        if not expected_statements.attestable(row) or row.sidecar is None:
            return
        if case.evidence.whole and expected_statements.broken_manifest(case.evidence, row):
            return  # ENS519 says it once, and not for each seed
        if row.manifest is None and is_lost_with_its_manifest(case, row):
            return  # BAS809 reports the manifest
        try:
            expected_statements.seed_predicate(case.evidence, row)
        except StatementError as e:
            lost = lost_manifest(case, row) if row.manifest is None else None
            export = "Export the sidecar and the manifest again with the full record."
            yield self.finding(
                str(e) + (lost.said if lost else ""),
                lost.help if lost else export,
                path=row.sidecar.path,
                row=row.label,
            )


def names_no_bytes(sidecar: Sidecar) -> bool:
    """Whether the sidecar leaves out which bytes it describes. What is no digest is a wrong one."""
    return sidecar.value.get("sha256") is None


def _is_record(sidecar: Sidecar) -> bool:
    """Whether a sidecar says how these weights did at a gate, or that they are a seed."""
    training = sidecar.get("training")
    in_training = _GATE & training.keys() if isinstance(training, dict) else None
    return bool(in_training or (_GATE | _SEED) & sidecar.value.keys())


_DIGEST: Final = "expected the SHA-256 of the model in hex"

_GATE: Final = frozenset(("gate", "verdict", "gate_passed"))
_SEED: Final = frozenset(("seed", "ensemble_id"))  # under `training` it is that of a generator
