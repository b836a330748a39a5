# SPDX-License-Identifier: Apache-2.0
"""`verify-model`, `verify-release`, `verify-blob`: verify what a consumer has downloaded.

Trust comes only from the consumer, never from a download, and no configuration is read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final

from provenance.artifacts import paths
from provenance.artifacts.digest import Digest, is_sha256
from provenance.artifacts.paths import Tree
from provenance.attestations import bundle as bundles
from provenance.attestations.signed_row import COMPANION, MODEL, SignedRow, signed_row
from provenance.attestations.statement import StatementError, decode
from provenance.errors import InputError
from provenance.evidence import releases
from provenance.evidence.collect import collect_file, evidence_of_digest
from provenance.evidence.collect_release import (
    collect_mapped_release,
    collect_release,
    not_collected,
)
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.evidence.rows import BundleEvidence, FileEvidence, ModelEvidence, RowEvidence
from provenance.gate import signature_set
from provenance.gate.finding import Report
from provenance.gate.judge import judge
from provenance.gate.requirements import NOTHING
from provenance.gate.rules import Target
from provenance.gate.signature_set import SignatureSet
from provenance.operations import named_files, rollback_state
from provenance.operations.verify_options import VerifyOptions
from provenance.registry.rows import Row
from provenance.signing.trust import Trust

DIGEST_PREFIX: Final = "sha256:"

_MOST_ADVISORIES: Final = 20
"""The maximum number of release summaries beside a model that are read."""


def _tree_at(folder: Path) -> Tree:
    return Tree.at(folder, confined=False)


def verify_model(
    path: Path,
    trust: Trust,
    options: VerifyOptions,
    *,
    bundle: Path | None = None,
    summary: Path | None = None,
    open_tree: Callable[[Path], Tree] = _tree_at,
) -> tuple[Report, Evidence]:
    """Judge one model, as `Verifier.model` does. `open_tree` opens the folder of the model.

    The row in the bundle takes the place of the registry. The file and its external data must have
    the signed bytes and names, and no signed model may be missing. A sidecar is compared if it
    exists. A signature over the bytes of the file also counts, and so does a statement of one of
    the expected types about its digest. Both cover less than a row, which is a warning.
    """
    if summary is not None or options.resource_uri is not None:
        options = replace(options, require=replace(options.require, summary=True))
    if not path.exists():
        raise InputError(f"{path}: no such file")
    reason = paths.unsafe_reason(path.name)
    if reason is not None:  # `Tree` would refuse to open it, so it would not be hashed
        raise InputError(
            f"{path}: its name {reason}", help="Give it the name that it was published under."
        )
    found = bundle or named_files.bundle_of(path, lambda: named_files.sha256_of(path))

    def judged(document: BundleEvidence) -> tuple[Report, Evidence]:
        evidence = _collected(path, document, open_tree)
        if options.require.of_release or options.state is not None:
            given = summary or named_files.summary_in((path.parent, found.parent))
            read = named_files.read_summary(given) if given is not None else None
            evidence = replace(evidence, summary=read)
        else:
            beside = tuple(_advisories((path.parent, found.parent)))
            evidence = replace(evidence, advisories=beside)
        by = options.rooted(trust, evidence)
        return _judged(Target.MODEL, path, evidence, by, options)

    return named_files.judged(found, lambda: named_files.sha256_of(path), judged)


def verify_release(
    path: Path,
    trust: Trust,
    options: VerifyOptions,
    *,
    summary: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge a registry and all files of its release, as `Verifier.release` does.

    The summary lists every file relative to the registry's folder, with its digest. Requirements
    apply to every row. No other file is opened until trusted signatures over the summary are
    found. Then every file is hashed in one pass. Row bundles are not judged.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    summary = summary or _summary_of(path)
    registry = path / summary.name.removesuffix(bundles.SUMMARY_SUFFIX) if path.is_dir() else path
    document = named_files.read_summary(summary)
    evidence = not_collected(registry, document)
    trust = options.rooted(trust, evidence)
    signatures = signature_set.judge(document, trust) if document.bundle else None
    if signatures is not None and signatures.counts:
        rows = options.require.of_row
        evidence = _opened(evidence, document, path, progress or Progress(), with_rows=rows)
    known = ((document, signatures),) if signatures is not None else ()
    return _judged(Target.RELEASE, path, evidence, trust, options, known)[0]


def verify_blob(blob: Path | str, bundle: Path, trust: Trust, options: VerifyOptions) -> Report:
    """Judge the bytes of a file, as `Verifier.blob` does.

    The bundle must sign these bytes, or an in-toto statement with their digest among its subjects.
    For a model, `verify_model` judges more: its name, its external data and its row.
    """
    required = options.require != NOTHING
    if required or options.state is not None or options.resource_uri is not None:
        raise InputError(
            "requirements do not apply to a blob, because it has no row and no release",
            help="If it is a model, verify it as one: provenance verify-model FILE",
        )
    sha256 = named_files.sha256_of(blob) if isinstance(blob, Path) else _digest(blob)

    def judged(document: BundleEvidence) -> tuple[Report, Evidence]:
        if isinstance(blob, Path):
            document = named_files.compared_by_sha384(document, blob, sha256)
        evidence = evidence_of_digest(str(blob), sha256, document)
        return _judged(Target.BLOB, blob, evidence, options.rooted(trust, evidence), options)

    return named_files.judged(bundle, lambda: sha256, judged)[0]


def _judged(
    target: Target,
    name: Path | str,
    evidence: Evidence,
    trust: Trust,
    options: VerifyOptions,
    known: tuple[tuple[BundleEvidence, SignatureSet], ...] = (),
) -> tuple[Report, Evidence]:
    """Return the report and its evidence, and record the release in the state file if VERIFIED."""
    with rollback_state.comparing(evidence, options.state) as (evidence, record):
        terms = replace(options.terms(trust), known=known)
        report = judge(evidence, None, terms, target=target, name=str(name))
        record(report)
    return report, evidence


def _collected(path: Path, document: BundleEvidence, open_tree: Callable[[Path], Tree]) -> Evidence:
    """Return the evidence of a model and the files of its signed row."""
    content = document.bundle.content if document.bundle else None
    digests: dict[str, str] = {}
    signed = None  # whether the signature counts is judged later
    if isinstance(content, bundles.Envelope):
        with contextlib.suppress(StatementError):  # SIG602 reports why
            statement = decode(content.payload)
            signed = signed_row(statement)
            digests = {subject.name: subject.sha256 for subject in statement.subjects}
    # The files are the ones in the statement, not the ones that the row repeats.
    fields = {} if signed is None else {k: v for k, v in signed.row.items() if k != "quant_mode"}
    if signed is not None and signed.smoke is not None:
        fields["smoke"] = signed.smoke
    fields = {"id": path.name, **fields, "onnx": path.name}
    row = Row(0, fields, {} if signed is None else signed.row)
    evidence = collect_file(open_tree(path.parent), row, document)
    (found,) = evidence.rows
    if found.onnx is None:
        return evidence
    if signed is not None:
        found = _under_signed_names(found, signed, digests, path)
    checked = named_files.compared_by_sha384(
        document, path, found.onnx.sha256 if found.onnx else None
    )
    return replace(evidence, rows=(replace(found, bundle=checked),))


def _advisories(folders: Iterable[Path]) -> Iterator[BundleEvidence]:
    """Yield the release summaries beside a model. Those that cannot be read do not count."""
    distinct = {os.path.realpath(folder): folder for folder in folders}
    with contextlib.suppress(InputError):
        for path in islice(named_files.summaries_in(distinct.values()), _MOST_ADVISORIES):
            with contextlib.suppress(InputError):
                yield named_files.read_summary(path)


def _under_signed_names(
    row: RowEvidence, signed: SignedRow, digests: Mapping[str, str], path: Path
) -> RowEvidence:
    """Return the evidence with the names that its files have in the signed row.

    A download may be flat, or have the folders of the repository. So the model matches a signed
    file by its digest and the last segment of its name, or else by that segment alone. The files
    beside it keep their place relative to it.
    """
    assert row.onnx is not None
    alike = [f.name for f in signed.files if f.name.rpartition("/")[2] == path.name]
    equal = [name for name in alike if digests.get(name) == row.onnx.sha256]
    name = next(iter(equal or alike), None)
    if name is None:
        return row
    folder = name[: -len(path.name)]
    above = [part for part in folder.split("/") if part]
    depth = len(above) if above == list(path.absolute().parent.parts[-len(above) :]) else 0
    own = next((f.role for f in signed.files if f.name == name), None)
    roles = (COMPANION, MODEL) if own == MODEL else (COMPANION,)
    others = (f.name for f in signed.files if f.role in roles and f.name != name)
    further = tuple(_beside(path, others, depth if above else None))
    if not folder:
        return replace(row, further=further)
    return replace(
        row,
        entry=replace(row.entry, fields={**row.entry.fields, "onnx": name}),
        onnx=_moved(row.onnx, folder),
        int8=row.int8 and _moved(row.int8, folder),
        sidecar=row.sidecar and replace(row.sidecar, name=folder + row.sidecar.name),
        int8_sidecar=row.int8_sidecar
        and replace(row.int8_sidecar, name=folder + row.int8_sidecar.name),
        further=further,
    )


def _moved(model: ModelEvidence, folder: str) -> ModelEvidence:
    external = tuple(replace(file, name=folder + file.name) for file in model.external)
    return replace(model, name=folder + model.name, external=external)


def _beside(path: Path, names: Iterable[str], depth: int | None) -> Iterator[FileEvidence]:
    """Yield the other files of a row that exist: in their folders, or else beside the model."""
    for name in names:
        places = [path.parent / PurePosixPath(name).name]
        if depth is None or depth:
            places.insert(0, path.parents[depth or 0] / name)
        for place in places:
            if paths.refusal(name) is None and place.is_file():
                sha256 = named_files.sha256_of(place)
                yield FileEvidence(name, name, Digest(sha256, place.stat().st_size))
                break


def _summary_of(path: Path) -> Path:
    folders = (path / name for name in named_files.names(path)) if path.is_dir() else ()
    above = path if path.is_dir() else path.parent
    found = named_files.summary_in((above, *(f for f in folders if f.is_dir())))
    if found is None:
        raise InputError(
            f"{path}: no release summary found: no file *{bundles.SUMMARY_SUFFIX}",
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
    """Return the evidence with the files of the release, as a trusted `summary` lists them."""
    statement = summary.statement
    if statement is None or releases.predicate_of(statement) is None:
        return evidence
    index = PurePosixPath(releases.index_of(statement) or "")
    registry = path
    if path.is_dir():
        if paths.unsafe_reason(str(index)) is not None or ".." in index.parts:
            raise InputError(f"{summary.path}: not a valid path of a registry: {str(index)!r:.200}")
        registry = path / index
        if not registry.exists():  # flat, as the assets of a release are downloaded
            registry = path / index.name
    if index.name != registry.name:
        raise InputError(
            f"{summary.path} is the summary of the registry {index.name!r:.200}, not of "
            f"{registry.name!r}",
            help="Give the registry the name under which it was released.",
        )
    signed = releases.files_of(statement)
    base = releases.base_of(statement)
    if base is None:
        return collect_release(registry, summary, signed, progress, with_rows=with_rows)
    if paths.refusal(base) is not None:
        raise InputError(f"{summary.path}: not a valid path of a folder: {base!r:.200}")
    return collect_mapped_release(registry, str(index), base, summary, progress)


def _digest(text: str) -> str:
    sha256 = text.removeprefix(DIGEST_PREFIX)
    if sha256 == text or not is_sha256(sha256):
        raise InputError(
            f"{text[:100]!r} is not a digest",
            help=f"A digest is {DIGEST_PREFIX} and 64 lower-case hexadecimal digits.",
        )
    return sha256
