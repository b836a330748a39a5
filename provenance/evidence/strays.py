# SPDX-License-Identifier: Apache-2.0
"""Stray files, which no row names, and which of them belong to a stray model.

They are removed with their model, or added to its row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from provenance.artifacts.sidecar import Sidecar, sidecar_of
from provenance.evidence.rows import FileEvidence
from provenance.frozen import dataclass

MODELS: Final = (".onnx", ".ort")
"""Suffixes of models, in lower case. Other strays contain weights."""


@dataclass(frozen=True, slots=True)
class StrayModel(FileEvidence):
    """A `.onnx` file that no row names. It is parsed, but only hashed if a row lacks a file.

    Attributes:
        data: Its external data, whether or not the files exist; None if it is not a readable model.
    """

    data: tuple[FileEvidence, ...] | None = None


@dataclass(frozen=True)
class Belongings:
    """The files that belong to the stray models of a registry's folders.

    Attributes:
        of: The paths of the files of each stray model, by the path of the model.
        owned: The paths of all these files.
    """

    of: Mapping[str, Sequence[str]]
    owned: frozenset[str]


def belongings(strays: Sequence[FileEvidence], sidecars: Sequence[Sidecar]) -> Belongings:
    """Return the external data and the sidecar of each stray model."""
    # Other files that a stray model names, such as the registry, do not count as its data.
    weights = {s.path for s in strays if not s.path.lower().endswith(MODELS)}
    by_stem: dict[str, list[str]] = {}
    for path in sorted(weights):
        for stem in stems(path):
            by_stem.setdefault(stem, []).append(path)
    beside = {s.path for s in sidecars}

    def parts(model: StrayModel) -> Iterator[str]:
        if (sidecar := sidecar_of(model.path)) in beside:
            yield sidecar
        # If it cannot be read or lacks data, files named after it count as its data.
        if model.data is None or any(file.missing for file in model.data):
            yield from by_stem.get(model.path, ())
        yield from (file.path for file in model.data or () if file.path in weights)

    models = (s for s in strays if isinstance(s, StrayModel))
    found = {model.path: tuple(dict.fromkeys(parts(model))) for model in models}
    return Belongings(found, frozenset(path for paths in found.values() for path in paths))


def stems(name: str) -> Iterator[str]:
    """Yield the names that a file may be named after: `m` and `m.onnx` for `m.onnx.data`."""
    for dot in re.finditer(r"\.", name):
        yield name[: dot.start()]
