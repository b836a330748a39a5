# SPDX-License-Identifier: Apache-2.0
"""Evidence of a registry with all selected rows in memory, which is otherwise read in units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from provenance.artifacts.ensemble import Documents
from provenance.config import Config
from provenance.evidence.collect import complete
from provenance.evidence.evidence import Evidence
from provenance.evidence.facts import RowFacts
from provenance.evidence.read_rows import RowReader
from provenance.evidence.run_models import names_in, refuse_unknown, run_models
from provenance.operations.load_evidence import load_evidence
from provenance.runtime.trial import Runtime


def read_whole(config: Config, *, rows: Sequence[str] = (), run: bool = False) -> Evidence:
    """Read the registry of `config`, or the rows with the given ids."""
    return whole(load_evidence(config, rows=rows, run=run), config.path)


def whole(around: Evidence, source: str = "") -> Evidence:
    """The evidence with the rows that are yet to be read; `source` is the configuration."""
    registry = around.registry
    reader = RowReader(around.root, registry, registry.rows)
    documents, selected = Documents(around.documents), around.unread or ()
    rows = tuple(reader.read(selected, documents, with_bundles=around.with_bundles))
    if around.run is not None:
        if around.whole:
            refuse_unknown(around.run, names_in(rows), source)
        rows = run_models(around.root, rows, Runtime.find(), around.run, {})
    facts = tuple(map(RowFacts.of, rows))
    return complete(replace(around, rows=rows, unread=None), facts)
