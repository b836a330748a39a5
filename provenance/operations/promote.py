# SPDX-License-Identifier: Apache-2.0
"""`promote`: turn smoke rows into production, but only with complete evidence (ADR-1105).

The rows are judged as they would be after the promotion, by the same rules as in later runs.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from provenance.artifacts import writing
from provenance.artifacts.digest import is_mentioned
from provenance.artifacts.documents import json_edit
from provenance.artifacts.documents.json_edit import Edit, Insert, Set
from provenance.artifacts.documents.source_map import SourceMap
from provenance.artifacts.ensemble import Manifest
from provenance.artifacts.writing import Change
from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence import hypothetical
from provenance.evidence.collect import read_rows
from provenance.evidence.ensembles import Claimant, Outline, outlines
from provenance.evidence.evidence import Evidence
from provenance.evidence.facts import RowFacts
from provenance.evidence.kept_units import KeptUnits
from provenance.evidence.progress import Progress
from provenance.evidence.rows import RowEvidence
from provenance.evidence.units import Unit
from provenance.frozen import dataclass
from provenance.gate import deferral_matching, reporting
from provenance.gate.finding import EXIT_CODES, Finding, Report, Verdict, by_subject
from provenance.gate.judge import Terms, conclude
from provenance.gate.rules import promotion
from provenance.gate.rules.base import command
from provenance.gate.rules.baseline.vouching import PromotedByHand
from provenance.gate.rules.claims import ProductionUnproven
from provenance.gate.rules.deferrals import DeferralStale
from provenance.gate.rules.promotion import Obstacle
from provenance.gate.rules.sidecars.current import pairs
from provenance.operations.load_evidence import baseline_of, known_rows, load_evidence, today_utc
from provenance.registry.registry import Registry
from provenance.registry.rows import Row


@dataclass(frozen=True)
class Missing:
    """A condition that rows do not meet and that no finding reports."""

    rows: tuple[str, ...]
    obstacle: Obstacle


@dataclass(frozen=True)
class Promotion:
    """The result of a promotion: what was or would be promoted, or what prevents it.

    Attributes:
        ensemble: The ensemble to promote, or None if single rows are promoted.
        report: The rows as they would be, with only the findings about them.
        missing: The other conditions that are not met.
        unvouched: External data whose digest is in no sidecar, if there is no baseline: nothing
            shows that these weights were evaluated.
        flipped: The rows that are not production yet.
        deferrals: The findings about deferrals that are stale after the promotion and have to be
            removed. They do not prevent it.
        diff: The edits; an empty string if nothing changes or the promotion is refused.
        written: Whether the edits were written.
    """

    ensemble: str | None
    report: Report
    missing: tuple[Missing, ...]
    unvouched: tuple[str, ...]
    flipped: tuple[str, ...]
    deferrals: tuple[Finding, ...]
    diff: str = ""
    written: bool = False

    @property
    def verdict(self) -> Verdict:
        """FAILED if a condition is not met, even by rows that are production already."""
        return Verdict.FAILED if self.missing else self.report.verdict

    @property
    def exit_code(self) -> int:
        """0 if promoted, or already production with complete evidence; 1 refused; 3 no rows."""
        return EXIT_CODES[self.verdict]


def promote(
    config: Config,
    *,
    rows: Sequence[str] = (),
    ensemble: str | None = None,
    baseline: str | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    today: datetime.date | None = None,
) -> Promotion:
    """Promote the rows with the given ids, or all members of an ensemble, to production.

    Args:
        config: The configuration.
        rows: The ids of the rows.
        ensemble: The id of the ensemble, instead of `rows`.
        baseline: What the rows are compared with, named as for `check`.
        dry_run: Do not write the edits.
        progress: Receives what is being done.
        today: The date on which deferrals expire; by default today, UTC.

    Raises:
        InputError: If the input cannot be read, an id is unknown, a row can only be promoted with
            its ensemble, or a file cannot be written.
        UnavailableError: If the baseline is not available.
    """
    evidence = load_evidence(config, baseline=baseline_of(config, baseline))
    registry = evidence.registry
    if ensemble is not None:
        outline = _outline(evidence, ensemble)
        target: Manifest | None = outline.manifest
        labels = dict.fromkeys(row.label for _, _, row in outline.members if row is not None)
    else:
        known_rows(registry, rows)
        target, labels = None, dict.fromkeys(rows)
    flipped = [r for r in registry.rows if r.label in labels and not r.claims_production]
    changes = _changes(registry, flipped, target)
    after = hypothetical.edited(evidence, {c.path: c.after for c in changes})
    terms = Terms(trust=None, today=today or today_utc())
    with KeptUnits(lambda unit: _is_about(unit, labels, target)) as kept:
        case = conclude(after, config, terms, kept=kept, progress=progress)
        units = tuple(kept.each(case.evidence))
    selected = sorted(
        ((unit, row) for unit in units for row in unit.rows if row.label in labels),
        key=lambda found: found[1].index,
    )
    if target is None:
        _refuse_members(row for _, row in selected)
    report = reporting.report(case)
    stale = _stale(report, config, {*labels, *([target.id, target.path] if target else [])})
    report = _about(report, units, [row for _, row in selected], ensemble)
    done = Promotion(
        ensemble=target.id if target else None,
        report=report,
        missing=_missing(report, selected),
        unvouched=tuple(_unvouched(row for _, row in selected)) if after.baseline is None else (),
        flipped=tuple(dict.fromkeys(row.label for row in flipped)),
        deferrals=stale,
    )
    if done.verdict is not Verdict.VERIFIED:
        return done
    if not dry_run:
        writing.write_changes(evidence.root, changes)
    diff = "".join(c.diff for c in changes)
    return replace(done, diff=diff, written=bool(diff) and not dry_run)


def _outline(evidence: Evidence, wanted: str) -> Outline:
    """Return the ensemble with an id: its manifest, and the rows of its members."""
    documents, rows = evidence.documents, evidence.registry.rows
    claimants = [Claimant(row, None, None) for row in rows]
    found = [o for o in outlines(claimants, documents) if o.manifest.id == wanted]
    if len(found) == 1 == sum(isinstance(d, Manifest) and d.id == wanted for d in documents):
        return found[0]
    # A list of ids counts as a manifest only if the sidecar of a row names it.
    claimants = [RowFacts.of(row).claimant for row in read_rows(evidence)]
    known = [o for o in outlines(claimants, documents) if o.manifest.id]
    found = [o for o in known if o.manifest.id == wanted]
    if not found:
        ids = [str(o.manifest.id) for o in known]
        import difflib

        near = difflib.get_close_matches(wanted, ids, 1)
        other = f"Ensembles are: {', '.join(ids[:10])}." if ids else "There are no manifests."
        raise InputError(
            f"no ensemble manifest beside {evidence.registry.path} has the id {wanted!r}",
            help=f"Did you mean {near[0]!r}?" if near else other,
        )
    if len(found) > 1:
        paths = ", ".join(o.manifest.path for o in found)
        raise InputError(
            f"several ensemble manifests have the id {wanted!r}: {paths}",
            help="Keep the right one.",
        )
    return found[0]


def _is_about(unit: Unit, labels: Collection[str], target: Manifest | None) -> bool:
    """Whether a unit contains one of the rows, or the manifest to promote."""
    paths = {document.path for document in unit.documents}
    return any(row.label in labels for row in unit.rows) or (
        target is not None and target.path in paths
    )


def _refuse_members(rows: Iterable[RowEvidence]) -> None:
    """Refuse single rows that are members of an ensemble: it is promoted as a whole."""
    for row in rows:
        if row.manifest is not None:
            id, path = row.manifest.id, row.manifest.path
            raise InputError(
                f"{row.label} is a member of the ensemble {id or path!r}, which is promoted as "
                "a whole or not at all",
                help=command("promote", "--ensemble", id)
                if id
                else f"Give {path} an `id`, by which the ensemble can be promoted.",
            )


def _changes(
    registry: Registry, flipped: Sequence[Row], manifest: Manifest | None
) -> tuple[Change, ...]:
    """Return the edits, the manifest first, so that the command can be rerun after a crash."""
    if registry.repeated_keys:
        return ()  # REG103 fails: if a key is repeated, it is not clear which one to edit
    changes = []
    if manifest is not None and manifest.get("smoke") is True:
        source = SourceMap(manifest.text)
        after = json_edit.edit(source, [Set(("smoke",), False)], manifest.path)
        changes.append(Change(manifest.path, manifest.text, after))
    if flipped:
        for number, file in enumerate(registry.files):
            edits = [_flip(row) for row in flipped if row.source == number]
            if edits:
                changes.append(Change(file.path, file.text, file.edited(edits)))
    return tuple(changes)


def _flip(row: Row) -> Edit:
    """Return the edit that sets or adds `"smoke": false` in a row."""
    path = row.place("smoke")
    if "smoke" in row.fields:
        return Set(path, False)
    return Insert(path, False, [*row.verbatim][-1])


_FLIPPED: Final = (PromotedByHand.code, ProductionUnproven.code)


def _about(
    report: Report, units: Iterable[Evidence], rows: Sequence[RowEvidence], ensemble: str | None
) -> Report:
    """Reduce a report to these rows, their ensembles and documents, and the registry itself."""
    labels = {row.label for row in rows}
    theirs = [
        e
        for unit in units
        for e in unit.ensembles
        if (e.manifest.id is not None and e.manifest.id == ensemble)
        or any(s.row is not None and s.row.label in labels for s in e.members)
    ]
    ids = {e.manifest.id for e in theirs if e.manifest.id is not None}
    files = {report.registry}
    for found in theirs:
        files |= {found.manifest.path, *(v.path for v in found.verdicts)}
    for row in rows:
        files |= {f.path for f in (*row.model_files, *row.sidecars)}

    def concerns(finding: Finding) -> bool:
        if finding.row is not None or finding.ensemble is not None:
            return not labels.isdisjoint(finding.rows) or not ids.isdisjoint(finding.ensembles)
        return finding.path in files

    return replace(
        report,
        rows=tuple(r for r in report.rows if r.id in labels),
        # `missing` reports the same conditions that these two report of a flip by hand.
        findings=tuple(f for f in report.findings if f.code not in _FLIPPED and concerns(f)),
    )


def _stale(report: Report, config: Config, subjects: set[str | None]) -> tuple[Finding, ...]:
    """Return the findings about stale deferrals of these rows, their ensemble or its manifest."""
    ids = dict.fromkeys((s for s in subjects if s is not None), 0)
    theirs = [d for d in config.deferrals if deferral_matching.matched(d, ids)]
    places = {config.deferral_position(d, key) for d in theirs for key in (None, "rows")}
    found = (f for f in report.findings if f.code == DeferralStale.code)
    return tuple(f for f in found if f.position in places)


def _missing(report: Report, rows: Iterable[tuple[Evidence, RowEvidence]]) -> tuple[Missing, ...]:
    """Return the unmet conditions that no finding reports, each once with all its rows."""
    found: dict[tuple[str, str], Missing] = {}
    findings = by_subject(report.findings)
    for unit, row in rows:
        for obstacle in promotion.missing(unit, findings, row):
            key = (obstacle.message, obstacle.path)
            known = found.get(key, Missing((), obstacle))
            found[key] = replace(known, rows=(*known.rows, row.label))
    return tuple(found.values())


def _unvouched(rows: Iterable[RowEvidence]) -> Iterator[str]:
    """Yield the external data whose digest is in no sidecar.

    A retrained model may differ only in its weights, and keep its sidecar and verdict. Without a
    baseline, only a digest in the sidecar shows which weights were evaluated.
    """
    for row in rows:
        for model, found in pairs(row):
            text = found.sidecar.text if found.sidecar else ""
            for file in model.external:
                if file.sha256 and not is_mentioned(file.sha256, text):
                    yield file.path
