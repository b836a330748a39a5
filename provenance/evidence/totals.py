# SPDX-License-Identifier: Apache-2.0
"""What the rows of a registry may have together: what they share counts for each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from provenance.artifacts import limits
from provenance.errors import InputError
from provenance.evidence.rows import ModelEvidence, SidecarEvidence

_DATA: Final = "external-data files"
_TENSORS: Final = "inputs and outputs"
_SIDECARS: Final = "bytes of sidecars"


class Totals:
    """Adds up what the rows of the registry at a path have.

    Each method raises InputError where that is more than is judged.
    """

    def __init__(self, registry: str) -> None:
        self._registry = registry
        self.found: Counter[str] = Counter()

    def model(self, model: ModelEvidence) -> None:
        """A row has this model, or its int8 variant."""
        self._add(_DATA, len(model.external), limits.EXTERNAL_FILES_OF_ROWS)
        if model.facts is not None:
            tensors = len(model.facts.inputs) + len(model.facts.outputs)
            self._add(_TENSORS, tensors, limits.TENSORS_OF_ROWS)

    def sidecar(self, sidecar: SidecarEvidence) -> None:
        """A row has this sidecar."""
        if sidecar.digest is not None:
            self._add(_SIDECARS, sidecar.digest.size, limits.SIDECARS_OF_ROWS)

    def add(self, found: Mapping[str, int]) -> None:
        """Other rows have so much of each; of what is not counted here, nothing."""
        most = {
            _DATA: limits.EXTERNAL_FILES_OF_ROWS,
            _TENSORS: limits.TENSORS_OF_ROWS,
            _SIDECARS: limits.SIDECARS_OF_ROWS,
        }
        for what in most.keys() & found.keys():
            self._add(what, found[what], most[what])

    def _add(self, what: str, count: int, most: int) -> None:
        self.found[what] += count
        if self.found[what] > most:
            raise InputError(
                f"{self._registry}: its rows have more than {most:,} {what} together, where what "
                "they share counts for each",
                help="Do rows name the same files? Give each its own.",
            )
