# SPDX-License-Identifier: Apache-2.0
"""`verify`: everything `check` does, and signatures, signers, attestations.

`verify` judges a registry by its configuration. `verify_file` judges one model as a consumer has
it, a file with its bundle, against trust that the consumer gives: nothing in the tree that is
being verified has a say in that.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from provenance.artifacts import limits, paths
from provenance.artifacts.paths import FileError, Tree, read_named_file
from provenance.artifacts.registry import DIGEST_FIELDS, FieldNames, Row
from provenance.attestations import bundle as bundles
from provenance.attestations import predicates
from provenance.attestations.statement import StatementError
from provenance.attestations.statement import decode as decode_statement
from provenance.config import Config
from provenance.errors import InputError, UnavailableError
from provenance.gate import foreign
from provenance.gate.collect import collect_file, read_bundle
from provenance.gate.evidence import BundleEvidence, Evidence
from provenance.gate.finding import Report
from provenance.gate.judge import judge, judge_file
from provenance.gate.progress import Progress
from provenance.journeys.check import today_utc
from provenance.journeys.examine import examine
from provenance.signing import roots
from provenance.signing.roots import Instance
from provenance.signing.trust import Trust

TRUST_HELP = (
    "Say whose signatures count: [[trust.key]], [[trust.github]] or [[trust.identity]] in the "
    "configuration, or --key release.pub, or --identity SUBJECT --issuer URL, or --trust FILE."
)


def verify(
    config: Config,
    *,
    rows: Sequence[str] = (),
    trust: Trust | None = None,
    run: bool = False,
    progress: Progress | None = None,
    today: datetime.date | None = None,
    instance: Instance = Instance.PRODUCTION,
    offline: bool = False,
    processes: int = 1,
) -> Report:
    """Judge the registry of `config`, or the rows with the given ids, signatures included.

    `trust` says whose signatures count; by default those whom the configuration trusts. Where it
    needs a trusted root and names none, that of a public Sigstore `instance` is used: refreshed, or
    with `offline` as it is cached. With `run`, the models are also loaded and run. With more than
    one of `processes`, hundreds of certificates are judged on several cores: processes are spawned,
    so that the program's main module has to be one that can be imported.

    Raises:
        InputError: The registry or the configuration cannot be read.
        UnavailableError: Nobody is trusted, or no trusted root can be had, so nothing can be
            verified; or the models are to be run, and there is no runtime.
    """
    trust = trust or config.trust()
    if trust is None:
        raise UnavailableError(f"{config.path} trusts nobody", help=TRUST_HELP)
    evidence = examine(config, rows=rows, with_bundles=True, run=run, progress=progress)
    trust = _rooted(trust, evidence, instance, offline)
    return judge(
        evidence,
        config,
        trust=trust,
        today=today or today_utc(),
        progress=progress,
        processes=processes,
    )


def verify_file(
    path: Path,
    trust: Trust,
    *,
    bundle: Path | None = None,
    predicate_types: Collection[str] = foreign.EXPECTED,
    today: datetime.date | None = None,
    instance: Instance = Instance.PRODUCTION,
    offline: bool = False,
) -> Report:
    """Judge one `.onnx` file by the bundle beside it (`<file>.sigstore.json`) or by `bundle`.

    The row that the bundle signs takes the place of the registry: the file and its external data
    must have the signed bytes under the signed names. An int8 variant and a sidecar are compared
    where they are here.

    A plain signature over the file counts too, and a statement about its digest of one of the
    `predicate_types`. They bind less, and a warning says so.

    Raises:
        InputError: The file or its bundle does not exist, or cannot be read.
        UnavailableError: No trusted root can be had.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file")
    reason = paths.unsafe_reason(path.name)
    if reason is not None:  # `Tree` would not open it, and what is not hashed is not verified
        raise InputError(
            f"{path}: its name {reason}", help="Give it the name that it was published under."
        )
    found = bundle or path.with_name(path.name + bundles.SUFFIX)
    data = _read_bundle(found)
    signed, names = _signed_row(data)
    # Without its digests: what counts for a consumer is the statement, not what the row repeats.
    left_out = {*DIGEST_FIELDS, "quant_mode"}
    fields = {k: v for k, v in names.canonical(signed).items() if k not in left_out}
    fields = {"id": path.name, **fields, "onnx": path.name}
    evidence = collect_file(
        Tree.at(path.parent, confined=False),
        Row(0, fields, signed),
        replace(
            read_bundle(str(found), data, older=True),
            countersigned=tuple(_countersignatures(found)),
        ),
        names,
    )
    trust = _rooted(trust, evidence, instance, offline)
    return judge_file(evidence, trust, str(path), today or today_utc(), predicate_types)


def _rooted(trust: Trust, evidence: Evidence, instance: Instance, offline: bool) -> Trust:
    """The trust with a trusted root, where anything that was signed is judged by one."""
    documents = (*evidence.bundles, *((evidence.summary,) if evidence.summary else ()))
    signed = (file.bundle for document in documents for file in document.files)
    if any(b is not None and (b.certificate is not None or b.timestamps) for b in signed):
        return roots.complete(trust, instance=instance, offline=offline)
    return trust


def _signed_row(data: bytes) -> tuple[Mapping[str, Any], FieldNames]:
    """The row that a bundle holds, for its id and license. Whether it counts is judged later."""
    try:
        content = bundles.decode(data).content
        if isinstance(content, bundles.Envelope):
            statement = decode_statement(content.payload)
            renamed = predicates.field_names(statement)
            return predicates.signed_row(statement) or {}, FieldNames(renamed=renamed)
    except (bundles.BundleError, StatementError):
        pass  # SIG602 says why
    return {}, FieldNames()


def _countersignatures(bundle: Path) -> Iterator[BundleEvidence]:
    """The bundles beside `bundle` in which others signed the same."""
    for number in range(2, bundles.MAX_SIGNERS + 1):
        path = Path(bundles.countersignature_path(str(bundle), number))
        if not path.exists():
            return
        yield read_bundle(str(path), _read_bundle(path), older=True)


def _read_bundle(path: Path) -> bytes:
    try:
        return read_named_file(path, limits.BUNDLE)
    except FileError as e:
        raise InputError(
            f"bundle {path}: {e.message}",
            help="A bundle lies beside its model as <file>.onnx.sigstore.json; "
            "name another with --bundle.",
        ) from e
