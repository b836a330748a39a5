# SPDX-License-Identifier: Apache-2.0
"""`verify REGISTRY.json --summary FILE`: a whole release by one signature and one pass over it.

Nothing but the summary is opened before trusted signers are known to have signed it. Then every
file that it names is hashed, and compared. No configuration is read and no bundle is judged: what
the gate has concluded for each row, the publisher concluded before the summary was signed.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from provenance.errors import InputError
from provenance.evidence import releases
from provenance.evidence.collect_release import collect_release, not_collected
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.evidence.rows import BundleEvidence
from provenance.gate import signature_set
from provenance.gate.finding import Report
from provenance.gate.judge import judge
from provenance.gate.requirements import NOTHING, Require
from provenance.gate.rules import Target
from provenance.operations import rollback_state
from provenance.operations.check import today_utc
from provenance.operations.verify import read_summary, rooted
from provenance.signing.roots import Instance
from provenance.signing.trust import Trust


def verify_release(
    registry: Path,
    summary: Path,
    trust: Trust,
    *,
    today: datetime.date | None = None,
    instance: Instance = Instance.PRODUCTION,
    offline: bool = False,
    require: Require = NOTHING,
    state: Path | None = None,
    resource_uri: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge the registry at a path and all files of its release by the release summary alone.

    The summary names every file relative to the registry's folder, with its digest.

    `require` is what a consumer requires beyond that, of every row. `state` is a file in which the
    consumer remembers the releases that it has used: an older one is refused, a newer one recorded.
    `resource_uri` is the project that the summary has to be of.

    Raises:
        InputError: The registry or the summary cannot be read, or the summary is of a registry of
            another name; or the state file cannot be written.
        UnavailableError: No trusted root can be had.
    """
    if not registry.exists():
        raise InputError(f"{registry}: no such file")
    document = read_summary(summary)
    evidence = not_collected(registry, document)
    trust = rooted(trust, evidence, instance, offline)
    signatures = signature_set.judge(document, trust, None, {}) if document.bundle else None
    if signatures is not None and signatures.counts:
        reading = progress or Progress()
        evidence = _opened(evidence, document, registry, reading, with_rows=require.of_row)
    with rollback_state.comparing(evidence, state) as (evidence, record):
        report = judge(
            evidence,
            None,
            trust=trust,
            today=today or today_utc(),
            target=Target.RELEASE,
            name=str(registry),
            require=require,
            resource_uri=resource_uri,
            known=signatures.known if signatures else None,
        )
        record(report)
    return report


def _opened(
    evidence: Evidence,
    summary: BundleEvidence,
    registry: Path,
    progress: Progress,
    *,
    with_rows: bool,
) -> Evidence:
    """The evidence with the files of the release that a trusted `summary` names."""
    statement = summary.statement
    if statement is None or releases.predicate_of(statement) is None:
        return evidence
    named = (releases.index_of(statement) or "").rpartition("/")[2]
    if named != registry.name:
        raise InputError(
            f"{summary.path} is the summary of the registry {named!r:.200}, not of "
            f"{registry.name!r}",
            help="Name the registry under the name that it was released with.",
        )
    signed = releases.files_of(statement)
    return collect_release(registry, summary, signed, progress, with_rows=with_rows)
