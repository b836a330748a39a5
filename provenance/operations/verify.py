# SPDX-License-Identifier: Apache-2.0
"""`verify`: everything that `check` does, plus signatures, signers and attestations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from provenance.artifacts import journal, paths
from provenance.config import Config
from provenance.errors import InputError, UnavailableError
from provenance.evidence.progress import Progress
from provenance.gate.finding import Report
from provenance.gate.judge import judge
from provenance.operations import rollback_state
from provenance.operations.load_evidence import known_rows, load_evidence, read_registry
from provenance.operations.verify_options import VerifyOptions
from provenance.signing.trust import Trust

if TYPE_CHECKING:
    from provenance.evidence.collect_pipeline import LayoutRequest

TRUST_HELP = (
    "Choose whose signatures count: [[trust.key]], [[trust.github]] or [[trust.identity]] in the "
    "configuration, or --key release.pub, or --identity SUBJECT --issuer URL, or --trust FILE."
)


def verify(
    config: Config,
    options: VerifyOptions = VerifyOptions(),  # noqa: B008 (frozen)
    *,
    trust: Trust | None = None,
    rows: Sequence[str] = (),
    run: bool = False,
    layout: LayoutRequest | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge the registry of `config`, or the rows with the given ids, signatures included.

    Args:
        config: The configuration, which also says whose signatures count.
        options: What is required beyond trusted signatures, and how the registry is judged.
        trust: Whose signatures count instead. A consumer gives it: the help of each finding is
            then written for consumers.
        rows: The ids of the rows; by default all, with the release summary.
        run: Also load and run the models.
        layout: Also judge the steps of the release by this layout.
        progress: Receives what is being done.

    Raises:
        InputError: If the registry, the configuration, the layout or the state file cannot be read;
            if the state file cannot be written; or if the options require a release summary or
            a state file, but only some rows are verified.
        UnavailableError: If no signer is trusted, a required trusted root is not available, models
            are to be run without a runtime, or a worker was lost.
    """
    if rows and (options.require.of_release or options.state is not None):
        raise InputError(
            "a release summary covers a whole registry: it cannot be required of single rows",
            help="Verify the registry, or the model of the row: provenance verify-model FILE",
        )
    for_consumer = trust is not None
    trust = trust or config.trust()
    if trust is None:
        known_rows(read_registry(config)[1], rows)  # the user may have given a file as a row
        raise UnavailableError(f"{config.path} has no trusted signers", help=TRUST_HELP)
    if for_consumer and journal.interrupted(paths.Tree.at(config.root)):
        raise InputError(
            "the publisher's release was cut short: some of its bundles are not in place",
            help="Fetch the release again.",
        )
    evidence = load_evidence(config, rows=rows, with_bundles=True, run=run)
    if layout is not None:
        from provenance.evidence.collect_pipeline import collect_pipeline

        pipeline = collect_pipeline(config, evidence, layout, progress)
        evidence = replace(evidence, pipeline=pipeline)
    trust = options.rooted(trust, evidence)
    with rollback_state.comparing(evidence, options.state) as (evidence, record):
        terms = options.terms(trust, for_consumer=for_consumer)
        terms = replace(terms, resource_uri=options.resource_uri or config.project)
        report = judge(evidence, config, terms, workers=options.workers, progress=progress)
        record(report)
    return report
