# SPDX-License-Identifier: Apache-2.0
"""BAS8xx: what became of the rows since the baseline, and what no reviewer would see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from provenance.artifacts import spdx
from provenance.artifacts.digest import is_mentioned
from provenance.artifacts.documents.strict_json import Position
from provenance.artifacts.ensemble import Manifest
from provenance.evidence.classification import origin
from provenance.evidence.evidence import BaselineEvidence, LostFiles
from provenance.evidence.registry_diff import LostField, LostRow, changed_digests
from provenance.evidence.rows import FormerRow, RowEvidence
from provenance.gate.finding import Finding, Severity
from provenance.gate.rules import promotion
from provenance.gate.rules.base import Case, Phase, Rule, short, shown, some
from provenance.gate.rules.claims import say_smoke
from provenance.gate.rules.license import former_license, same_license
from provenance.gate.rules.misplaced import has_misplaced_sidecar
from provenance.gate.rules.recovery_help import no_longer_true, put_back, restore_row, restore_rows
from provenance.gate.rules.sidecars.current import pairs


class _BaselineRule(Rule):
    """A rule about the present state and that at the baseline."""

    phase = Phase.BASELINE

    def judge(self, case: Case) -> Iterator[Finding]:
        baseline = case.evidence.baseline
        if baseline is not None and (case.evidence.whole or not self.needs_whole):
            yield from self.conclude(case, baseline)

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        raise NotImplementedError

    def declare(self, subject: str, what: str) -> str:
        """How a change is declared that is meant."""
        return f"If {what} on purpose, declare it: [[deferral]] of {self.code} for {subject!r}."


class RowGone(_BaselineRule):
    """A row of the baseline is gone.

    ## What it does
    Compares the ids of the rows with those at the baseline. Where a new row names the same file or
    the same bytes, the message says that the row has another id now.

    ## Why it matters
    Consumers ask for a model by its id. In a registry of a thousand lines nobody sees that thirty
    of them are gone, least of all in a merge.

    ## Example
    The baseline has the row `vmaf_tiny_v2`, and the registry has none with this id.

    ## How to fix
    `provenance restore ROW --baseline git:origin/main` puts the row back where it stood. A removal
    or a new name that is meant is declared: a `[[deferral]]` with the old id in `rows` and the
    reason, in the change that removes the row and its files. Once that is merged, the deferral has
    done its work, and the next change removes it (DEF901).
    """

    code = "BAS801"
    slug = "row-gone"
    deferrable = True
    needs_whole = True
    about_rows = False

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        ids = Counter(row.entry.text("id") for row in case.evidence.rows)
        for lost in baseline.comparison.lost_rows():
            id = lost.row.label
            if lost.renamed is not None and ids[lost.renamed.text("id")] > 1:
                continue  # REG102 says which id it had
            if lost.renamed is None:
                onnx = lost.row.onnx
                ships = f", for {onnx}" if onnx else ""
                message = f"this row is gone; {baseline.name} has it{ships}"
                declare = self.declare(id, "it was removed")
                help = f"{restore_row(baseline, id)}. {declare}{_left_behind(case, lost)}"
            else:
                message = f"this row is gone; its model is now that of {lost.renamed.label!r}"
                help = (
                    f"Consumers ask for {id!r}: give the row its id back. "
                    f"{self.declare(id, 'it has another name')}"
                )
            yield self.finding(
                message,
                help,
                path=case.evidence.registry.path,
                row=id,
                position=self._place(case, baseline, lost),
            )

    def _place(self, case: Case, baseline: BaselineEvidence, lost: LostRow) -> Position:
        """Where the row stood: behind the one that is still before it."""
        registry = case.evidence.registry
        if lost.renamed is not None:
            return registry.locate(lost.renamed, "id")
        neighbour = baseline.comparison.neighbour(lost)
        if neighbour is not None:
            return registry.locate(neighbour)
        member = registry.source.find(registry.names.path)
        assert member is not None  # a registry without its list was refused
        return registry.source.position(member.start)


def _left_behind(case: Case, lost: LostRow) -> str:
    """What else has to be done where a row was removed on purpose."""
    baseline = case.evidence.baseline
    used = {f.path for row in case.evidence.rows for f in (*row.model_files, *row.sidecars)}
    gone = baseline.lost.get(lost.row.label, LostFiles()).here if baseline is not None else ()
    here = [path for path in gone if path not in used]
    lists = [
        d.path
        for d in case.evidence.documents
        if isinstance(d, Manifest) and lost.row.onnx in {m.onnx for m in d.members}
    ]
    files = f" Remove {some(here, 5)} as well." if here else ""
    return files + (f" Export {some(lists, 3)} without it." if lists else "")


class FieldGone(_BaselineRule):
    """A row has lost a field that it had at the baseline.

    ## What it does
    Compares the names of each row's fields with those at the baseline, also of fields that this
    tool does not know. Silent where another rule already misses the field, and where the model does
    not have what it speaks of any more. A row that has lost its `smoke` claims nothing any more.

    ## Why it matters
    A script that writes a registry drops what it does not know. In ADR-1105 three fields of five
    rows were lost in a change about something else.

    ## Example
    `"quant_accuracy_budget_plcc": 0.01` at the baseline, and no such field now.

    ## How to fix
    `provenance restore ROW --baseline git:origin/main` puts it back where it stood. If it is meant,
    declare it with a `[[deferral]]`.
    """

    code = "BAS802"
    slug = "field-gone"
    deferrable = True

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        said = {(f.code, row) for f in case.findings for row in f.rows}
        for row in case.evidence.rows:
            for lost in baseline.comparison.lost_fields(row.entry):
                empty = lost.key in row.entry.verbatim and row.entry.verbatim[lost.key] is None
                missed_by = "REG101" if empty else _MISSED_BY.get(lost.field or "")
                if (missed_by, row.label) in said:
                    continue
                if not self._speaks_of_nothing(row, lost):
                    yield self._gone(case, baseline, row, lost)

    def _speaks_of_nothing(self, row: RowEvidence, lost: LostField) -> bool:
        return lost.field == "external_data_sha256" and all(
            m.facts is not None and not m.external for m in row.models
        )

    def _gone(
        self, case: Case, baseline: BaselineEvidence, row: RowEvidence, lost: LostField
    ) -> Finding:
        label, former = row.label, baseline.former(row)
        reason = no_longer_true(baseline, row, lost)
        help = restore_rows(baseline, label)
        if reason is not None:
            help = f"Write what is true of the present files ({reason})"
        if lost.field == "smoke" and former is not None and changed_digests(row.entry, former.row):
            # `restore` refuses it: what it said was about other bytes.
            help = _until_proven(case, row, "the new model is promoted on evidence")
            help = help.removesuffix(".")
        return self.in_row(
            case,
            row,
            None,
            f"no `{lost.key}`; {baseline.name} has {shown(lost.was)}",
            f"{case.declare_first(lost.key)}{help}. {self.declare(label, 'it was removed')}",
        )


class EvidenceUnchanged(_BaselineRule):
    """A model has changed since the baseline, and what vouches for it has not.

    ## What it does
    Where a digest of a row changed: requires that the sidecar changed too, or names the new bytes,
    and that the bundle is not the one of the former bytes. The same for a new row that took the
    file of one that is gone. Silent where another rule already fails
    for the sidecar, or says that it describes other bytes, and about bundles where signatures are
    judged.

    ## Why it matters
    A sidecar without a digest, or one beside weights in external data, looks right whatever lies
    beside it. Only its history shows that it was written for another model.

    ## Example
    `sha256` is new, and the sidecar, which names no digest, is byte for byte that of the former
    model.

    ## How to fix
    Export sidecar and model together, and let the sidecar name the digests: `"sha256"`, and for
    weights `"external_data_sha256"`. A bundle of former bytes is no signature of this model: sign
    again (`provenance release`), or remove it until then.
    """

    code = "BAS803"
    slug = "evidence-unchanged"

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        stale = [f for f in case.findings if f.fails or f.code in _STALE]
        known = {path for f in stale for path in (f.path, *f.others)}
        for row in case.evidence.rows:
            former = baseline.former(row) or baseline.taken.get(row.index)
            if former is None or not (changed := changed_digests(row.entry, former.row)):
                continue
            # A digest that is not that of its file says nothing of the sidecar (ART302).
            changed = {f: d for f, d in changed.items() if f not in _replaced(row)}
            if not changed:
                continue
            for finding in self._sidecars(baseline, row, former, changed):
                if finding.path not in known:
                    yield finding
            unsigned = former.bundle is not None and former.bundle == former.bundle_now
            if unsigned and Phase.SIGNATURES not in case.phases:
                yield self.in_row(
                    case,
                    row,
                    "sigstore_bundle",
                    f"{row.entry.sigstore_bundle} is still the bundle of {baseline.name}, where "
                    f"{_was(changed)}",
                    "Sign again: provenance release. Until then, remove the bundle.",
                    about=case.evidence.registry.absolute(row.entry.sigstore_bundle or ""),
                )

    def _sidecars(
        self,
        baseline: BaselineEvidence,
        row: RowEvidence,
        former: FormerRow,
        changed: Mapping[str, tuple[str, str]],
    ) -> Iterator[Finding]:
        for model, evidence in pairs(row):
            sidecar = evidence.sidecar
            int8 = model is row.int8
            then = former.int8_sidecar if int8 else former.sidecar
            if sidecar is None or evidence.sha256 != then:
                continue
            files = ("int8_sha256" if int8 else "sha256", *(f.name for f in model.external))
            mine = {file: changed[file] for file in files if file in changed}
            if not mine or self._vouches(sidecar.text, mine):
                continue
            yield self.finding(
                f"this is still the sidecar of {baseline.name}, where {_was(mine)}; nothing in it "
                "says that it describes the present bytes",
                "Export it with the model, and let it name the digests: "
                + ('"sha256".' if files[0] in mine else '"external_data_sha256": {"NAME": "…"}.'),
                path=sidecar.path,
                row=row.label,
                position=sidecar.locate("sha256"),
            )

    @staticmethod
    def _vouches(sidecar: str, changed: Mapping[str, tuple[str, str]]) -> bool:
        """Whether a sidecar names every file's new bytes: it may have been written before them."""
        return all(is_mentioned(now, sidecar) for _, now in changed.values())


