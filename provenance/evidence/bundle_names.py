# SPDX-License-Identifier: Apache-2.0
"""Find the pattern by which the rows of a registry name their bundles."""

from __future__ import annotations

from collections import Counter

from provenance.artifacts.documents.json_edit import Edit, Insert, Set
from provenance.attestations import bundle as bundles
from provenance.frozen import dataclass
from provenance.registry.registry import Registry
from provenance.registry.rows import Row

_ENOUGH = 2
"""How many rows make a pattern: a single one may be an exception."""


@dataclass(frozen=True)
class BundleNames:
    """The pattern `<prefix><onnx>.sigstore.json`, which all bundles follow.

    Attributes:
        prefix: The prefix.
        behind: The keys that precede the field in rows, the most common first.
        onnx: The number of rows of each model.
    """

    prefix: str
    behind: tuple[str, ...]
    onnx: Counter[str | None]

    @classmethod
    def of(cls, registry: Registry) -> BundleNames | None:
        """Return the pattern of all rows that name a bundle, or None if they share no pattern."""
        if registry.stock is None:
            return None  # a mapping names bundles by `defaults.sigstore_bundle`
        prefixes: set[str] = set()
        behind: Counter[str] = Counter()
        named = [r for r in registry.rows if r.sigstore_bundle]
        for row in named:
            bundle, ending = row.sigstore_bundle or "", f"{row.onnx}{bundles.SUFFIX}"
            if row.onnx is None or not bundle.endswith(ending):
                return None
            prefixes.add(bundle.removesuffix(ending))
            keys = list(row.verbatim)
            at = keys.index("sigstore_bundle")
            behind.update(keys[at - 1 : at])
        if len(named) < _ENOUGH or len(prefixes) != 1:
            return None
        common = tuple(key for key, _ in behind.most_common())
        return cls(prefixes.pop(), common, Counter(r.onnx for r in registry.rows))

    def edit(self, registry: Registry, row: Row) -> Edit | None:
        """Return the edit that names the bundle of a row, or None if the name is not certain."""
        if row.onnx is None or self.onnx[row.onnx] > 1:  # two rows would have the same bundle
            return None
        name = f"{self.prefix}{row.onnx}{bundles.SUFFIX}"
        place = row.place("sigstore_bundle")
        keys, first = list(row.verbatim), "onnx"
        if place[-1] in keys:
            # Stock consumers do not find it before `onnx`; REG105 moves it first.
            misplaced = keys.index(str(place[-1])) < keys.index(first)
            return None if misplaced else Set(place, name)
        below = keys[keys.index(first) :]
        return Insert(place, name, after=next((k for k in self.behind if k in below), first))
