# SPDX-License-Identifier: Apache-2.0
"""`add`: add a row for a model to the registry, or bring the row of a model up to date.

Every value is taken from the files. What only the author can know is kept if the row has it, and is
otherwise written as a text that begins with TODO. An index of another shape is not edited: the row
to write is shown.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from provenance.artifacts import license_names, paths, spdx, writing
from provenance.artifacts.baseline import Checkout
from provenance.artifacts.documents.json_edit import Edit
from provenance.artifacts.documents.strict_json import same
from provenance.artifacts.paths import Tree
from provenance.artifacts.writing import Change
from provenance.attestations import bundle as bundles
from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence.bundle_names import BundleNames
from provenance.evidence.collect_schema import registry_schema
from provenance.evidence.found_license import TODO, FoundLicense
from provenance.evidence.progress import Progress
from provenance.frozen import dataclass
from provenance.operations.adoption.model_rows import (
    KEYS,
    DescribedModel,
    Describer,
    ids_for,
    is_sidecar_of,
    is_variant_of_another,
    listed,
    url_of,
)
from provenance.operations.load_evidence import read_registry
from provenance.registry import reading, withdrawn
from provenance.registry.index_file import IndexFile
from provenance.registry.proposed_row import ProposedRow, proposed_row
from provenance.registry.registry import Registry
from provenance.registry.row_edits import added_row, changed_row
from provenance.registry.rows import INT8_MODES, MODEL_SUFFIX, Row, is_blank

_OPTIONAL: Final = ("size", "opset")
"""Fields that are left out if the schema of the registry does not allow them."""

_KEPT: Final = ("license", "license_url", "sigstore_bundle")
"""Fields of an existing row that stay as they are, unless they are empty or a TODO."""


@dataclass(frozen=True, slots=True)
class AddedRow:
    """The row of one model.

    Attributes:
        id: Its id.
        path: The model, relative to the root.
        is_new: Whether the registry had no row for it.
        changed: The fields that were added, changed or removed.
        license: The license in the row.
        source: Where the license was found, or None if the row had it already.
        todo: The fields that the author has to write.
        left_out: The fields that the schema of the registry does not allow.
    """

    id: str
    path: str
    is_new: bool
    changed: tuple[str, ...]
    license: str
    source: str | None
    todo: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Addition:
    """The rows that `add` wrote, or proposes for an index of another shape.

    Attributes:
        registry: The path of the registry.
        rows: The rows.
        diff: The edit of the registry.
        proposals: For an index of another shape, the rows to write by hand.
    """

    registry: str
    rows: tuple[AddedRow, ...]
    diff: str
    proposals: tuple[ProposedRow, ...] = ()

    @property
    def written(self) -> bool:
        """Whether the registry was changed."""
        return bool(self.diff)


def add(
    config: Config,
    files: Sequence[Path],
    *,
    id: str | None = None,
    license: str | None = None,
    companions: Sequence[Path] = (),
    progress: Progress | None = None,
) -> Addition:
    """Add a row for each model in `files`, or bring its row up to date.

    Args:
        config: The configuration.
        files: The `.onnx` files. The int8 variant of a model belongs to the row of that model.
        id: The id of the row, if there is one file. By default the stem of its name.
        license: The SPDX expression of the license. By default it is found in the front matter of
            README.md, in the model's metadata, or in the nearest license file.
        companions: Further files of the row, such as a tokenizer. They are added to `files`.
        progress: Receives what is being read.

    Raises:
        InputError: If a file cannot be read, does not belong below the registry's folder, or was
            withdrawn, or the registry cannot be read or written.
    """
    license = None if license is None else _checked_license(license)
    tree, registry = read_registry(config)
    names = [_name(tree, registry, path, suffix=MODEL_SUFFIX) for path in files]
    models = {row.onnx for row in registry.rows}
    for number, name in enumerate(names):
        model = name.removesuffix(".int8.onnx") + MODEL_SUFFIX
        beside = tree.exists(registry.absolute(model)) and name not in models
        if is_variant_of_another(name, {model}) and beside:
            names[number] = model
    names = list(dict.fromkeys(names))
    if id is not None and len(names) > 1:
        raise InputError(
            f"--id {id}: {len(names)} models are given, and an id belongs to one row",
            help="Add them one by one, or without --id.",
        )
    further = _further(tree, registry, names, companions)
    adder = _Adder(tree, registry)
    adder.check_shared(names, further)
    describer = Describer(tree, registry, progress or Progress())
    rows = {name: adder.row_of(name, id) for name in names}
    listed = {name: adder.companions(row, further) for name, row in rows.items()}
    described = describer.describe(names, listed, license)
    for found in described:
        if isinstance(found, InputError):
            raise found
    found_models = [found for found in described if isinstance(found, DescribedModel)]
    _refuse_withdrawn(tree, found_models)
    if registry.stock is None:
        return adder.proposals(found_models, rows, id)
    return adder.written(found_models, rows, id, license is not None)


def _refuse_withdrawn(tree: Tree, models: Sequence[DescribedModel]) -> None:
    """Raise InputError if a model, or a file of it, was withdrawn."""
    known = withdrawn.read(Checkout(tree)).by_digest
    for described in models:
        for file in described.model_files:
            entry = known.get(file.sha256 or "")
            if entry is not None:
                raise InputError(
                    f"{file.path} has the digest of {entry.id!r}, which {entry.why}",
                    help="A withdrawn model does not come back. Export it again, with other bytes.",
                )


def _checked_license(license: str) -> str:
    """Return an SPDX expression that the user gave, with an id in its usual case.

    Raises:
        InputError: If it is not an expression of listed or custom ids.
    """
    found = license_names.spdx_id(license)
    if found is not None:
        return found
    shown, help = repr(license[:80]), "Use an id of https://spdx.org/licenses/."
    try:
        unknown = spdx.unknown_ids(license)
    except spdx.NotAnExpressionError:
        raise InputError(
            f"--license {shown}: not an SPDX license expression",
            help="Join ids with AND, OR and WITH: --license 'MIT OR Apache-2.0'",
        ) from None
    if not unknown and license.startswith(spdx.OWN):
        return license
    if unknown:
        import difflib

        name = unknown[0].name
        shown = repr(name[:80])
        near = difflib.get_close_matches(name, sorted(spdx.known_ids()), 1, 0.75)
        own = spdx.own_id(name[:80], spdx.Kind.LICENSE)
        help = f"Did you mean {near[0]}? " if near else ""
        help += f"For a license of your own: --license {own}" if own else "Use an SPDX id."
    raise InputError(f"--license: {shown} is not on the SPDX license list", help=help)


def _name(tree: Tree, registry: Registry, path: Path, *, suffix: str = "") -> str:
    """Return the name of a file that the user gave, relative to the registry's folder.

    Raises:
        InputError: If no row can name it.
    """
    folder = Path(os.path.realpath(path.parent))
    relative = os.path.relpath(folder / path.name, tree.root).replace(os.sep, "/")
    if relative.startswith("../"):
        raise InputError(
            f"{path}: not below {tree.root}, the folder of the configuration",
            help="Move the file into the repository. A row can only name files in it.",
        )
    if not relative.endswith(suffix):
        raise InputError(
            f"{path}: expected the name of a {suffix} file",
            help=f"Other files of a model are given with it: provenance add MODEL.onnx --with "
            f"{path.name}",
        )
    if (folder / path.name).is_dir():
        raise InputError(f"{path}: a folder, expected a file", help="Name the files in it.")
    name = registry.name_of(relative)
    if name.startswith("../") or paths.unsafe_reason(name) is not None:
        raise InputError(
            f"{path}: not below {registry.folder}, the folder of the registry {registry.path}",
            help="Move the file there. Rows name files relative to that folder.",
        )
    return name


def _further(
    tree: Tree, registry: Registry, names: Sequence[str], companions: Sequence[Path]
) -> list[str]:
    """Return the names of companions.

    Raises:
        InputError: If one of them is part of the row anyway, or cannot be.
    """
    found = [_name(tree, registry, path) for path in companions]
    for path, name in zip(companions, found, strict=True):
        if name in names or is_variant_of_another(name, names):
            raise InputError(f"--with {path}: it is the model itself, not a further file")
        if registry.stock is not None and is_sidecar_of(name, names):
            raise InputError(
                f"--with {path}: it is the sidecar of the model, which belongs to the row anyway",
                help="Leave the option out.",
            )
    return list(dict.fromkeys(found))


@dataclass
class _Adder:
    """Adds rows to a registry."""

    tree: Tree
    registry: Registry

    def check_shared(self, names: Sequence[str], further: Sequence[str]) -> None:
        """Refuse companions of several rows unless the registry allows shared files.

        Raises:
            InputError: If a companion would belong to two rows.
        """
        if any(file.mapping.allows_shared for file in self.registry.files) or not further:
            return
        shared: tuple[str, str] | None = None
        if len(names) > 1:
            shared = (further[0], "each of these models")
        for row in self.registry.rows:
            if row.onnx not in names:
                twice = next((name for name in row.names if name in further), None)
                shared = shared or ((twice, f"row {row.label!r}") if twice is not None else None)
        if shared is not None:
            raise InputError(
                f"--with {shared[0]}: it would also belong to {shared[1]}",
                help="If rows share files, say so in the configuration: [registry] path = "
                f'"{self.registry.path}" and shared = "allow".',
            )

    def row_of(self, name: str, id: str | None) -> Row | None:
        """Return the present row of a model, or None.

        Raises:
            InputError: If several rows have the model, or another row than that of `id`.
        """
        rows = [row for row in self.registry.rows if row.onnx == name]
        rows += [
            row
            for row in self.registry.rows
            if row not in rows and any(f.name == name for f in row.files)
        ][: 0 if rows else None]
        named = [row for row in self.registry.rows if id is not None and row.label == id]
        if len(rows) > 1 or len(named) > 1:
            labels = ", ".join(repr(row.label) for row in (rows if len(rows) > 1 else named)[:3])
            raise InputError(
                f"{self.registry.path}: several rows have {name!r} or this id: {labels}",
                help="Edit these rows by hand.",
            )
        if id is not None and rows and rows[0].label != id:
            raise InputError(
                f"--id {id}: {name!r} is the model of the row {rows[0].label!r}",
                help=f"Update that row: --id {rows[0].label}, or without --id.",
            )
        return next(iter(named or rows), None)

    def companions(self, row: Row | None, further: Sequence[str]) -> list[str]:
        """Return the companions of a row: those that it has and that exist, and new ones."""
        present = [file.name for file in (row.files if row is not None else ()) if file.name]
        here = [
            name
            for name in present
            if row is not None and name != row.onnx and self.tree.exists(self._path(name))
        ]
        return list(dict.fromkeys((*here, *further)))

    def _path(self, name: str) -> str:
        return self.registry.absolute(name)

    def written(
        self,
        models: Sequence[DescribedModel],
        rows: Mapping[str, Row | None],
        id: str | None,
        is_stated: bool,
    ) -> Addition:
        """Write the rows of an index in this project's own shape."""
        registry = self.registry
        file = registry.files[0]
        if registry.repeated_keys:
            raise InputError(
                f"{file.path}: the key `{registry.repeated_keys[0][:60]}` is repeated in an object",
                help="Keep one of the two. Until then, no row is written.",
            )
        refused = self._refused()
        ids = self._ids(models, rows, id)
        text, added = file.text, []
        for model in models:
            row = rows[model.name]
            current = self._reread(file, text)
            if row is None:
                fields = model.row(
                    ids[model.name], registry.folder, self._bundle(ids[model.name], model.name)
                )
                left_out = tuple(f for f in _OPTIONAL if f in refused and f in fields)
                fields = {k: v for k, v in fields.items() if k not in left_out}
                edits: list[Edit] = [added_row(current.files[0], current.rows, fields)]
                text = current.files[0].edited(edits)
                added.append(_added(self._path(model.name), fields, model, left_out))
                continue
            now = next(r for r in current.rows if r.index == row.index)
            values = self._values(now, model, is_stated, refused)
            edits = changed_row(current.files[0], now, values, _order(now))
            text = current.files[0].edited(edits)
            added.append(_updated(self._path(model.name), now, values, model))
        change = Change(file.path, file.text, text)
        writing.write_changes(self.tree, [change])
        return Addition(registry.path, tuple(added), change.diff)

    def _ids(
        self, models: Sequence[DescribedModel], rows: Mapping[str, Row | None], id: str | None
    ) -> Mapping[str, str]:
        """Return the id of each model without a row, by the model's name."""
        new = [model.name for model in models if rows[model.name] is None]
        return {new[0]: id} if id is not None and new else ids_for(new, self.registry.labels)

    def _reread(self, file: IndexFile, text: str) -> Registry:
        if text == file.text:
            return self.registry
        return reading.parse_bytes(text.encode("utf-8"), file.path, file.mapping)

    def _refused(self) -> frozenset[str]:
        """Return the keys that the registry's own schema does not allow in a row."""
        schema = registry_schema(self.tree, self.registry, KEYS)
        return frozenset(schema.undeclared) if schema is not None else frozenset()

    def _bundle(self, id: str, name: str) -> str:
        """Return the bundle of a new row: by the pattern of the other rows, or by its id."""
        names = BundleNames.of(self.registry)
        if names is not None:
            return f"{names.prefix}{name}{bundles.SUFFIX}"
        return f"bundles/{id}{bundles.SUFFIX}"

    def _values(
        self, row: Row, model: DescribedModel, is_stated: bool, refused: frozenset[str]
    ) -> dict[str, Any]:
        """Return the values that an existing row gets; None removes a field."""
        values = {k: v if v not in ({}, []) else None for k, v in model.of_bytes.items()}
        for name in _OPTIONAL:
            if name not in row.verbatim and (name in refused or row.places is not None):
                values.pop(name)
        if values["int8_sha256"] is None and row.text("quant_mode") in INT8_MODES:
            values.pop("int8_sha256")  # the variant is required and missing: `check` reports it
        if model.name == row.onnx:
            values.pop("onnx")
        values["files"] = _merged(row, model) or None
        license = model.license
        if is_stated or _is_open(row, "license"):
            values["license"] = license.expression
        keeps_url = not is_stated or row.text("license") == license.expression
        if _is_open(row, "license_url") or not keeps_url:
            values["license_url"] = url_of(_for_row(row, license), self.registry.folder)
        if _is_open(row, "sigstore_bundle"):
            values["sigstore_bundle"] = self._bundle(row.label, model.name)
        return values

    def proposals(
        self,
        models: Sequence[DescribedModel],
        rows: Mapping[str, Row | None],
        id: str | None,
    ) -> Addition:
        """Return the rows to write by hand into an index of another shape."""
        ids = self._ids(models, rows, id)
        found: list[AddedRow] = []
        proposals: list[ProposedRow] = []
        for model in models:
            row = rows[model.name]
            file = self._file_for(self._path(model.name), row)
            label = row.label if row is not None else ids[model.name]
            fields = model.row(label, self.registry.folder, self._bundle(label, model.name))
            fields |= _other_digests(self.tree, self._path(model.name), file)
            name = paths.relative(file.base, self._path(model.name))
            proposal = proposed_row(file, self.registry.rows, {**fields, "onnx": name})
            proposals.append(proposal)
            found.append(_added(self._path(model.name), fields, model, (), is_new=row is None))
        return Addition(self.registry.path, tuple(found), "", tuple(proposals))

    def _file_for(self, path: str, row: Row | None) -> IndexFile:
        """Return the index file of a row; for a new one, that in the nearest folder above it."""
        if row is not None:
            return self.registry.file_of(row)
        above = [f for f in self.registry.files if f.base == "." or path.startswith(f"{f.base}/")]
        return max(above or self.registry.files, key=lambda f: len(f.base) if f.base != "." else 0)


