# SPDX-License-Identifier: Apache-2.0
"""`verify`: everything `check` does, and signatures, signers, attestations."""

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
    "Say whose signatures count: [[trust.key]], [[trust.github]] or [[trust.identity]] in the "
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
        options: What else it is judged by.
        trust: Whose signatures count instead. This is for users of what others publish: the help
            of each finding is then for them.
        rows: The ids of the rows; by default all, with the release summary.
        run: Also load and run the models.
        layout: Also judge the steps by which the release came about.
        progress: Receives what is being done.

    Raises:
        InputError: If the registry, the configuration, the layout or the state file cannot be read,
            or the state file cannot be written; or if what only a whole registry has is required of
            some rows.
        UnavailableError: If no signer is trusted, or a trusted root is needed and cannot be had; or
            if models are to be run without a runtime, or a worker was lost.
    """
    if rows and (options.require.of_release or options.state is not None):
        raise InputError(
            "the release summary is of a whole registry: some rows of it have no age and no order",
            help="Verify the registry, or the model of the row: provenance verify-model FILE",
        )
    for_consumer = trust is not None
    trust = trust or config.trust()
    if trust is None:
        known_rows(read_registry(config)[1], rows)  # or it is a file that is taken for a row
        raise UnavailableError(f"{config.path} trusts nobody", help=TRUST_HELP)
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