class PromotedByHand(_BaselineRule):
    """A row went from smoke to production without the evidence for it.

    ## What it does
    Where a row was `smoke: true` at the baseline and says `smoke: false` now: requires the evidence
    of SID417. A row that has lost its `smoke` is BAS802's. What another rule already reports is not
    repeated; what a deferral covers is: it was made for a placeholder.

    ## Why it matters
    "Production" is a promise that the gate was passed. ADR-1105 forbids to give it by hand.

    ## Example
    `"smoke": true` becomes `"smoke": false`, and the sidecar records no gate.

    ## How to fix
    `provenance promote ROW` flips the flag, once the evidence is complete. Until then the row is
    `"smoke": true`.
    """

    code = "BAS804"
    slug = "promoted-by-hand"

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        flipped = [
            row
            for row in case.evidence.rows
            if row.entry.claims_production and (former := baseline.former(row)) and former.row.smoke
        ]
        about = promotion.Subjects(case.findings if flipped else ())
        called = case.name_of("smoke")
        for row in flipped:
            missing = promotion.missing(case.evidence, about, row)
            if missing:
                helps = " ".join(dict.fromkeys(o.help for o in missing))
                yield self.in_row(
                    case,
                    row,
                    "smoke",
                    f"`{called}` is true at {baseline.name} and not here, and the evidence for "
                    "production is not complete: " + "; ".join(o.message for o in missing),
                    f"{_until_proven(case, row, 'the evidence is complete')} {helps} Then: "
                    + promotion.promote_command(row),
                    about=missing[0].path,
                )