def _other_digests(tree: Tree, path: str, file: IndexFile) -> dict[str, str]:
    """Return the digests of further algorithms that a mapping reads, for the file at `path`."""
    from provenance.artifacts import digest
    from provenance.registry.stock_rows import SIZES

    mapping = file.mapping
    declared = {*mapping.fields, *(key for each in mapping.files for key in each.declared)}
    declared |= {file.format.algorithm} if file.format.algorithm is not None else set()
    algorithms = sorted((declared & SIZES.keys()) - {"sha256"})
    if not algorithms:
        return {}
    with tree.open(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        return dict(digest.of_stream(stream, size, algorithms).others)


def _is_open(row: Row, field: str) -> bool:
    """Whether the author still has to write a field."""
    text = row.text(field)
    return is_blank(row.fields.get(field, "")) or (text is not None and text.startswith(TODO))


def _for_row(row: Row, license: FoundLicense) -> FoundLicense:
    """Return the license of a row that keeps its own, with the address of its text."""
    own = row.text("license")
    if own is None or _is_open(row, "license") or own == license.expression:
        return license
    if license.source == "--license":
        return license
    return FoundLicense(own, "the row", license_names.license_url(own))


def _merged(row: Row, model: DescribedModel) -> list[Any]:
    """Return `files` of a row with new digests, and with new companions at the end."""
    new = {file.name: listed(file) for file in model.companions}
    present = row.verbatim.get("files")
    found: list[Any] = []
    for entry in present if isinstance(present, list) else []:
        name = entry.get("path") if isinstance(entry, dict) else None
        found.append({**entry, **new.pop(name)} if isinstance(name, str) and name in new else entry)
    return [*found, *new.values()]


def _order(row: Row) -> list[str]:
    """Return the order of keys in a row: its own, with new ones behind their predecessors."""
    order = list(row.verbatim)
    for number, key in enumerate(KEYS):
        if key not in order:
            before = next((k for k in reversed(KEYS[:number]) if k in order), None)
            order.insert(0 if before is None else order.index(before) + 1, key)
    return order


def _added(
    path: str,
    fields: Mapping[str, Any],
    model: DescribedModel,
    left_out: tuple[str, ...],
    *,
    is_new: bool = True,
) -> AddedRow:
    todo = tuple(k for k, v in fields.items() if isinstance(v, str) and v.startswith(TODO))
    license = model.license
    return AddedRow(
        str(fields["id"]),
        path,
        is_new,
        tuple(fields),
        license.expression,
        license.source,
        todo,
        left_out,
    )


def _updated(path: str, row: Row, values: Mapping[str, Any], model: DescribedModel) -> AddedRow:
    changed = tuple(_changed(row, values))
    after = {**row.verbatim, **values}
    todo = tuple(k for k, v in after.items() if isinstance(v, str) and v.startswith(TODO))
    source = model.license.source if "license" in values else None
    return AddedRow(row.label, path, False, changed, str(after.get("license")), source, todo)


def _changed(row: Row, values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if value is None:
            if key in row.verbatim:
                yield key
        elif key not in row.verbatim or not same(row.verbatim[key], value):
            yield key
