# SPDX-License-Identifier: Apache-2.0
"""Write a row for an index of another shape, under the names of its mapping.

The index itself is not edited: a mapping says where a value is read, not how a whole row is
written. The proposal is read back through the mapping, and what does not come out right is left to
the author.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from provenance.artifacts.documents.strict_json import START, same
from provenance.artifacts.documents.toml_text import quoted
from provenance.frozen import dataclass
from provenance.registry.index_file import IndexFile
from provenance.registry.json_path import Names, Node, Path, Wildcard
from provenance.registry.mapped_rows import MappedRow
from provenance.registry.mapping import FileMapping, Format
from provenance.registry.references import Below, Key, MappingError, Member, Reference, Template
from provenance.registry.rows import Row

_FIELDS: Final = (
    *("id", "onnx", "sha256", "size", "opset", "license", "license_url"),
    *("external_data_sha256", "int8_sha256", "sigstore_bundle"),
)
"""The fields that are compared when the proposal is read back."""


@dataclass(frozen=True, slots=True)
class ProposedRow:
    """A row to be written by hand.

    Attributes:
        path: The index file.
        where: The path of the rows in it; None for a file of checksums, or if each row is a file.
        text: The row in the format of the file.
        left: The fields that the author has to fill in.
        is_file: Whether each row is a file of its own.
    """

    path: str
    where: str | None
    text: str
    left: tuple[str, ...]
    is_file: bool = False


def proposed_row(file: IndexFile, rows: Sequence[Row], fields: Mapping[str, Any]) -> ProposedRow:
    """Return the row with the given `fields`, under the names of the mapping of `file`.

    Args:
        file: The index file.
        rows: Its rows, as examples of its shape.
        fields: The fields in this project's own shape. `files` are further files. A digest of
            another algorithm is found under its name.
    """
    mapping = file.mapping
    if file.format.algorithm is not None:
        digest = fields.get(file.format.algorithm, "")
        return ProposedRow(file.path, None, f"{digest}  {fields['onnx']}\n", ())
    node: dict[str, Any] = {}
    key = str(fields["id"]) if _has_key(file) else None
    if not mapping.is_mapped:
        defaults = mapping.defaults
        node = {name: value for name, value in fields.items() if name not in defaults}
    for name, reference in mapping.fields.items():
        value = fields.get(name)
        if name == "digest" and "sha256" in fields:
            value = f"sha256:{fields['sha256']}"
        if value not in (None, {}, []):
            _write(node, reference, _spelled(mapping.values.get(name, {}), value))
    model = {"path": fields["onnx"], **{k: v for k, v in fields.items() if k in _OF_MODEL}}
    files = [] if "onnx" in mapping.fields else [model]
    files += fields.get("files", []) if mapping.is_mapped else []
    for each in mapping.files:
        taken = files if _is_list(each.each) else files[:1]
        files = files[len(taken) :]
        for entry in taken:
            _write_file(node, each, entry, rows)
    left = [*_differences(file, key, node, fields), *(f"the file {f['path']}" for f in files)]
    path = mapping.rows
    where = path.text if path is not None and path.steps else None
    return ProposedRow(
        file.path,
        where,
        _text(file, key, node),
        tuple(left),
        is_file=path is not None and not path.steps,
    )


_OF_MODEL: Final = ("sha256", "sha384", "sha512", "blake2b", "sha1", "md5", "size")


def _has_key(file: IndexFile) -> bool:
    """Whether rows are members of an object, and have their id as their key."""
    return file.mapping.fields.get("id") == Key(0)


def _is_list(each: Path) -> bool:
    return any(not isinstance(step, Names) for step in each.steps)


def _spelled(meanings: Mapping[str, str], value: Any) -> Any:
    """Return how the index spells a value, by the `values` of the mapping."""
    return next((word for word, meaning in meanings.items() if meaning == value), value)


def _write(node: dict[str, Any], reference: Reference, value: Any) -> None:
    """Write a value where a reference reads it. A key cannot be written."""
    if isinstance(reference, Template) and isinstance(value, str):
        found = reference.reversed(value)
        if found is not None:
            _write(node, *found)
    elif isinstance(reference, Member):
        node[reference.name] = value
    elif isinstance(reference, Below) and all(isinstance(s, Names) for s in reference.path.steps):
        steps = [step.names[0] for step in reference.path.steps if isinstance(step, Names)]
        below: Any = node
        for step in steps[:-1]:
            below = below.setdefault(step, {}) if isinstance(below, dict) else {}
        if steps and isinstance(below, dict):
            below[steps[-1]] = value


def _write_file(
    node: dict[str, Any], mapping: FileMapping, entry: Mapping[str, Any], rows: Sequence[Row]
) -> None:
    """Write a further file where a `[[registry.files]]` table reads it."""
    steps = [step.names[0] for step in mapping.each.steps if isinstance(step, Names)]
    target: dict[str, Any] = {}
    if mapping.path is not None:
        _write(target, mapping.path, entry["path"])
    for name, reference in mapping.declared.items():
        value = f"sha256:{entry['sha256']}" if name == "digest" else entry.get(name)
        if value is not None:
            _write(target, reference, value)
    if not _is_list(mapping.each):
        below = node
        for step in steps:
            below = below.setdefault(step, {})
        below.update(target)
        return
    if not steps or not isinstance(mapping.each.steps[-1], Wildcard):
        return
    below = node
    for step in steps[:-1]:
        below = below.setdefault(step, {})
    if isinstance(mapping.path, Key) or _is_object(rows, steps):
        key = entry["path"] if isinstance(mapping.path, Key) else entry["path"].rpartition("/")[2]
        below.setdefault(steps[-1], {})[key] = target
    else:
        below.setdefault(steps[-1], []).append(target)


def _is_object(rows: Sequence[Row], steps: Sequence[str]) -> bool:
    """Whether the first row that has the container of files has an object there."""
    for row in rows:
        value: Any = row.verbatim
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None:
            return isinstance(value, dict)
    return False


def _differences(
    file: IndexFile, key: str | None, node: dict[str, Any], fields: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the fields that the mapping does not read from the proposal as they are."""
    location = ("rows", key) if key is not None else ("rows", 0)
    try:
        row = MappedRow(file.mapping, Node(location, node), file.path).row(0, START)
    except MappingError:
        yield "id"
        return
    listed = {f.name: f for f in row.files}
    own = listed.get(fields["onnx"])
    for name in _FIELDS:
        value, found = fields.get(name), row.fields.get(name)
        if name == "onnx" and own is not None:
            continue
        if name == "sha256" and own is not None:
            found = own.digest("sha256")
        if name == "size" and own is not None:
            found = own.size
        is_read = name in file.mapping.names or not file.mapping.is_mapped or name in ("id", "onnx")
        if value is not None and is_read and not same(found, value):
            yield name
    for name in file.mapping.fields:
        if name not in fields and name not in _FIELDS and row.fields.get(name) is None:
            if name == "digest" or name in {d.algorithm for d in row.digests}:
                continue
            yield name


def _text(file: IndexFile, key: str | None, node: Mapping[str, Any]) -> str:
    """Return a row in the format of its file."""
    if file.format is Format.YAML:
        import yaml

        rows = file.mapping.rows
        is_whole = rows is not None and not rows.steps
        value: Any = dict(node) if is_whole else [dict(node)] if key is None else {key: dict(node)}
        return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
    if file.format is Format.TOML:
        path = file.mapping.rows
        steps = [s.names[0] for s in path.steps if isinstance(s, Names)] if path is not None else []
        name = ".".join(map(_toml_key, (*steps, *([key] if key is not None else []))))
        head = f"[{name}]" if key is not None else f"[[{name}]]"
        lines = [f"{_toml_key(k)} = {_toml(v)}" for k, v in node.items()]
        return "\n".join((head, *lines)) + "\n"
    text = json.dumps(node, indent=2, ensure_ascii=file.text.isascii())
    return f"{text}\n" if key is None else f"{json.dumps(key)}: {text}\n"


def _toml_key(key: str) -> str:
    plain = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if plain else quoted(key)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value) if isinstance(value, int) else quoted(str(value))