class KindChanged(_BaselineRule):
    """A row is of another kind than at the baseline.

    ## What it does
    Compares `kind` of the rows with the same id. Silent where the sidecar still says the former
    kind: SID408 says so.

    ## Why it matters
    The id names a model to its consumers. A filter under the id of a quality metric is another
    model; it needs an id of its own.

    ## Example
    `"kind": "fr"` at the baseline, `"kind": "nr"` now, and the same id.

    ## How to fix
    Give the new model a new id. If the kind was wrong before, declare that with a `[[deferral]]`.
    """

    code = "BAS805"
    slug = "kind-changed"
    deferrable = True

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        failing = {(f.code, row) for f in case.findings if f.fails for row in f.rows}
        for row, now, then in _texts(case, baseline, "kind"):
            claims = {e.sidecar.text_at("kind") for _, e in pairs(row) if e.sidecar} - {None, now}
            if claims and ("SID408", row.label) in failing:
                continue
            yield self.in_row(
                case,
                row,
                "kind",
                f"`{case.name_of('kind')}` is {shown(now)}; {baseline.name} has {shown(then)}",
                "Give another model another id. "
                + self.declare(row.label, "the kind was corrected"),
            )


class LicenseChanged(_BaselineRule):
    """A row is offered under another license than at the baseline.

    ## What it does
    Compares `license` of the rows with the same id. Another way to write the same expression, or
    the same name as a `LicenseRef-`, is no change, nor is the id of its license file in the place
    of one that is on no list. Silent where LIC206 reports that the license is not that of its file,
    where LIC204 says to put the former one back, and for an imported model: where the bytes and the
    sidecar have changed too, and the sidecar declares an `origin` under this license.

    ## Why it matters
    The holder of the rights decides the license, not a commit. Whoever took the model under the
    former one still relies on it.

    ## Example
    `"CC-BY-NC-4.0"` at the baseline, `"MIT"` now.

    ## How to fix
    Put the license back. If the model was licensed anew, or the entry was wrong, declare it with a
    `[[deferral]]` and refer to the decision.
    """

    code = "BAS806"
    slug = "license-changed"
    deferrable = True

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        failing = {(f.code, row) for f in case.findings if f.fails for row in f.rows}
        for row, now, then in _texts(case, baseline, "license"):
            if ("LIC204", row.label) in failing and former_license(case, row) is not None:
                continue  # which says what to put back
            if _is_imported_anew(row, baseline, now):
                continue
            file = case.evidence.license_files.get(row.entry.text("license_url") or "")
            corrected = file is not None and not spdx.is_known(then) and now in file.licenses
            reported = ("LIC206", row.label) in failing
            if not same_license(now, then) and not corrected and not reported:
                origin = ""
                if _is_anew(row, baseline):
                    origin = "If the model was imported, declare its `origin` in the sidecar. "
                yield self.in_row(
                    case,
                    row,
                    "license",
                    f"`{case.name_of('license')}` is {shown(now)}; {baseline.name} has "
                    f"{shown(then)}",
                    f"Put it back. {origin}" + self.declare(row.label, "the license was changed"),
                )


