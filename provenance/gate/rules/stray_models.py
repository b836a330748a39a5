# SPDX-License-Identifier: Apache-2.0
"""Which files belong to a model that no row names: they go, or get a row, together with it."""

from __future__ import annotations

from collections.abc import Sequence

from provenance.evidence.evidence import MODELS, Belongings, Evidence

__all__ = ["MODELS", "Belongings", "belongings", "stray_files"]


def stray_files(evidence: Evidence, name: str | None) -> Sequence[str]:
    """The stray file of that name, relative to the registry's folder, and what belongs to it."""
    path = evidence.registry.absolute(name) if name else ""
    if path not in evidence.stray_paths:
        return ()
    return (path, *evidence.belongings.of.get(path, ()))


def belongings(evidence: Evidence) -> Belongings:
    """Return the external data and the sidecar of each stray model."""
    return evidence.belongings
