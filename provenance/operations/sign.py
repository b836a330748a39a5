# SPDX-License-Identifier: Apache-2.0
"""`sign`, `attest`, `release`: check the rows, sign in memory, and write all files or none.

`release` also verifies the new bundles before it writes them.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from provenance.artifacts import writing
from provenance.artifacts.paths import FileProblem, Tree
from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence import expected_statements
from provenance.evidence.kept_units import KeptUnits
from provenance.evidence.progress import Progress
from provenance.evidence.read_rows import RowReader
from provenance.gate import reporting
from provenance.gate.finding import Report
from provenance.gate.judge import Terms, conclude
from provenance.gate.pool import Workers
from provenance.gate.rules import Case
from provenance.operations import release_order
from provenance.operations.bundle_builder import BundleBuilder, Documents, admit, table
from provenance.operations.load_evidence import load_evidence, today_utc
from provenance.signing.signers import StatementSigner


def sign(
    config: Config,
    signer: StatementSigner,
    *,
    rows: Sequence[str] = (),
    progress: Progress | None = None,
) -> Report:
    """Write the row bundle of every row, or of the rows with the given ids.

    Return the report of `check` with the files that were written. If any finding fails, nothing is
    written.

    Raises:
        InputError: If the input cannot be read, the signer is not trusted, or the files cannot be
            written.
        UnavailableError: If the signer fails.
    """
    return _make(config, signer, Documents.ROWS, rows, progress)


def attest(
    config: Config,
    signer: StatementSigner,
    *,
    rows: Sequence[str] = (),
    progress: Progress | None = None,
) -> Report:
    """Write the attestation of every ensemble seed whose sidecar describes its bytes.

    Raises:
        InputError, UnavailableError: As `sign`.
    """
    return _make(config, signer, Documents.SEEDS, rows, progress)


def release(
    config: Config,
    signer: StatementSigner,
    *,
    version: str | None = None,
    without: Sequence[str] = (),
    progress: Progress | None = None,
    processes: int = 1,
) -> Report:
    """Check, sign, attest, summarise and verify the whole registry, then write all files or none.

    If a trusted signer signed the previous release summary, the new one names its release and is
    later. If both are of the same second, the release waits for the next second.

    Args:
        config: The configuration.
        signer: The signer of all documents.
        version: What the publisher calls the release, or None.
        without: The rows to leave out because files of theirs are not here; `*` and `?` match.
        progress: Receives what is being done.
        processes: The number of processes that judge a large registry.

    Raises:
        InputError: As `sign`; also if the version is not valid, or the clock is behind the time
            of the previous release, or a row that is not named in `without` cannot be released.
        UnavailableError: As `sign`.
    """
    everything = Documents.ROWS | Documents.SEEDS | Documents.SUMMARY
    version = release_order.checked(version)
    return _make(config, signer, everything, (), progress, processes, version, without)


def _make(
    config: Config,
    signer: StatementSigner,
    wanted: Documents,
    rows: Sequence[str],
    progress: Progress | None,
    processes: int = 1,
    version: str | None = None,
    without: Sequence[str] = (),
) -> Report:
    declared = config.trust()
    admit(signer, declared, config)
    tree = Tree.at(config.root)
    writing.recover(tree)
    evidence = load_evidence(config, rows=rows, with_bundles=True)
    terms = Terms(trust=None, today=today_utc())
    with KeptUnits() as kept:
        case = conclude(evidence, config, terms, kept=kept, progress=progress)
        report = reporting.report(case)
        if report.failing or not case.facts:
            return report
        if Documents.SUMMARY in wanted:
            _refuse_absent(case, without)
        for facts in case.facts:
            if facts.bundle and facts.bundle[0].problem is FileProblem.UNSAFE:
                found = RowReader(tree, evidence.registry, ()).bundle_of(facts.row)
                why = found.problem.message if found and found.problem else facts.bundle[0].path
                raise InputError(f"row {facts.label}: cannot write the bundle: {why}")
        writing.clean(tree, _written_by(case))
        builder = BundleBuilder(
            config, declared, case.evidence, case.facts, kept, signer, progress or Progress()
        )
        notes = builder.documents(wanted, case.findings)
        if Documents.SUMMARY in wanted:
            notes += builder.summary(len(report.deferred), version)
            evidence = replace(builder.evidence, unread=evidence.unread)
            terms = replace(terms, trust=builder.trust())
            workers = Workers(processes)
            case = conclude(evidence, config, terms, kept=kept, workers=workers, progress=progress)
            report = reporting.report(case)
            if report.failing:
                return report
    warning = writing.write_all(tree, builder.written)
    notes += [warning] if warning is not None else []
    if wanted is Documents.SEEDS and not builder.written and not builder.kept:
        return replace(report, rows=(), notes=(*notes, "no ensemble seeds to attest"))
    summary = expected_statements.summary_path(evidence.registry)
    if Documents.SUMMARY not in wanted and builder.written and tree.exists(summary):
        notes.append("the release summary does not cover these bundles yet: provenance release")
    if declared is None:
        notes.append(f"{config.path} has no trusted signers yet: add this one, {table(signer)}")
    if declared is not None and declared.signatures > 1 and builder.written:
        notes.append(
            f"{declared.signatures} signers have to sign, and this was the first: the bundles do "
            "not verify until the others have countersigned them"
        )
    return replace(
        report, written=tuple(builder.written), kept=tuple(builder.kept), notes=tuple(notes)
    )


def _refuse_absent(case: Case, without: Sequence[str]) -> None:
    """Refuse to release without rows that the user did not name.

    Raises:
        InputError: If a row has files that are not here and is not named in `without`, or a name
            matches no such row.
    """
    away = {facts.label: facts.absent for facts in case.facts if facts.absent}
    unused = [name for name in without if not any(fnmatchcase(label, name) for label in away)]
    if unused:
        raise InputError(
            f"--without {unused[0]}: all files of this row are here, or there is no such row",
            help="Remove the option: it leaves out only rows whose files are not here.",
        )
    left = [label for label in away if not any(fnmatchcase(label, name) for name in without)]
    if left:
        more = f", and {len(left) - 1:,} more" if left[1:] else ""
        raise InputError(
            f"row {left[0]}{more}: {away[left[0]][0]} is not here, so the row cannot be signed",
            help="Fetch the files, or leave the rows out: --without "
            + (shlex.quote(left[0]) if len(left) == 1 else "ROW for each, or a pattern")
            + ".",
        )


def _written_by(case: Case) -> list[str]:
    """Return all paths that the run may write."""
    found = [f[0].path for row in case.facts for f in (row.bundle, row.attestation) if f]
    summary = case.evidence.summary
    return [*found, summary.path] if summary is not None else found