class RegistryFieldGone(_BaselineRule):
    """The registry has lost a field of its own.

    ## What it does
    Compares the members beside the list of rows with those at the baseline.

    ## Why it matters
    `$schema` is what editors and other validators go by, `schema_version` what consumers refuse or
    accept a registry by.

    ## Example
    `"schema_version": 1` at the baseline, and no such field now.

    ## How to fix
    `provenance restore --baseline git:origin/main` puts it back. If it is meant, declare it: a
    `[[deferral]]` with the path of the registry in `rows`.
    """

    code = "BAS807"
    slug = "registry-field-gone"
    deferrable = True
    needs_whole = True
    about_rows = False

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        registry = case.evidence.registry
        for lost in baseline.comparison.lost_fields_of_registry():
            was = lost.was if len(lost.was) <= 80 else f"{lost.was[:79]}…"
            yield self.finding(
                f"no `{lost.key}`; {baseline.name} has {was}",
                f"{restore_rows(baseline)}. {self.declare(registry.path, 'it was removed')}",
                path=registry.path,
                position=Position(1, 1),
            )


class SidecarGone(_BaselineRule):
    """A row has lost its sidecar.

    ## What it does
    Looks for the sidecar of each row that had one at the baseline. For production rows SID401 says
    that it is missing.

    ## Why it matters
    ADR-1105 keeps even stale sidecars: they hold the record of the gate that the next export has to
    pass again. A model without one cannot be fed, and nobody knows how it was made.

    ## Example
    `m.json` lies beside `m.onnx` at the baseline, and not any more.

    ## How to fix
    Put the file back: `git restore --source=origin/main -- m.json`. If it is meant, declare it with
    a `[[deferral]]`.
    """

    code = "BAS808"
    slug = "sidecar-gone"
    deferrable = True

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        said = {(f.code, row) for f in case.findings for row in f.rows}
        for row in case.evidence.rows:
            former = baseline.former(row)
            if former is None or former.sidecar is None or row.sidecar is None:
                continue
            if has_misplaced_sidecar(case, row):
                continue
            if row.sidecar.missing and ("SID401", row.label) not in said:
                path = row.sidecar.path
                help = put_back(baseline, path)
                if changed_digests(row.entry, former.row):
                    help = "Export the sidecar with the model: the former one is of other bytes"
                yield self.in_row(
                    case,
                    row,
                    "onnx",
                    f"{path} does not exist; {baseline.name} has a sidecar for this row",
                    f"{help}. {self.declare(row.label, 'it was removed')}",
                    about=path,
                )


