# SPDX-License-Identifier: Apache-2.0
"""What the page of a release shows of it, in Markdown: which models, licenses, signers, digests."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.gate.finding import ReleaseResult, RowResult
from provenance.output.markdown_text import code, escaped


def facts(release: ReleaseResult) -> str:
    """Which release it is, in a sentence or two."""
    called = "" if release.version is None else f" {code(release.version)}"
    follows = "" if release.previous is None else f" It follows {code(release.previous)}."
    return (
        f"Release{called} of {code(release.registry)}, made at {escaped(release.time)}. Its "
        f"summary is {code(release.sha256)}.{follows}"
    )


MODELS = ("model", "kind", "license", "signed by")


def models(rows: tuple[RowResult, ...]) -> Iterator[tuple[str, ...]]:
    """The cells of each row."""
    for row in rows:
        kind = row.classification.value if row.classification else "unknown"
        kind += ", imported" if row.origin else ""
        signers = ", ".join(dict.fromkeys(s.signer for s in row.signatures))
        yield (code(row.id), kind, escaped(row.license or "unknown"), escaped(signers))


FILES = ("file", "SHA-256")


def files(rows: tuple[RowResult, ...]) -> Iterator[tuple[str, ...]]:
    """Each model file with its digest."""
    found = {f.path: f.sha256 for row in rows for f in row.model_files}
    for path, sha256 in found.items():
        yield code(path), code(sha256 or "not read")
