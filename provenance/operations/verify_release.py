# SPDX-License-Identifier: Apache-2.0
"""`verify REGISTRY.json --summary FILE`: a whole release by one signature and one pass over it.

Nothing but the summary is opened before trusted signers are known to have signed it. Then every
file that it names is hashed, and compared. No configuration is read and no bundle is judged: what
the gate has concluded for each row, the publisher concluded before the summary was signed.
"""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence import releases
from provenance.evidence.collect_release import collect_release, not_collected
from provenance.evidence.evidence import Evidence
from provenance.evidence.facts import RowFacts
from provenance.evidence.progress import Progress
from provenance.evidence.rows import BundleEvidence
from provenance.gate.finding import Report
from provenance.gate.judge_release import judge_release
from provenance.gate.requirements import NOTHING, Require
from provenance.gate.rules import Case
from provenance.operations import rollback_state
from provenance.operations.load_evidence import today_utc
from provenance.operations.verify import read_summary, rooted
from provenance.signing.roots import Instance
from provenance.signing.trust import Trust
from provenance.signing.trust_table import TrustTable


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
    evidence = not_collected(registry, read_summary(summary))
    nowhere = Path(evidence.root.root)
    case = Case(
        evidence,
        rooted(trust, evidence, instance, offline),
        Config(nowhere, str(summary), registry.name, TrustTable(), (), "", "", nowhere),
        today or today_utc(),
        require=require,
        resource_uri=resource_uri,
    )
    evidence = _opened(case, registry, progress or Progress())
    with rollback_state.comparing(evidence, state) as (evidence, record):
        report = judge_release(
            replace(case, evidence=evidence, facts=tuple(map(RowFacts.of, evidence.rows))),
            str(registry),
        )
        record(report)
    return report


def _opened(case: Case, registry: Path, progress: Progress) -> Evidence:
    """The evidence with the files of the release, where trusted signers say which these are."""
    summary = case.evidence.summary
    assert isinstance(summary, BundleEvidence)
    statement = case.signed_statement(summary)
    predicate = releases.predicate_of(statement) if statement is not None else None
    if statement is None or predicate is None:
        return case.evidence
    named = (releases.index_of(statement) or "").rpartition("/")[2]
    if named != registry.name:
        raise InputError(
            f"{summary.path} is the summary of the registry {named!r:.200}, not of "
            f"{registry.name!r}",
            help="Name the registry under the name that it was released with.",
        )
    signed = releases.files_of(statement)
    return collect_release(registry, summary, signed, progress, with_rows=case.require.of_row)
