# SPDX-License-Identifier: Apache-2.0
"""Evidence as it would be after an edit, to judge the edit before it is written.

This supports edits of a registry or a manifest that do not change file names or ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from provenance.artifacts import digest, ensemble
from provenance.artifacts.documents.strict_json import parse_object
from provenance.evidence.evidence import Evidence
from provenance.evidence.registry_diff import Comparison
from provenance.registry import reading


def edited(evidence: Evidence, texts: Mapping[str, str]) -> Evidence:
    """Return the evidence with the new texts of the registry and manifests, by path.

    The rows of the evidence must not have been read yet.
    """
    manifests = {
        document.path: _manifest(document, texts[document.path])
        for document in evidence.documents
        if isinstance(document, ensemble.Manifest) and document.path in texts
    }
    registry = evidence.registry
    if any(file.path in texts for file in registry.files):
        registry = reading.edited(registry, texts)
    baseline = evidence.baseline
    if baseline is not None:
        comparison = Comparison(baseline.comparison.then, registry)
        baseline = replace(baseline, comparison=comparison)
    return replace(
        evidence,
        registry=registry,
        baseline=baseline,
        unread=registry.rows,
        documents=tuple(manifests.get(d.path, d) for d in evidence.documents),
    )


def _manifest(old: ensemble.Manifest, text: str) -> ensemble.Manifest:
    data = text.encode("utf-8")
    return ensemble.Manifest(old.path, digest.of_bytes(data), text, parse_object(data))
