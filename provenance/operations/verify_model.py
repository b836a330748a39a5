# SPDX-License-Identifier: Apache-2.0
"""`verify-model`: one model as a consumer has it, a file with its bundle.

Trust comes from the consumer: nothing in the tree that is verified has a say in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from provenance.artifacts import paths
from provenance.artifacts.paths import Tree
from provenance.artifacts.registry import Row
from provenance.attestations import bundle as bundles
from provenance.attestations.signed_row import SignedRow, signed_row
from provenance.attestations.statement import StatementError
from provenance.attestations.statement import decode as decode_statement
from provenance.errors import InputError
from provenance.evidence.collect import collect_file
from provenance.evidence.evidence import Evidence
from provenance.evidence.rows import BundleEvidence
from provenance.gate.finding import Report
from provenance.gate.judge import judge
from provenance.gate.rules import Target
from provenance.operations import bundle_lines, named_files, rollback_state, sha384
from provenance.operations.verify_options import VerifyOptions
from provenance.signing.trust import Trust


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
    """Judge one model, as `Verifier.model` does; `open_tree` opens the folder that it is in.

    The row that the bundle signs takes the place of the registry: the file and its external data
    must have the signed bytes under the signed names, and every signed model must be here. A
    sidecar is compared if it is here. A plain signature over the file counts too, and a statement
    about its digest of one of the expected types. They bind less, which is a warning.
    """
    if summary is not None or options.resource_uri is not None:
        options = replace(options, require=replace(options.require, summary=True))
    if not path.exists():
        raise InputError(f"{path}: no such file")
    reason = paths.unsafe_reason(path.name)
    if reason is not None:  # `Tree` would not open it, and what is not hashed is not verified
        raise InputError(
            f"{path}: its name {reason}", help="Give it the name that it was published under."
        )
    found = bundle or path.with_name(path.name + bundles.SUFFIX)

    def judged(document: BundleEvidence) -> tuple[Report, Evidence]:
        evidence = _collected(path, document, open_tree)
        if options.require.of_release or options.state is not None:
            given = summary or named_files.summary_in((path.parent, found.parent))
            read = named_files.read_summary(given) if given is not None else None
            evidence = replace(evidence, summary=read)
        by = options.rooted(trust, evidence)
        with rollback_state.comparing(evidence, options.state) as (evidence, record):
            terms = options.terms(by)
            report = judge(evidence, None, terms, target=Target.MODEL, name=str(path))
            record(report)
        return report, evidence

    return bundle_lines.judged(found, lambda: named_files.sha256_of(path), judged)


def _collected(path: Path, document: BundleEvidence, open_tree: Callable[[Path], Tree]) -> Evidence:
    """What is here of the row that a bundle signs for a model."""
    signed = _signed_row(document)
    # Which files count is for the statement to say, not for what the row repeats of them.
    fields = {} if signed is None else {k: v for k, v in signed.row.items() if k != "quant_mode"}
    if signed is not None and signed.smoke is not None:
        fields["smoke"] = signed.smoke
    fields = {"id": path.name, **fields, "onnx": path.name}
    row = Row(0, fields, {} if signed is None else signed.row)
    evidence = collect_file(open_tree(path.parent), row, document)
    (found,) = evidence.rows
    if found.onnx is None:
        return evidence
    checked = sha384.compared(document, path, found.onnx.sha256)
    return replace(evidence, rows=(replace(found, bundle=checked),))


def _signed_row(document: BundleEvidence) -> SignedRow | None:
    """The row that a bundle holds, to know what to look for. Whether it counts is judged later."""
    content = document.bundle.content if document.bundle else None
    if not isinstance(content, bundles.Envelope):
        return None
    try:
        return signed_row(decode_statement(content.payload))
    except StatementError:
        return None  # SIG602 reports why
