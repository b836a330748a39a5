# SPDX-License-Identifier: Apache-2.0
"""`sign`, `attest` and `release`: refuse on findings, sign in memory, verify, write all or nothing.

The three differ only in which documents they make. Nothing reaches the disk before what is to be
written has passed the very rules that `verify` applies.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from provenance.artifacts import digest, writing
from provenance.artifacts.paths import Tree, Trouble
from provenance.artifacts.strict_json import same
from provenance.attestations import bundle as bundles
from provenance.attestations.predicates import Described
from provenance.attestations.statement import Statement, StatementError, decode, encode
from provenance.config import Config
from provenance.errors import InputError
from provenance.gate import documents
from provenance.gate.deferring import InForce
from provenance.gate.evidence import BundleEvidence, Evidence, RowEvidence
from provenance.gate.finding import Finding, Report
from provenance.gate.judge import judge
from provenance.gate.progress import Progress
from provenance.journeys.check import today_utc
from provenance.journeys.examine import examine
from provenance.signing import roots
from provenance.signing.signer import StatementSigner
from provenance.signing.trust import Trust
from provenance.version import __version__


class Documents(enum.Flag):
    """Which documents a journey makes."""

    ROWS = enum.auto()
    SEEDS = enum.auto()
    SUMMARY = enum.auto()


def sign(
    config: Config,
    signer: StatementSigner,
    *,
    rows: Sequence[str] = (),
    progress: Progress | None = None,
) -> Report:
    """Write the row bundle of every row, or of the rows with the given ids.

    Returns the report of `check`, with what was written; with findings, nothing was.

    Raises:
        InputError: Unreadable input, an untrusted signer, or nothing could be written.
        UnavailableError: The signer did not sign.
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

    Raises: as `sign`.
    """
    return _make(config, signer, Documents.SEEDS, rows, progress)


def release(
    config: Config,
    signer: StatementSigner,
    *,
    progress: Progress | None = None,
    processes: int = 1,
) -> Report:
    """Check, sign, attest, verify and summarise the whole registry. All or nothing.

    `processes`: as `verify`.

    Raises: as `sign`.
    """
    everything = Documents.ROWS | Documents.SEEDS | Documents.SUMMARY
    return _make(config, signer, everything, (), progress, processes)


def _make(
    config: Config,
    signer: StatementSigner,
    wanted: Documents,
    rows: Sequence[str],
    progress: Progress | None,
    processes: int = 1,
) -> Report:
    declared = config.trust()
    _admit(signer, declared, config)
    tree = Tree.at(config.root)
    writing.recover(tree)
    evidence = examine(config, rows=rows, with_bundles=True, progress=progress)
    today = today_utc()
    report = judge(evidence, config, trust=None, today=today, progress=progress)
    if report.failing or not evidence.rows:
        return report
    for row in evidence.rows:
        trouble = row.bundle.trouble if row.bundle else None
        if trouble is not None and trouble.trouble is Trouble.UNSAFE:
            raise InputError(f"row {row.row.label}: cannot write the bundle: {trouble.message}")
    writing.clean(tree, _written_by(evidence))
    press = _Press(config, declared, evidence, signer, progress or Progress())
    notes = press.documents(wanted, report.findings)
    if Documents.SUMMARY in wanted:
        press.summary(len(report.deferred))
        report = judge(
            press.evidence,
            config,
            trust=press.trust(),
            today=today,
            progress=progress,
            processes=processes,
        )
        if report.failing:
            return report
    writing.write_all(tree, press.written)
    if wanted is Documents.SEEDS and not press.written and not press.kept:
        return replace(report, rows=(), notes=(*notes, "there is no ensemble seed to attest"))
    stale_summary = Documents.SUMMARY not in wanted and press.written and evidence.summary
    if stale_summary and not stale_summary.missing:
        notes.append("the release summary does not cover this yet: provenance release")
    if declared is None:
        notes.append(f"{config.path} trusts nobody yet: add this signer, {_table(signer)}")
    if declared is not None and declared.signatures > 1 and press.written:
        notes.append(
            f"{declared.signatures} signers have to sign; this was the first: what was written "
            "does not verify before the others have countersigned it"
        )
    return replace(report, written=tuple(press.written), kept=tuple(press.kept), notes=tuple(notes))


def _written_by(evidence: Evidence) -> list[str]:
    """The paths that a release of what was collected writes."""
    found = [b for row in evidence.rows for b in (row.bundle, row.attestation)]
    return [b.path for b in (*found, evidence.summary) if b is not None]


def _admit(signer: StatementSigner, declared: Trust | None, config: Config) -> None:
    """Raises InputError where the signer is known and not trusted."""
    who = signer.distrusted(declared) if declared is not None else None
    if who is not None:
        raise InputError(
            f"the signer is not trusted by {config.path}: {who}. What it signs would not verify",
            help="Sign as somebody who is trusted, or add this signer to the trust: "
            f"{_table(signer)}.",
        )


def _table(signer: StatementSigner) -> str:
    """How the configuration trusts a signer."""
    return "as [[trust.key]]" if signer.own.keys else "as [[trust.github]] or [[trust.identity]]"


@dataclass(frozen=True)
class _Draft:
    """A bundle that has to be signed: what is at its place now, and what it has to say."""

    old: BundleEvidence
    payload: bytes


@dataclass
class _Press:
    """Makes bundles in memory: `written` has to be written, `kept` is right already."""

    config: Config
    declared: Trust | None
    evidence: Evidence
    signer: StatementSigner
    progress: Progress
    written: dict[str, bytes] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)

    def documents(self, wanted: Documents, findings: Sequence[Finding]) -> list[str]:
        """Sign what is wanted about rows and seeds, all at once; what there is to say about it."""
        in_force = InForce(findings)
        drafts: list[_Draft] = []
        stale = 0
        self.progress.begin("preparing statements", len(self.evidence.rows))
        for row in self.evidence.rows:
            if Documents.ROWS in wanted:
                assert row.bundle is not None  # a row without sigstore_bundle is LIC203
                deferrals = in_force.of(row.row.label, row.manifest.id if row.manifest else None)
                statement = documents.row_statement(self.evidence, row, deferrals)
                drafts += self._draft(row.bundle, statement)
            if Documents.SEEDS in wanted and row.is_seed:
                if row.attestation is not None and documents.attestable(row):
                    statement = documents.seed_statement(self.evidence, row)
                    drafts += self._draft(row.attestation, statement)
                else:
                    stale += 1
            self.progress.advance()
        made = self._sign(drafts, "signing documents")
        self.evidence = replace(
            self.evidence, rows=tuple(_with(row, made) for row in self.evidence.rows)
        )
        if not stale:
            return []
        which = "1 seed is" if stale == 1 else f"{stale} seeds are"
        return [f"{which} not attested: a sidecar that describes other bytes is no provenance"]

    def summary(self, deferrals: int) -> None:
        """Sign the summary of what the evidence is now."""
        old = self.evidence.summary
        assert old is not None  # collected with the whole registry
        statement = documents.summary_statement(
            self.evidence,
            [Described(b.name, b.sha256) for b in self.evidence.bundles if b.sha256],
            policy_path=self.config.path,
            policy_sha256=self.config.policy_sha256,
            deferrals=deferrals,
            tool_version=__version__,
            time_verified=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        drafts = self._draft(old, statement, ignore=("timeVerified", "verifier"))
        made = self._sign(drafts, "signing the summary")
        self.evidence = replace(self.evidence, summary=made.get(old.path, old))

    def trust(self) -> Trust:
        """Whose signatures count when what was made is judged before it is written."""
        own = self.signer.own
        if self.declared is None:
            return own
        # The first signer of several cannot have been countersigned yet.
        declared = replace(self.declared, signatures=1, root=self.declared.root or own.root)
        return roots.complete(declared)

    def _draft(
        self, old: BundleEvidence, statement: Statement, *, ignore: Sequence[str] = ()
    ) -> list[_Draft]:
        """What has to be signed: nothing where the signer has signed the same already."""
        try:
            payload = encode(statement)
        except StatementError as e:
            raise InputError(f"{old.path}: {e}", help="Correct the row or its sidecar.") from e
        same = old.bundle is not None and old.statement is not None
        if same and _same_claim(old, statement, payload, ignore) and self._has_signed(old):
            self.kept.append(old.path)
            return []
        return [_Draft(old, payload)]

    def _has_signed(self, old: BundleEvidence) -> bool:
        return old.bundle is not None and self.signer.has_signed(old.bundle, self.declared)

    def _sign(self, drafts: Sequence[_Draft], label: str) -> dict[str, BundleEvidence]:
        """The signed bundles by path. One is signed first: then an identity is known."""
        if not drafts:
            return {}
        self.progress.begin(label, len(drafts))
        payloads = [d.payload for d in drafts]
        signed = self.signer.sign(payloads[:1], self.progress.advance)
        _admit(self.signer, self.declared, self.config)
        signed += self.signer.sign(payloads[1:], self.progress.advance)
        made: dict[str, BundleEvidence] = {}
        for draft, data in zip(drafts, signed, strict=True):
            self.written[draft.old.path] = data
            made[draft.old.path] = BundleEvidence(
                draft.old.path,
                draft.old.name,
                digest.of_bytes(data),
                bundle=bundles.decode(data),
                statement=decode(draft.payload),
            )
        return made


def _with(row: RowEvidence, made: Mapping[str, BundleEvidence]) -> RowEvidence:
    """The row with the bundles that were made for it."""
    return replace(
        row,
        bundle=row.bundle and made.get(row.bundle.path, row.bundle),
        attestation=row.attestation and made.get(row.attestation.path, row.attestation),
    )


def _same_claim(
    old: BundleEvidence, statement: Statement, payload: bytes, ignore: Sequence[str]
) -> bool:
    assert old.bundle is not None
    assert old.statement is not None
    content = old.bundle.content
    if not ignore:
        return isinstance(content, bundles.Envelope) and content.payload == payload
    now = decode(payload)

    def rest(predicate: Mapping[str, object]) -> dict[str, object]:
        return {k: v for k, v in predicate.items() if k not in ignore}

    return (
        old.statement.subjects == now.subjects
        and old.statement.predicate_type == now.predicate_type
        and same(rest(old.statement.predicate), rest(now.predicate))
    )
