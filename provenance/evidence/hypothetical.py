# SPDX-License-Identifier: Apache-2.0
"""Evidence as it would be after an edit: judged before anything is written.

For edits of a registry or a manifest that change no file name and no id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from provenance.artifacts import digest, ensemble
from provenance.artifacts import registry as registries
from provenance.artifacts.documents.strict_json import parse_object
from provenance.evidence.evidence import Evidence
from provenance.evidence.registry_diff import Comparison
from provenance.evidence.rows import RowEvidence


def edited(evidence: Evidence, texts: Mapping[str, str]) -> Evidence:
    """The same evidence with the registry and manifests whose new text is given, by path."""
    manifests = {
        document.path: _manifest(document, texts[document.path])
        for document in evidence.documents
        if isinstance(document, ensemble.Manifest) and document.path in texts
    }
    registry = evidence.registry
    if registry.path in texts:
        data = texts[registry.path].encode("utf-8")
        registry = registries.parse_bytes(data, registry.path, registry.names)
    rows = {row.index: row for row in registry.rows}

    def row_of(row: RowEvidence) -> RowEvidence:
        manifest = row.manifest
        found = manifests.get(manifest.path, manifest) if manifest else None
        return replace(row, entry=rows[row.index], manifest=found)

    baseline = evidence.baseline
    if baseline is not None:
        comparison = Comparison(baseline.comparison.then, registry)
        baseline = replace(baseline, comparison=comparison)
    return replace(
        evidence,
        registry=registry,
        baseline=baseline,
        rows=tuple(map(row_of, evidence.rows)),
        documents=tuple(manifests.get(d.path, d) for d in evidence.documents),
    )


def _manifest(old: ensemble.Manifest, text: str) -> ensemble.Manifest:
    data = text.encode("utf-8")
    return ensemble.Manifest(old.path, digest.of_bytes(data), text, parse_object(data))
