# SPDX-License-Identifier: Apache-2.0
"""The files that the rows of a registry name, as they are on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from provenance.artifacts.digest import sha256_of
from provenance.operations.adoption.disk import Disk, State
from provenance.operations.adoption.proposal import (
    Counts,
)
from provenance.registry.registry import Registry
from provenance.registry.rows import Row, int8_of


class States:
    """The files that the rows of a registry name, as they are on disk."""

    def __init__(self, registry: Registry, disk: Disk) -> None:
        self._disk = disk
        self.by_path: dict[str, set[str]] = {}
        self._of_row: dict[int, list[tuple[str | None, Mapping[str, str]]]] = {}
        self._declared: dict[str, set[tuple[tuple[str, str], ...]]] = {}
        for row in registry.rows:
            files = list(_files(registry, row))
            self._of_row[row.index] = files
            for path, declared in files:
                if path is not None:
                    self.by_path.setdefault(path, set()).add(row.label)
                    self._declared.setdefault(path, set()).add(tuple(sorted(declared.items())))

    def _counted(self, files: Sequence[tuple[str | None, Mapping[str, str]]]) -> Counter[str]:
        found: Counter[str] = Counter()
        seen: set[str] = set()
        for path, declared in files:
            if path is None:
                found["remote"] += 1
            elif path not in seen:
                seen.add(path)
                state = self._disk.look(path).state
                found[state] += 1
                if state is not State.MISSING and declared:
                    there = self._disk.digests(path, declared.keys())
                    known = [
                        there.get(name) == hex for name, hex in declared.items() if name in there
                    ]
                    found["proved"] += bool(known) and all(known)
                    found["differing"] += not all(known)
        return found

    @property
    def counts(self) -> Counts:
        """The counts over all rows."""
        found = self._counted([file for files in self._of_row.values() for file in files])
        return Counts(
            here=found[State.HERE],
            pointers=found[State.POINTER],
            missing=found[State.MISSING],
            remote=found["remote"],
            proved=found["proved"],
            differing=found["differing"],
            shared=sum(len(labels) > 1 for labels in self.by_path.values()),
        )

    def absent(self, rows: Sequence[Row]) -> str:
        """Return how many files of some rows are not on disk, or "" if all are."""
        found = self._counted([file for row in rows for file in self._of_row[row.index]])
        parts = [
            f"{found[kind]:,} {said}"
            for kind, said in (
                (State.MISSING, "not here"),
                (State.POINTER, "Git LFS pointers"),
                ("remote", "with only an address"),
            )
            if found[kind]
        ]
        total = sum(found[k] for k in (*State, "remote"))
        return f"of {total:,} files: {', '.join(parts)}" if parts else ""

    def shared(self, rows: Sequence[Row]) -> str:
        """Return how many files several rows have with equal digests, or ""."""
        names = {path for row in rows for path, _ in self._of_row[row.index]}
        several = [p for p in names if p is not None and len(self.by_path[p]) > 1]
        if not several or self.conflicting:
            return ""
        number = "1 file is" if len(several) == 1 else f"{len(several):,} files are"
        return f"{number} in several rows, which declare no different digests of it"

    @property
    def conflicting(self) -> list[str]:
        """The files of which rows declare different digests."""
        return sorted(
            path
            for path, declared in self._declared.items()
            if len({d for d in declared if d}) > 1 and len(self.by_path[path]) > 1
        )


def _files(registry: Registry, row: Row) -> Iterator[tuple[str | None, Mapping[str, str]]]:
    """Yield the path of each file of a row, or None for an address, with its digests."""
    if row.onnx is not None:
        declared = {d.algorithm: d.hex for d in row.digests}
        sha256 = row.digest("sha256")
        if sha256 is not None:
            declared["sha256"] = sha256
        yield registry.absolute(row.onnx), declared
    elif row.text("url") is not None:
        yield None, {}
    if row.onnx is not None and row.quantized:
        int8 = row.digest("int8_sha256")
        yield registry.absolute(int8_of(row.onnx)), {} if int8 is None else {"sha256": int8}
    for name in row.external_data_sha256:
        data = sha256_of(row.external_data_sha256[name])
        yield registry.absolute(name), {} if data is None else {"sha256": data}
    for file in row.files:
        digests = {d.algorithm: d.hex for d in file.digests}
        yield None if file.name is None else registry.absolute(file.name), digests


def remarks(registry: Registry, states: States) -> Iterator[str]:
    """Yield what is wrong with the rows as they are read."""
    labels = Counter(row.label for row in registry.rows)
    several = [label for label, count in labels.items() if count > 1]
    if several:
        yield (
            f"{len(several):,} ids occur more than once, such as {several[0][:80]!r}: choose "
            "another `id` in [registry.fields]"
        )
    if states.conflicting:
        yield (f"rows declare different digests of one file, such as {states.conflicting[0][:200]}")
    unreadable = [one for row in registry.rows for one in row.unreadable]
    if unreadable:
        yield f"{len(unreadable):,} values cannot be read, such as: {unreadable[0].message[:200]}"
