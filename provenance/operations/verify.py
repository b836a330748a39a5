# SPDX-License-Identifier: Apache-2.0
"""`verify`: everything `check` does, and signatures, signers, attestations.

`verify` judges a registry by its configuration. `verify_file` judges one model as a consumer has
it, a file with its bundle, against trust that the consumer gives: nothing in the tree that is
being verified has a say in that.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from provenance.artifacts import digest, limits, paths, writing
from provenance.artifacts.paths import FileError, Tree, open_named_file, read_named_file
from provenance.artifacts.registry import Row
from provenance.attestations import bundle as bundles
from provenance.attestations.signed_row import SignedRow, signed_row
from provenance.attestations.statement import StatementError
from provenance.attestations.statement import decode as decode_statement
from provenance.config import Config
from provenance.errors import InputError, UnavailableError
from provenance.evidence.collect import collect_file, read_bundle
from provenance.evidence.collect_pipeline import LayoutRequest, collect_pipeline
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.evidence.rows import BundleEvidence
from provenance.gate import foreign
from provenance.gate.finding import Report
from provenance.gate.judge import judge, judge_file
from provenance.gate.requirements import NOTHING, Require
from provenance.operations import bundle_lines, rollback_state, sha384
from provenance.operations.load_evidence import load_evidence, today_utc
from provenance.signing import public_root
from provenance.signing.roots import Instance
from provenance.signing.trust import Trust

TRUST_HELP = (
    "Say whose signatures count: [[trust.key]], [[trust.github]] or [[trust.identity]] in the "
    "configuration, or --key release.pub, or --identity SUBJECT --issuer URL, or --trust FILE."
)


CONFIG_HELP = (
    "Name the configuration of the repository with --config, or what you downloaded:\n"
    "provenance verify FILE.onnx --key PUBLISHER.pub"
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
    require: Require = NOTHING,
    state: Path | None = None,
    layout: LayoutRequest | None = None,
    resource_uri: str | None = None,
) -> Report:
    """Judge the registry of `config`, or the rows with the given ids, signatures included.

    `trust` says whose signatures count; by default those whom the configuration trusts. Who gives
    it uses what others publish: the help of each finding is then for them. Where it
    needs a trusted root and names none, that of a public Sigstore `instance` is used: refreshed, or
    with `offline` as it is cached. With `run`, the models are also loaded and run. With more than
    one of `processes`, hundreds of certificates are judged on several cores: processes are spawned,
    so that the program's main module has to be one that can be imported. With a `layout`, the steps
    by which the release came about are judged too.

    `require` is what a consumer requires beyond that. `state` is a file in which it remembers the
    releases that it has used: an older one is refused, a newer one is recorded. `resource_uri` is
    the project whose release summary it has to be: by default that of the configuration, or of the
    git remote.

    Raises:
        InputError: The registry, the configuration, the layout or the state file cannot be read, or
            the state file cannot be written; or some rows are asked of what only a whole registry
            has.
        UnavailableError: Nobody is trusted, or no trusted root can be had, so nothing can be
            verified; or the models are to be run, and there is no runtime.
    """
    if rows and (require.of_release or state is not None):
        raise InputError(
            "the release summary is of a whole registry: some rows of it have no age and no order",
            help="Verify the registry, or the FILE.onnx of the row.",
        )
    for_consumer = trust is not None
    trust = trust or config.trust()
    if trust is None:
        raise UnavailableError(f"{config.path} trusts nobody", help=TRUST_HELP)
    if for_consumer and writing.interrupted(paths.Tree.at(config.root)):
        raise InputError(
            "the publisher's release was cut short: some of its bundles are not in place",
            help="Fetch the release again.",
        )
    evidence = load_evidence(config, rows=rows, with_bundles=True, run=run, progress=progress)
    if layout is not None:
        pipeline = collect_pipeline(config, evidence, layout, progress)
        evidence = replace(evidence, pipeline=pipeline)
    trust = rooted(trust, evidence, instance, offline)
    with rollback_state.comparing(evidence, state) as (evidence, record):
        report = judge(
            evidence,
            config,
            trust=trust,
            today=today or today_utc(),
            require=require,
            resource_uri=resource_uri or config.project,
            progress=progress,
            processes=processes,
            for_consumer=for_consumer,
        )
        record(report)
    return report


def verify_file(
    path: Path,
    trust: Trust,
    *,
    bundle: Path | None = None,
    predicate_types: Collection[str] = foreign.EXPECTED,
    today: datetime.date | None = None,
    instance: Instance = Instance.PRODUCTION,
    offline: bool = False,
    require: Require = NOTHING,
    summary: Path | None = None,
    state: Path | None = None,
    resource_uri: str | None = None,
) -> Report:
    """Judge one `.onnx` file by the bundle beside it (`<file>.sigstore.json`) or by `bundle`.

    The row that the bundle signs takes the place of the registry: the file and its external data
    must have the signed bytes under the signed names, and every signed model must be here. A
    sidecar is compared if it is here.

    A plain signature over the file counts too, and a statement about its digest of one of the
    `predicate_types`. They bind less, and a warning says so.

    `require` is what a consumer requires beyond that. Where it needs the release summary, that is
    `summary`, or else the one beside the bundle or the file. `state` is a file in which the
    consumer remembers the releases that it has used: an older one is refused, a newer one recorded.
    `resource_uri` is the project that the summary has to be of.

    Raises:
        InputError: The file, its bundle, or a file that was named does not exist, or cannot be
            read; or the state file cannot be written.
        UnavailableError: No trusted root can be had.
    """
    report, _ = examine_file(
        path,
        trust,
        lambda folder: Tree.at(folder, confined=False),
        bundle=bundle,
        predicate_types=predicate_types,
        today=today,
        instance=instance,
        offline=offline,
        require=require,
        summary=summary,
        state=state,
        resource_uri=resource_uri,
    )
    return report


def examine_file(
    path: Path,
    trust: Trust,
    open_tree: Callable[[Path], Tree],
    *,
    bundle: Path | None,
    predicate_types: Collection[str],
    today: datetime.date | None,
    instance: Instance,
    offline: bool,
    require: Require,
    summary: Path | None,
    state: Path | None,
    resource_uri: str | None,
) -> tuple[Report, Evidence]:
    """`verify_file`, with what was read. `open_tree` gives the tree that a folder's files are in.

    Raises: as `verify_file`.
    """
    if summary is not None or resource_uri is not None:
        require = replace(require, summary=True)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    reason = paths.unsafe_reason(path.name)
    if reason is not None:  # `Tree` would not open it, and what is not hashed is not verified
        raise InputError(
            f"{path}: its name {reason}", help="Give it the name that it was published under."
        )
    found = bundle or path.with_name(path.name + bundles.SUFFIX)
    data = read_bundle_file(found)
    how = (path, trust, open_tree, found, predicate_types, today, instance, offline, require)
    how_released = (summary, state, resource_uri)
    lines = bundle_lines.of(data)
    if not lines:
        return _examine(*how, *how_released, data, with_countersignatures(found, data))
    examined: list[tuple[Report, Evidence]] = []

    def reports() -> Iterator[Report]:
        sha256 = _sha256_of(path)
        for name, line in bundle_lines.about(found, lines, sha256):
            document = read_bundle(name, line, foreign=True)
            examined.append(_examine(*how, *how_released, line, document))
            yield examined[-1][0]

    best = bundle_lines.best(reports())
    return next(e for e in examined if e[0] is best)


def _sha256_of(path: Path) -> str:
    try:
        with open_named_file(path) as stream:
            return digest.of_stream(stream).sha256
    except FileError as e:
        raise InputError(f"{path}: {e.message}", help=e.help) from e
    except OSError as e:
        raise InputError(f"{path}: {e.strerror or e}") from e


def _examine(
    path: Path,
    trust: Trust,
    open_tree: Callable[[Path], Tree],
    found: Path,
    predicate_types: Collection[str],
    today: datetime.date | None,
    instance: Instance,
    offline: bool,
    require: Require,
    summary: Path | None,
    state: Path | None,
    resource_uri: str | None,
    data: bytes,
    document: BundleEvidence,
) -> tuple[Report, Evidence]:
    """`examine_file` by one bundle, which is `data`."""
    signed = _signed_row(data)
    # Which files count is for the statement to say, not for what the row repeats of them.
    fields = {} if signed is None else {k: v for k, v in signed.row.items() if k != "quant_mode"}
    if signed is not None and signed.smoke is not None:
        fields["smoke"] = signed.smoke
    fields = {"id": path.name, **fields, "onnx": path.name}
    evidence = collect_file(
        open_tree(path.parent),
        Row(0, fields, {} if signed is None else signed.row),
        document,
    )
    (row,) = evidence.rows
    if row.onnx is not None:
        checked = sha384.compared(document, path, row.onnx.sha256)
        evidence = replace(evidence, rows=(replace(row, bundle=checked),))
    if require.of_release or state is not None:
        evidence = replace(evidence, summary=_summary(path, found, summary))
    trust = rooted(trust, evidence, instance, offline)
    with rollback_state.comparing(evidence, state) as (evidence, record):
        report = judge_file(
            evidence,
            trust,
            str(path),
            today or today_utc(),
            predicate_types,
            require,
            resource_uri,
        )
        record(report)
    return report, evidence


def _summary(path: Path, bundle: Path, given: Path | None) -> BundleEvidence | None:
    """The release summary that was named, or the one that lies beside a model or its bundle."""
    if given is None:
        folders = {os.path.realpath(folder): folder for folder in (path.parent, bundle.parent)}
        beside = ((f, name) for f in folders.values() for name in _names(f))
        found = [f / name for f, name in beside if name.endswith(bundles.SUMMARY_SUFFIX)]
        if len(found) > 1:
            raise InputError(
                f"{found[0]} and {found[1]}: which is the summary of the release?",
                help="Name it: --summary FILE",
            )
        if not found:
            return None
        (given,) = found
    return read_summary(given)


def read_summary(path: Path) -> BundleEvidence:
    """The release summary that was named, with its countersignatures. Raises InputError."""
    try:
        data = read_named_file(path, limits.BUNDLE)
    except FileError as e:
        raise InputError(f"release summary {path}: {e.message}", help=e.help) from e
    countersigned = tuple(_countersignatures(path))
    return replace(read_bundle(str(path), data), countersigned=countersigned)


def _names(folder: Path) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as e:
        raise InputError(f"cannot list {folder}: {e.strerror}") from e
    if len(names) > limits.FOLDER_ENTRIES:
        raise InputError(
            f"more than {limits.FOLDER_ENTRIES:,} files in {folder}",
            help="Name the release summary: --summary FILE",
        )
    return names


def rooted(trust: Trust, evidence: Evidence, instance: Instance, offline: bool) -> Trust:
    """The trust with a trusted root, where anything that was signed is judged by one."""
    documents = (*evidence.bundles, *((evidence.summary,) if evidence.summary else ()))
    files = (file.bundle for document in documents for file in document.files)
    signed = [bundle for bundle in files if bundle is not None]
    judged_by_root = any(b.certificate is not None or b.timestamps for b in signed)
    if judged_by_root or (trust.asks_when and any(b.says_when for b in signed)):
        return public_root.complete(trust, instance=instance, offline=offline)
    return trust


def _signed_row(data: bytes) -> SignedRow | None:
    """The row that a bundle holds, to know what to look for. Whether it counts is judged later."""
    try:
        content = bundles.decode(data).content
        if isinstance(content, bundles.Envelope):
            return signed_row(decode_statement(content.payload))
    except (bundles.BundleError, StatementError):
        pass  # SIG602 reports why
    return None


def with_countersignatures(path: Path, data: bytes) -> BundleEvidence:
    """The bundle at `path`, which holds `data`, and its countersignatures.

    Raises:
        InputError: One that is there cannot be read.
    """
    return replace(
        read_bundle(str(path), data, foreign=True), countersigned=tuple(_countersignatures(path))
    )


def _countersignatures(bundle: Path) -> Iterator[BundleEvidence]:
    """The bundles beside `bundle` in which others signed the same."""
    for number in range(2, bundles.MAX_SIGNERS + 1):
        path = Path(bundles.countersignature_path(str(bundle), number))
        if not path.exists():
            return
        yield read_bundle(str(path), read_bundle_file(path), foreign=True)


def read_bundle_file(path: Path) -> bytes:
    """The bytes of a bundle. Raises InputError where they cannot be read."""
    try:
        return read_named_file(path, limits.BUNDLE)
    except FileError as e:
        raise InputError(
            f"bundle {path}: {e.message}",
            help=e.help
            if e.problem is paths.FileProblem.POINTER
            else "A bundle lies beside its model as <file>.onnx.sigstore.json; "
            "name another with --bundle.",
        ) from e
