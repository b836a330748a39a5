# SPDX-License-Identifier: Apache-2.0
"""`remove`: take a row out of the registry, and record that its models are withdrawn.

From the next release on, consumers refuse these models by their digests. In an index of another
shape the row is not removed: what to delete is shown.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterator

from provenance.artifacts import limits, writing
from provenance.artifacts.baseline import Checkout
from provenance.artifacts.paths import Tree
from provenance.artifacts.writing import Change
from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence.evidence import Evidence
from provenance.evidence.progress import Progress
from provenance.evidence.read_rows import RowReader
from provenance.evidence.rows import RowEvidence
from provenance.frozen import dataclass
from provenance.operations.load_evidence import known_rows, read_registry, today_utc
from provenance.registry import withdrawn
from provenance.registry.json_path import normalized
from provenance.registry.mapping import Format
from provenance.registry.registry import Registry
from provenance.registry.row_edits import removed_row
from provenance.registry.rows import Row
from provenance.registry.withdrawn import Withdrawal, Withdrawals


@dataclass(frozen=True, slots=True)
class RowToDelete:
    """A row that the author has to delete from an index of another shape.

    Attributes:
        path: The index file.
        line: The line at which the row begins.
        location: The normalized path of the row.
        text: The row, as the file has it, or as JSON.
    """

    path: str
    line: int
    location: str
    text: str


@dataclass(frozen=True)
class Removal:
    """A row that was removed.

    Attributes:
        registry: The path of the registry.
        entry: The entry in `withdrawn.json`.
        diff: The edits of the registry and of `withdrawn.json`.
        kept: The files whose digests are not withdrawn, because another row has them: the name of
            each, and that row.
        left: The files of the row that no other row has and that still exist.
        by_hand: What to delete by hand, or None if the row was removed.
    """

    registry: str
    entry: Withdrawal
    diff: str
    kept: tuple[tuple[str, str], ...] = ()
    left: tuple[str, ...] = ()
    by_hand: RowToDelete | None = None

    @property
    def command(self) -> str | None:
        """The command that removes the files that are left, or None if there are no such files."""
        return f"rm -- {shlex.join(self.left)}" if self.left else None


def remove(
    config: Config,
    id: str,
    reason: str,
    *,
    replaced_by: str | None = None,
    progress: Progress | None = None,
) -> Removal:
    """Remove the row `id`, and add its models to `withdrawn.json` beside the configuration.

    Args:
        config: The configuration.
        id: The id of the row.
        reason: Why its models are no longer to be used. Consumers read it.
        replaced_by: The id of the row to use instead, or None.
        progress: Receives what is being read.

    Raises:
        InputError: If there is no such row or replacement, the reason is empty or not one line, a
            digest is not known, or a file cannot be written.
    """
    reason = _checked(reason)
    tree, registry = read_registry(config)
    known_rows(registry, [id])
    rows = [row for row in registry.rows if row.label == id]
    if len(rows) > 1:
        raise InputError(
            f"{registry.path}: {len(rows)} rows have the id {id!r}",
            help="Give each row an id of its own.",
        )
    _check_replacement(registry, id, replaced_by)
    row = rows[0]
    gone = withdrawn.read(Checkout(tree))
    evidence = _read(tree, registry, row, progress)
    others = [other for other in registry.rows if other is not row]
    digests, kept = _split(_digests(evidence), others)
    entry = Withdrawal(id, digests, reason, today_utc().isoformat(), replaced_by)
    diff = _write_entry(tree, gone, entry)
    by_hand = None
    if registry.stock is not None:
        file = registry.files[0]
        change = Change(file.path, file.text, file.edited([removed_row(row)]))
        writing.write_changes(tree, [change])
        diff = change.diff + diff
    else:
        by_hand = _to_delete(registry, row)
    left = tuple(_left(tree, registry, evidence, others))
    return Removal(registry.path, entry, diff, kept, left, by_hand)


def _checked(reason: str) -> str:
    reason = " ".join(reason.split())
    if not any(map(str.isalnum, reason)) or not reason.isprintable():
        raise InputError(
            "--reason: expected why the model is no longer to be used",
            help='For example: --reason "wrong label order; use detector_v2"',
        )
    if len(reason) > withdrawn.MAX_REASON:
        raise InputError(
            f"--reason: {len(reason):,} characters; at most {withdrawn.MAX_REASON:,} are signed"
        )
    return reason


def _check_replacement(registry: Registry, id: str, replaced_by: str | None) -> None:
    if replaced_by is None:
        return
    if replaced_by == id:
        raise InputError(
            f"--replaced-by {id}: a row cannot replace itself",
            help="Add the new model under its own id first: provenance add FILE --id ID",
        )
    known_rows(registry, [replaced_by])


def _read(tree: Tree, registry: Registry, row: Row, progress: Progress | None) -> RowEvidence:
    from provenance.artifacts import ensemble

    around = Evidence(tree.keeping_folders(), registry, (), whole=False)
    reader = RowReader(around.root, registry, (row,), progress=progress)
    (evidence,) = reader.read([row], ensemble.Documents(), with_bundles=True)
    return evidence


def _digests(row: RowEvidence) -> dict[str, str]:
    """Return the digests of the models of a row and of their external data, by name.

    Those that the row declares count, because they are those that were released.

    Raises:
        InputError: If a file is not here, and the row does not declare its SHA-256.
    """
    found = dict(withdrawn.declared(row.entry))
    models = [*row.models, *(m for m in row.further if m.name.endswith(".onnx"))]
    files = [file for model in models for file in getattr(model, "files", (model,))]
    for file in files:
        if file.name in found:
            continue
        if file.sha256 is None:
            if row.int8 is file and row.int8.missing:
                continue
            raise InputError(
                f"row {row.label}: the SHA-256 of {file.path} is not known: the row does not "
                "declare it, and the file cannot be read",
                help="Fetch the file, so that its digest can be withdrawn.",
            )
        found[file.name] = file.sha256
    return found


def _split(
    digests: dict[str, str], others: list[Row]
) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """Return the digests to withdraw, and the files that another row still has."""
    owners: dict[str, str] = {}
    for other in others:
        for sha256 in withdrawn.declared(other).values():
            owners.setdefault(sha256, other.label)
    names = {name: other.label for other in reversed(others) for name in other.names}
    kept = {
        name: owners.get(sha256) or names[name]
        for name, sha256 in digests.items()
        if sha256 in owners or name in names
    }
    return {n: s for n, s in digests.items() if n not in kept}, tuple(kept.items())


def _write_entry(tree: Tree, gone: Withdrawals, entry: Withdrawal) -> str:
    """Add an entry to `withdrawn.json`, unless it is there, and return the diff."""
    same = [e for e in gone.entries if e.id == entry.id and e.digests == entry.digests]
    if same and entry.digests:  # an interrupted run wrote it
        return ""
    if len(gone.entries) >= limits.WITHDRAWN:
        raise InputError(f"{withdrawn.FILE}: at most {limits.WITHDRAWN:,} entries can be read")
    text = gone.with_entry(entry)
    withdrawn.parse(text.encode("utf-8"))  # never write what cannot be read
    change = Change(withdrawn.FILE, gone.text or "", text)
    if gone.text is None:
        writing.replace_file(tree, withdrawn.FILE, text.encode("utf-8"))
    else:
        writing.write_changes(tree, [change])
    return change.diff


def _to_delete(registry: Registry, row: Row) -> RowToDelete:
    file = registry.file_of(row)
    value = row.verbatim
    if file.format.algorithm is not None:
        text = file.text.splitlines()[row.position.line - 1]
    elif file.format is Format.YAML:
        import yaml

        text = str(yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True))
    else:
        text = json.dumps(value, indent=2, ensure_ascii=False)
    return RowToDelete(file.path, row.position.line, normalized(row.location), text)


def _left(tree: Tree, registry: Registry, row: RowEvidence, others: list[Row]) -> Iterator[str]:
    """Yield the existing files that only this row has: its models, sidecars and bundles."""
    used = Counter(registry.absolute(name) for other in others for name in other.names)
    bundles = (other.sigstore_bundle for other in others)
    used.update(registry.absolute(name) for name in bundles if name is not None)
    files = [*row.model_files, *row.sidecars]
    documents = [b for b in (row.bundle, row.attestation) if b is not None]
    files += [file for document in documents for file in document.files]
    for path in dict.fromkeys(file.path for file in files):
        if not used[path] and tree.exists(path):
            yield path
