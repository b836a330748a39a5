# SPDX-License-Identifier: Apache-2.0
"""What the rows of a registry may have together: what they share counts for each of them.

A file that many rows name is read once, and judged for each. Its own limit does not say how often
that may be.
"""

from __future__ import annotations

from collections import Counter

from provenance.artifacts import limits
from provenance.errors import InputError
from provenance.evidence.rows import ModelEvidence, SidecarEvidence


class Totals:
    """Adds up what the rows of the registry at a path have.

    Each method raises InputError where that is more than is judged.
    """

    def __init__(self, registry: str) -> None:
        self._registry = registry
        self._found: Counter[str] = Counter()

    def model(self, model: ModelEvidence) -> None:
        """A row has this model, or its int8 variant."""
        self._add("external-data files", len(model.external), limits.EXTERNAL_FILES_OF_ROWS)
        if model.facts is not None:
            tensors = len(model.facts.inputs) + len(model.facts.outputs)
            self._add("inputs and outputs", tensors, limits.TENSORS_OF_ROWS)

    def sidecar(self, sidecar: SidecarEvidence) -> None:
        """A row has this sidecar."""
        if sidecar.digest is not None:
            self._add("bytes of sidecars", sidecar.digest.size, limits.SIDECARS_OF_ROWS)

    def _add(self, what: str, count: int, most: int) -> None:
        self._found[what] += count
        if self._found[what] > most:
            raise InputError(
                f"{self._registry}: its rows have more than {most:,} {what} together, where what "
                "they share counts for each",
                help="Do rows name the same files? Give each its own.",
            )
