# SPDX-License-Identifier: Apache-2.0
"""`sign`, `attest` and `release`: refuse on findings, sign in memory, verify, write all or nothing.

The three differ only in which documents they make. Nothing reaches the disk before what is to be
written has passed the very rules that `verify` applies.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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
from provenance.signing import keyed
from provenance.signing.judgement import Verdict
from provenance.signing.keyed import KeySigner
from provenance.signing.trust import Trust
from provenance.version import __version__


class Documents(enum.Flag):
    """Which documents a journey makes."""

    ROWS = enum.auto()
    SEEDS = enum.auto()
    SUMMARY = enum.auto()


def sign(
    config: Config,
    signer: KeySigner,
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
    signer: KeySigner,
    *,
    rows: Sequence[str] = (),
    progress: Progress | None = None,
) -> Report:
    """Write the attestation of every ensemble seed whose sidecar describes its bytes.

    Raises: as `sign`.
    """
    return _make(config, signer, Documents.SEEDS, rows, progress)


def release(config: Config, signer: KeySigner, *, progress: Progress | None = None) -> Report:
    """Check, sign, attest, verify and summarise the whole registry. All or nothing.

    Raises: as `sign`.
    """
    everything = Documents.ROWS | Documents.SEEDS | Documents.SUMMARY
    return _make(config, signer, everything, (), progress)


def _make(
    config: Config,
    signer: KeySigner,
    wanted: Documents,
    rows: Sequence[str],
    progress: Progress | None,
) -> Report:
    trust = _trust(config, signer)
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
    press = _Press(evidence, signer, progress or Progress(), {}, [])
    if Documents.ROWS in wanted:
        evidence = press.rows(report.findings)
    notes: list[str] = []
    if Documents.SEEDS in wanted:
        evidence, notes = press.seeds()
    if Documents.SUMMARY in wanted:
        evidence = press.summary(config, len(report.deferred))
        # The first signer of several cannot have been countersigned yet.
        one = replace(trust, signatures=1)
        report = judge(evidence, config, trust=one, today=today, progress=progress)
        if report.failing:
            return report
    writing.write_all(tree, press.written)
    if wanted is Documents.SEEDS and not press.written and not press.kept:
        return replace(report, rows=(), notes=(*notes, "there is no ensemble seed to attest"))
    stale_summary = Documents.SUMMARY not in wanted and press.written and evidence.summary
    if stale_summary and not stale_summary.missing:
        notes.append("the release summary does not cover this yet: provenance release")
    if config.trust() is None:
        notes.append(f"{config.path} trusts nobody yet: add this signer's key as [[trust.key]]")
    if trust.signatures > 1 and press.written:
        notes.append(
            f"{trust.signatures} signers have to sign; this was the first: what was written does "
            "not verify before the others have countersigned it"
        )
    return replace(report, written=tuple(press.written), kept=tuple(press.kept), notes=tuple(notes))


def _written_by(evidence: Evidence) -> list[str]:
    """The paths that a release of what was collected writes."""
    found = [b for row in evidence.rows for b in (row.bundle, row.attestation)]
    return [b.path for b in (*found, evidence.summary) if b is not None]


def _trust(config: Config, signer: KeySigner) -> Trust:
    declared = config.trust()
    if declared is None:
        return Trust("the signer of this run", (signer.key,))
    if declared.key_for(signer.key.hint) is None:
        raise InputError(
            f"the signer {signer.key.path} is not trusted by {config.path}: "
            "what it signs would not verify",
            help="Sign with the release key, or add this one's public key to [[trust.key]].",
        )
    return declared


@dataclass
class _Press:
    """Makes bundles in memory: `written` has to be written, `kept` is right already."""

    evidence: Evidence
    signer: KeySigner
    progress: Progress
    written: dict[str, bytes]
    kept: list[str]

    def rows(self, findings: Sequence[Finding]) -> Evidence:
        made: list[RowEvidence] = []
        in_force = InForce(findings)
        self.progress.begin("signing rows", len(self.evidence.rows))
        for row in self.evidence.rows:
            assert row.bundle is not None  # a row without sigstore_bundle is LIC203
            deferrals = in_force.of(row.row.label, row.manifest.id if row.manifest else None)
            statement = documents.row_statement(self.evidence, row, deferrals)
            made.append(replace(row, bundle=self._bundle(row.bundle, statement)))
            self.progress.advance()
        self.evidence = replace(self.evidence, rows=tuple(made))
        return self.evidence

    def seeds(self) -> tuple[Evidence, list[str]]:
        made: list[RowEvidence] = []
        stale = 0
        self.progress.begin("attesting seeds", len(self.evidence.rows))
        for row in self.evidence.rows:
            if row.attestation is not None and documents.attestable(row):
                statement = documents.seed_statement(self.evidence, row)
                row = replace(row, attestation=self._bundle(row.attestation, statement))
            elif row.is_seed:
                stale += 1
            made.append(row)
            self.progress.advance()
        self.evidence = replace(self.evidence, rows=tuple(made))
        if not stale:
            return self.evidence, []
        which = "1 seed is" if stale == 1 else f"{stale} seeds are"
        return self.evidence, [
            f"{which} not attested: a sidecar that describes other bytes is no provenance"
        ]

    def summary(self, config: Config, deferrals: int) -> Evidence:
        old = self.evidence.summary
        assert old is not None  # collected with the whole registry
        statement = documents.summary_statement(
            self.evidence,
            [Described(b.name, b.sha256) for b in self.evidence.bundles if b.sha256],
            policy_path=config.path,
            policy_sha256=config.policy_sha256,
            deferrals=deferrals,
            tool_version=__version__,
            time_verified=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        new = self._bundle(old, statement, ignore=("timeVerified", "verifier"))
        self.evidence = replace(self.evidence, summary=new)
        return self.evidence

    def _bundle(
        self, old: BundleEvidence, statement: Statement, *, ignore: Sequence[str] = ()
    ) -> BundleEvidence:
        """A bundle over `statement`; the old one where the signer has already signed the same."""
        try:
            payload = encode(statement)
        except StatementError as e:
            raise InputError(f"{old.path}: {e}", help="Correct the row or its sidecar.") from e
        if self._signed_by_us(old) and _same_claim(old, statement, payload, ignore):
            self.kept.append(old.path)
            return old
        data = self.signer.sign(payload)
        self.written[old.path] = data
        return BundleEvidence(
            old.path,
            old.name,
            digest.of_bytes(data),
            bundle=bundles.decode(data),
            statement=decode(payload),
        )

    def _signed_by_us(self, old: BundleEvidence) -> bool:
        if old.bundle is None or old.statement is None:
            return False
        judgement = keyed.judge(old.bundle, Trust("", (self.signer.key,)), None)
        return judgement.verdict is Verdict.VALID


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
