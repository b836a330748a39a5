# SPDX-License-Identifier: Apache-2.0
"""Limits for all rows of a registry together. Shared files count once for each row."""

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
    """Adds up the totals of the rows of a registry.

    Each method raises InputError if a total exceeds its limit.
    """

    def __init__(self, registry: str) -> None:
        self._registry = registry
        self.found: Counter[str] = Counter()

    def model(self, model: ModelEvidence) -> None:
        """Add a model or int8 variant of a row."""
        self._add(_DATA, len(model.external), limits.EXTERNAL_FILES_OF_ROWS)
        if model.facts is not None:
            tensors = len(model.facts.inputs) + len(model.facts.outputs)
            self._add(_TENSORS, tensors, limits.TENSORS_OF_ROWS)

    def sidecar(self, sidecar: SidecarEvidence) -> None:
        """Add a sidecar of a row."""
        if sidecar.digest is not None:
            self._add(_SIDECARS, sidecar.digest.size, limits.SIDECARS_OF_ROWS)

    def add(self, found: Mapping[str, int]) -> None:
        """Add the totals of other rows. Unknown keys are ignored."""
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
                f"{self._registry}: its rows have more than {most:,} {what} together; a shared "
                "file counts once for each row",
                help="If rows name the same files, give each row its own.",
            )