class RecordGone(_BaselineRule):
    """An ensemble has lost its manifest or its gate verdict.

    ## What it does
    Looks for the ensemble manifests and gate verdicts of the baseline, where rows of the ensemble
    are still here. Another manifest of the same ensemble, or another verdict on it, takes the place
    of the former. Silent where ENS510 misses it; SID407 leaves a lost manifest to this rule.

    ## Why it matters
    Without the manifest five seeds are five models, and no rule about ensembles looks at them any
    more. Without the verdict nothing says what they were held to.

    ## Example
    `e_v1.json`, which lists five members, is there at the baseline and not any more.

    ## How to fix
    Put the file back: `git restore --source=origin/main -- e_v1.json`. If it is meant, declare it
    with a `[[deferral]]` that has the ensemble's id in `rows`.
    """

    code = "BAS809"
    slug = "record-gone"
    deferrable = True
    needs_whole = True
    about_rows = False

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        here = {_called(e.manifest): e for e in case.evidence.ensembles}
        said = {(f.code, subject) for f in case.findings for subject in f.subjects}
        manifests = [d for d in case.evidence.documents if isinstance(d, Manifest)]
        then = replace(case.evidence, documents=(*manifests, *baseline.documents))
        found: dict[str, Finding] = {}
        for ensemble in then.ensembles:
            id = _called(ensemble.manifest)
            rows = [member.row for member in ensemble.members if member.row]
            if not rows:
                continue  # BAS801 tells of them
            if id not in here and not all(("SID407", r.label) in said for r in rows):
                path = ensemble.manifest.path
                found[path] = self._gone(case, baseline, "ensemble manifest", path, id, rows[0])
            present = here[id].verdicts if id in here else ()
            if not present and ("ENS510", id) not in said:
                for verdict in ensemble.verdicts:
                    gone = self._gone(case, baseline, "gate verdict", verdict.path, id, rows[0])
                    found.setdefault(verdict.path, gone)
        yield from found.values()

    def _gone(
        self,
        case: Case,
        baseline: BaselineEvidence,
        what: str,
        path: str,
        id: str,
        row: RowEvidence,
    ) -> Finding:
        """The finding at a row of the ensemble, since the file itself is not there."""
        registry = case.evidence.registry
        return self.finding(
            f"the {what} of {id!r} is gone; {baseline.name} has {baseline.former_path(path)}",
            f"{put_back(baseline, path)}. {self.declare(id, 'it was removed')}",
            path=registry.path,
            position=registry.locate(row.entry, "onnx"),
            about=path,
            ensemble=id,
        )


