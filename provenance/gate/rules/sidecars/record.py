# SPDX-License-Identifier: Apache-2.0
"""SID401 to SID407: each production model has a sidecar, and the sidecar describes that model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provenance.artifacts.digest import is_sha256
from provenance.artifacts.paths import FETCH, IS_POINTER
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
from provenance.registry.rows import Classification


class SidecarMissing(Rule):
    """A production row has no sidecar.

    ## What it does
    Requires `<stem>.json` beside the model of every row with `"smoke": false`.

    ## Why it matters
    The sidecar is the inference contract: feature order, normalisation, vocabulary. Without it the
    model runs and returns meaningless numbers.

    ## Example
    A row has `"smoke": false` and `"onnx": "m.onnx"`, but there is no `m.json`.

    ## How to fix
    Export the model again with its sidecar. If the row is a placeholder, write `"smoke": true`.
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
        help = row.worded('Export it with the model, or say "smoke": true.')
        help = lost.help if lost else help
        yield self.in_row(
            case,
            row,
            "onnx",
            f"production row without a sidecar: {row.sidecar.path} does not exist"
            + (lost.said if lost else "")
            + (f"; {stray.path}, which belongs to no row, describes the model" if stray else ""),
            f"If {stray.path} is its sidecar, rename it to {row.sidecar.path}. {help}"
            if stray
            else help,
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
        if names_no_bytes(sidecar):  # SID406 reports the others
            return self.production and _is_record(sidecar)
        # If the sidecar matches the row, the model file was replaced: ART302 reports that.
        return sidecar.claimed_sha256 != row.declared(model)

    def _says(self, model: ModelEvidence, sidecar: Sidecar) -> str:
        if names_no_bytes(sidecar):
            return "the sidecar records a gate or a seed, but has no `sha256` of its model"
        if not is_sha256(sidecar.claimed_sha256):
            written = shown(sidecar.get("sha256"))
            return f"`sha256` of the sidecar is {written}, not a SHA-256 digest: {_DIGEST}"
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
    Compares `sha256` of the sidecar with the digest of the model. Upper case, the prefix `sha256:`
    and `sha256-BASE64` are accepted. A value that is not a SHA-256 digest is reported too. The
    message also shows what the sidecar claims about the other file: its widths and its verdict. If
    row and sidecar agree on another digest, the file was replaced, and ART302 reports it.

    ## Why it matters
    A sidecar that says PROMOTE beside a placeholder looks like evidence for the placeholder. In
    ADR-1105 five such sidecars stayed behind.

    ## Example
    The sidecar describes `08ab1aed…` with `codec_onehot [14]`; the file is `fa89df1b…` with `[6]`.

    ## How to fix
    Export model and sidecar together. If that has to wait, declare a `[[deferral]]` with the reason
    and the decision behind it. The deferral fails (DEF901) as soon as the sidecar is correct again.
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
    Checks the same as SID402 for rows that are not `smoke: true`. This includes unclaimed rows,
    because evidence that exists must be consistent. It also fails if a sidecar that records a gate
    (`gate`, `verdict`, `gate_passed`) or a seed has no digest at all. It cannot be deferred.

    ## Why it matters
    A production row promises that these bytes passed the gate. A sidecar of other bytes is no
    evidence for that. ADR-1105 forbids setting `smoke` to false by hand beside an old sidecar.

    ## Example
    The row says `"smoke": false`, but the sidecar's `sha256` is that of the model before the last
    export.

    ## How to fix
    Export model and sidecar together. Until then, declare the row a placeholder with
    `"smoke": true`, and defer SID402 for its stale sidecar with a `[[deferral]]`.
    """

    code = "SID404"
    escalates = "SID402"
    slug = "production-sidecar-stale"
    production = True

    def _help(self, case: Case) -> str:
        return (
            'Export model and sidecar together; until then say "smoke": true and declare a '
            "[[deferral]] of SID402."
        )


class SidecarMalformed(Rule):
    """A sidecar cannot be read.

    ## What it does
    Reads each sidecar as strict JSON: an object in UTF-8, without repeated keys and without NaN, of
    at most 4 MiB, in a regular file inside the repository.

    ## Why it matters
    A file that cannot be read cannot be checked, and other readers may interpret it differently.

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
                return  # REG107 reports it
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
    """The sidecar of an unclaimed row has no digest of its model.

    ## What it does
    Warns if a row has no `smoke` and its sidecar has no `sha256`. A warning does not fail the gate.
    If the sidecar records a gate or a seed, SID404 fails; if the row says production, SID417 does.

    ## Why it matters
    Only the digest links sidecar and model. Without it, after the next export, it is unknown
    whether the sidecar belongs to the new model. That is how ADR-1105 went unnoticed.

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
                says = "the sidecar has no `sha256`, so nothing links it to its model"
                help = 'Let the exporter write "sha256", the digest of the model it exported.'
                yield self.at(sidecar, (), says, help, row=row.label)


class SeedRecordIncomplete(Rule):
    """The record of an ensemble seed is too incomplete for its attestation.

    ## What it does
    Checks each seed whose sidecar describes its bytes. The sidecar must have `seed` and
    `training_recipe`, and its corpus digest, if recorded, must be a SHA-256 digest. There must be
    an ensemble manifest that lists the model or has the `ensemble_id` of the sidecar. If a manifest
    with that id does not list the model, ENS503 reports that. If the manifest is unreadable or not
    valid, ENS519 reports it once when the whole registry is checked.

    ## Why it matters
    The seed attestation records how these bytes came to be. It cannot be written from an incomplete
    record, and a release without it would not link the seed to its ensemble.

    ## Example
    A sidecar has `"ensemble_id"` but no `"seed"`.

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
            return  # ENS519 reports it once instead of once per seed
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
    """Return whether the sidecar has no `sha256`. An invalid value counts as a wrong digest."""
    return sidecar.value.get("sha256") is None


def _is_record(sidecar: Sidecar) -> bool:
    """Return whether a sidecar records a gate or a seed."""
    training = sidecar.get("training")
    in_training = _GATE & training.keys() if isinstance(training, dict) else None
    return bool(in_training or (_GATE | _SEED) & sidecar.value.keys())


_DIGEST: Final = "expected the SHA-256 of the model in hex"

_GATE: Final = frozenset(("gate", "verdict", "gate_passed"))
_SEED: Final = frozenset(("seed", "ensemble_id"))  # `training.seed` is a random generator's seed
