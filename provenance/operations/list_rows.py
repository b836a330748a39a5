# SPDX-License-Identifier: Apache-2.0
"""`list`: show the rows of a registry, and who signed them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from provenance.config import Config
from provenance.errors import UnavailableError
from provenance.evidence.progress import Progress
from provenance.frozen import dataclass
from provenance.gate.finding import Report, RowResult, Verdict
from provenance.gate.judge import Terms, judge
from provenance.gate.rules import BY_CODE, Phase
from provenance.operations.load_evidence import known_rows, load_evidence, read_registry, today_utc
from provenance.operations.verify import verify
from provenance.operations.verify_options import VerifyOptions

ABSENT = "absent"
"""The state of a row whose files are not here."""

_UNSIGNED = "SIG601"
"""The rule that reports a row without a bundle."""


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A row of the registry.

    Attributes:
        id: Its id.
        path: Its model, relative to the root, or None if it names no file.
        size: The size of all of its files in bytes, or None if one of them cannot be read.
        license: Its license, or None.
        state: `production`, `smoke` or `unclaimed`; `absent` if files of it are not here.
        signer: Who signed it, or None if no trusted signer did.
        time: When it was signed, in UTC, or None if it is not known.
        source: What the time is from: a log, a timestamp, or the release that contains the row.
        refused: The rules by which its signature does not verify.
    """

    id: str
    path: str | None
    size: int | None
    license: str | None
    state: str
    signer: str | None = None
    time: str | None = None
    source: str | None = None
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """The rows of a registry.

    Attributes:
        registry: The path of the registry.
        rows: The rows, in the order of the registry.
        note: Why signatures were not judged, or None if they were.
    """

    registry: str
    rows: tuple[ListedRow, ...]
    note: str | None = None

    @property
    def verdict(self) -> Verdict:
        """NOTHING if there are no rows."""
        return Verdict.VERIFIED if self.rows else Verdict.NOTHING


def list_rows(
    config: Config,
    options: VerifyOptions = VerifyOptions(),  # noqa: B008 (frozen)
    *,
    rows: Sequence[str] = (),
    progress: Progress | None = None,
) -> Listing:
    """Return the rows of the registry, or those with the given ids.

    Signatures are judged as `verify` judges them, with the trust of the configuration. Findings are
    not reported.

    Raises:
        InputError: If the registry cannot be read, or an id is unknown.
    """
    if rows:
        known_rows(read_registry(config)[1], rows)
    # The release summary, which says when a row was released, is about the whole registry.
    report, note = _judged(config, options, progress)
    listed = tuple(row for row in _listed(report) if not rows or row.id in rows)
    return Listing(report.registry, listed, note)


def _judged(
    config: Config, options: VerifyOptions, progress: Progress | None
) -> tuple[Report, str | None]:
    """Return the report of `verify`; without usable trust that of `check`, with the reason."""
    trust, note = config.trust(), None
    if trust is None:
        note = f"{config.path} has no trusted signers, so signatures were not judged"
    else:
        try:
            return verify(config, options, progress=progress), None
        except UnavailableError as e:
            note = f"signatures were not judged: {e.message}"
    evidence = load_evidence(config)
    return judge(evidence, config, Terms(trust=None, today=today_utc()), progress=progress), note


def _listed(report: Report) -> Iterator[ListedRow]:
    refused: dict[str, dict[str, None]] = {}
    for finding in report.failing:
        if finding.code != _UNSIGNED and BY_CODE[finding.code].phase is Phase.SIGNATURES:
            for label in finding.rows:
                refused.setdefault(label, {})[finding.code] = None
    for row in report.rows:
        sizes = [file.size for file in row.model_files]
        known = [size for size in sizes if size is not None]
        signer, time, source = _signed(row, report)
        claim = row.classification.value if row.classification is not None else ""
        yield ListedRow(
            row.id,
            row.path if row.model_files or row.path != report.registry else None,
            sum(known) if known and len(known) == len(sizes) else None,
            row.license,
            ABSENT if row.absent else claim,
            signer,
            time,
            source,
            tuple(refused.get(row.id, ())),
        )


def _signed(row: RowResult, report: Report) -> tuple[str | None, str | None, str | None]:
    """Return who signed a row, when, and what the time is from."""
    if not row.signatures:
        return None, None, None
    signature = row.signatures[0]
    if signature.times:
        time, source = min(signature.times)
        return signature.signer, f"{time:%Y-%m-%dT%H:%M:%SZ}", source
    if report.release is not None:
        return signature.signer, report.release.time, "release"
    return signature.signer, None, None
