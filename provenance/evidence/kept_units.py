# SPDX-License-Identifier: Apache-2.0
"""Keep the rows of units, so that units can be judged again without reading files.

The rows are in an unnamed temporary file, so that those of at most one task are in memory.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from provenance.artifacts.ensemble import GateVerdict, Manifest
from provenance.evidence.evidence import Evidence
from provenance.evidence.read_rows import read_bundle
from provenance.evidence.rows import BundleEvidence, RowEvidence
from provenance.evidence.units import Unit


class KeptUnits:
    """The evidence of units, in a file that is removed at the end of the `with` block.

    Attributes:
        units: The units as they were finally judged, in order.
        made: New bundles, by path. They replace the bundles of the rows.
    """

    def __init__(self, wanted: Callable[[Unit], bool] = lambda unit: True) -> None:
        """Keep the units that are `wanted`."""
        self.units: Sequence[Unit] = ()
        self.made: Mapping[str, bytes] = {}
        self._wanted = wanted
        self._file = tempfile.TemporaryFile(prefix="onnx-provenance-")  # noqa: SIM115 (closed by `__exit__`)
        self._places: dict[object, int] = {}
        self._documents: dict[str, Manifest | GateVerdict] = {}

    def __enter__(self) -> Self:
        """Enter the `with` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Remove the file."""
        self._file.close()

    def keep(self, unit: Unit, rows: Sequence[RowEvidence]) -> None:
        """Keep the rows of a unit. Manifests and verdicts are kept by path only."""
        if self._wanted(unit):
            self._places[unit.content] = self._file.seek(0, 2)
            _Pickler(self._file, self._documents).dump(tuple(rows))

    def rows_of(self, unit: Unit) -> tuple[RowEvidence, ...] | None:
        """Return the rows of a unit, with the new bundles, or None if the unit is not kept."""
        place = self._places.get(unit.content)
        if place is None:
            return None
        self._file.seek(place)
        rows = _Unpickler(self._file, self._documents).load()
        return tuple(self._with_made(row) for row in rows)

    def each(self, around: Evidence) -> Iterator[Evidence]:
        """Yield `around` with the rows and documents of each kept unit."""
        for unit in self.units:
            rows = self.rows_of(unit)
            if rows is not None:
                yield replace(around, rows=rows, documents=unit.documents)

    def _with_made(self, row: RowEvidence) -> RowEvidence:
        if not self.made:
            return row
        return replace(row, bundle=self._made(row.bundle), attestation=self._made(row.attestation))

    def _made(self, old: BundleEvidence | None) -> BundleEvidence | None:
        data = self.made.get(old.path) if old is not None else None
        return old if old is None or data is None else read_bundle(old.path, data, old.name)


class _Pickler(pickle.Pickler):
    """Pickles evidence with the paths of documents, which go into `documents`."""

    def __init__(self, file: Any, documents: dict[str, Manifest | GateVerdict]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._documents = documents

    def persistent_id(self, obj: Any) -> str | None:
        if not isinstance(obj, Manifest | GateVerdict):
            return None
        return self._documents.setdefault(obj.path, obj).path


class _Unpickler(pickle.Unpickler):
    """Unpickles evidence that this process wrote, with `documents` in place of their paths."""

    def __init__(self, file: Any, documents: Mapping[str, Manifest | GateVerdict]) -> None:
        super().__init__(file)
        self._documents = documents

    def persistent_load(self, pid: Any) -> Manifest | GateVerdict:
        return self._documents[pid]
