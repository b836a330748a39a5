# SPDX-License-Identifier: Apache-2.0
"""`verify-release`: a whole release by one signature and one pass over it.

Nothing but the summary is opened before trusted signers are known to have signed it. Then every
file that it names is hashed and compared. No configuration is read and no bundle is judged.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from provenance.artifacts import paths
from provenance.attestations.bundle import SUMMARY_SUFFIX
from provenance.errors import InputError
from provenance.evidence import releases
from provenance.evidence.collect_release import collect_release, not_collected
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.evidence.rows import BundleEvidence
from provenance.gate import signature_set
from provenance.gate.finding import Report
from provenance.gate.judge import judge
from provenance.gate.rules import Target
from provenance.operations import named_files, rollback_state
from provenance.operations.verify_options import VerifyOptions
from provenance.signing.trust import Trust


def verify_release(
    path: Path,
    trust: Trust,
    options: VerifyOptions,
    *,
    summary: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge a registry and all files of its release, as `Verifier.release` does.

    The summary names every file relative to the registry's folder, with its digest. What is
    required is required of every row.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    summary = summary or _summary_of(path)
    registry = path / summary.name.removesuffix(SUMMARY_SUFFIX) if path.is_dir() else path
    document = named_files.read_summary(summary)
    evidence = not_collected(registry, document)
    trust = options.rooted(trust, evidence)
    terms = options.terms(trust)
    signatures = signature_set.judge(document, trust) if document.bundle is not None else None
    if signatures is not None:
        terms = replace(terms, known=((document, signatures),))
    if signatures is not None and signatures.counts:
        rows = options.require.of_row
        evidence = _opened(evidence, document, path, progress or Progress(), with_rows=rows)
    with rollback_state.comparing(evidence, options.state) as (evidence, record):
        report = judge(evidence, None, terms, target=Target.RELEASE, name=str(path))
        record(report)
    return report


def _summary_of(path: Path) -> Path:
    folders = (path / name for name in named_files.names(path)) if path.is_dir() else ()
    above = path if path.is_dir() else path.parent
    found = named_files.summary_in((above, *(f for f in folders if f.is_dir())))
    if found is None:
        raise InputError(
            f"{path}: no release summary found: no file *{SUMMARY_SUFFIX}",
            help="Name the release summary: --summary FILE",
        )
    return found


def _opened(
    evidence: Evidence,
    summary: BundleEvidence,
    path: Path,
    progress: Progress,
    *,
    with_rows: bool,
) -> Evidence:
    """The evidence with the files of the release that a trusted `summary` names."""
    statement = summary.statement
    if statement is None or releases.predicate_of(statement) is None:
        return evidence
    index = PurePosixPath(releases.index_of(statement) or "")
    registry = path
    if path.is_dir():
        if paths.unsafe_reason(str(index)) is not None or ".." in index.parts:
            raise InputError(f"{summary.path} is about a registry at {str(index)!r:.200}")
        registry = path / index
    if index.name != registry.name:
        raise InputError(
            f"{summary.path} is the summary of the registry {index.name!r:.200}, not of "
            f"{registry.name!r}",
            help="Name the registry under the name that it was released with.",
        )
    signed = releases.files_of(statement)
    return collect_release(registry, summary, signed, progress, with_rows=with_rows)
