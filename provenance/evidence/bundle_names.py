# SPDX-License-Identifier: Apache-2.0
"""How the rows of a registry name their bundles: the one pattern they all follow, where they do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from provenance.artifacts.documents.json_edit import Edit, Insert, Set
from provenance.artifacts.registry import Registry, Row
from provenance.attestations import bundle as bundles

_ENOUGH = 2
"""Rows that make a pattern: one alone may be the exception."""


@dataclass(frozen=True)
class BundleNames:
    """Each bundle is `<prefix><onnx>.sigstore.json`.

    `behind` are the keys behind which rows have the field, the most common first; `onnx` counts the
    rows of each model.
    """

    prefix: str
    behind: tuple[str, ...]
    onnx: Counter[str | None]

    @classmethod
    def of(cls, registry: Registry) -> BundleNames | None:
        """The pattern of all rows that name a bundle; None where there is none, or not one."""
        prefixes: set[str] = set()
        behind: Counter[str] = Counter()
        named = [r for r in registry.rows if r.sigstore_bundle]
        for row in named:
            bundle, ending = row.sigstore_bundle or "", f"{row.onnx}{bundles.SUFFIX}"
            if row.onnx is None or not bundle.endswith(ending):
                return None
            prefixes.add(bundle.removesuffix(ending))
            keys = list(row.verbatim)
            at = keys.index(registry.names.of("sigstore_bundle"))
            behind.update(keys[at - 1 : at])
        if len(named) < _ENOUGH or len(prefixes) != 1:
            return None
        common = tuple(key for key, _ in behind.most_common())
        return cls(prefixes.pop(), common, Counter(r.onnx for r in registry.rows))

    def edit(self, registry: Registry, row: Row) -> Edit | None:
        """What gives a row without a bundle its name; None where that is not certain."""
        if row.onnx is None or self.onnx[row.onnx] > 1:  # two rows would have one bundle
            return None
        name = f"{self.prefix}{row.onnx}{bundles.SUFFIX}"
        place = registry.path_of(row, "sigstore_bundle")
        keys, first = list(row.verbatim), registry.names.of("onnx")
        if place[-1] in keys:
            # Before `onnx` its stock consumer does not find it; REG105 moves it first.
            misplaced = registry.names.stock and keys.index(str(place[-1])) < keys.index(first)
            return None if misplaced else Set(place, name)
        below = keys[keys.index(first) :]
        return Insert(place, name, after=next((k for k in self.behind if k in below), first))