class PolicyChanged(_BaselineRule):
    """The configuration decides otherwise than at the baseline.

    ## What it does
    Compares every key of the configuration with that of the baseline: the registry's path, trust
    and the number of signatures, deferrals, gates, how models are run, the baseline itself. An
    entry of a list is recognised by what it names, so that a moved date is one change. Files that
    both configurations name, such as public keys, are compared by their digests.

    ## Why it matters
    The configuration decides what is checked and whose signatures count. A pull request that adds
    a deferral, or points `registry` at another file, passes the check that it has just changed.

    ## Example
    `signatures` is 2 at the baseline and 1 now, or `expires` of a deferral is a year later.

    ## How to fix
    Review it as a change of policy. If it is not meant, put the former value back. The warning
    disappears once the baseline has the new value.
    """

    code = "BAS810"
    slug = "policy-changed"
    severity = Severity.WARNING
    about_rows = False

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        for change in baseline.policy:
            then = "does not have it" if change.was is None else f"has {change.was}"
            yield self.finding(
                f"{change.key} is {change.now or 'missing'}; {baseline.name} {then}",
                "Review it as a change of policy. If it is not meant, put the former value back.",
                path=case.config.path,
                position=change.position,
            )


def _is_imported_anew(row: RowEvidence, baseline: BaselineEvidence, license: str) -> bool:
    """Whether another model took a row's place, with its own origin under its own license."""
    declared = origin(row)
    return (
        declared is not None
        and _is_anew(row, baseline)
        and same_license(declared["license"], license)
    )


def _is_anew(row: RowEvidence, baseline: BaselineEvidence) -> bool:
    """Whether the bytes of the model have changed, and its sidecar with them."""
    former, sidecar = baseline.former(row), row.sidecar
    if former is None or sidecar is None or sidecar.sidecar is None:
        return False
    return "sha256" in changed_digests(row.entry, former.row) and sidecar.sha256 != former.sidecar


_STALE: Final = ("SID402", "SID404", "SID405", "SID409")
"""The rules that say that a sidecar is not about these bytes, also where that is deferred."""

_MISSED_BY: Final[Mapping[str, str]] = {
    "id": "REG101",
    "onnx": "REG101",
    "sha256": "REG101",
    "license": "LIC201",
    "license_url": "LIC202",
    "sigstore_bundle": "LIC203",
    "external_data_sha256": "ART306",
    "int8_sha256": "ART308",
}
"""The rules that miss a field without a baseline."""


def _until_proven(case: Case, row: RowEvidence, proven: str) -> str:
    say = case.in_its_words(say_smoke(row))
    return f"{say[:1].upper()}{say[1:]} until {proven}."


def _replaced(row: RowEvidence) -> frozenset[str]:
    """The files whose declared digests are not theirs, by the names of `changed_digests`."""
    names = {id(row.onnx): "sha256", id(row.int8): "int8_sha256"}
    return frozenset(names.get(id(f), f.name) for f in row.model_files if row.replaced(f))


def _called(manifest: Manifest) -> str:
    return manifest.id or manifest.path


def _was(changed: Mapping[str, tuple[str, str]]) -> str:
    """What the digests were: "sha256 is 08ab1aed…, not fa89df1b…"."""
    file, (then, now) = next(iter(changed.items()))
    more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    return f"{file} is {short(then)}, not {short(now)}{more}"


def _texts(
    case: Case, baseline: BaselineEvidence, field: str
) -> Iterator[tuple[RowEvidence, str, str]]:
    """The rows in which a text differs from that at the baseline: now and then."""
    for row in case.evidence.rows:
        former = baseline.former(row)
        now = row.entry.text(field)
        then = former.row.text(field) if former else None
        if now is not None and then is not None and now != then:
            yield row, now, then


RULES: Iterable[type[Rule]] = (
    RowGone,
    FieldGone,
    EvidenceUnchanged,
    PromotedByHand,
    KindChanged,
    LicenseChanged,
    RegistryFieldGone,
    SidecarGone,
    RecordGone,
    PolicyChanged,
)
