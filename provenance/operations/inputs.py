# SPDX-License-Identifier: Apache-2.0
"""Find the files that a run reads or may write, so that its result does not overwrite one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from provenance.artifacts import ensemble, limits
from provenance.artifacts.baseline import BaselineName, Checkout, open_source
from provenance.artifacts.digest import of_bytes
from provenance.artifacts.documents.strict_json import JsonError, decode, parse_object_text
from provenance.artifacts.documents.toml_tables import Table
from provenance.artifacts.onnx_model import NotOnnxError, read_onnx
from provenance.artifacts.paths import FileError, Tree, join, read_named_file, unsafe_reason
from provenance.artifacts.sidecar import is_sidecar, sidecar_of
from provenance.attestations import bundle as bundles
from provenance.config import FILE, PYPROJECT, Config, parse_toml, read_text
from provenance.errors import InputError
from provenance.evidence.baseline import former_config
from provenance.evidence.collect_licenses import license_files
from provenance.evidence.expected_statements import summary_path
from provenance.operations.load_evidence import read_registry
from provenance.registry import reading, withdrawn
from provenance.registry.mapping import stock
from provenance.registry.registry import Registry
from provenance.registry.rows import Row
from provenance.signing import trust_table
from provenance.signing.trust_table import TrustTable

_KEY_PAIR: Final = (".key", ".pub")
_COUNTERSIGNATURE: Final = re.compile(rf"\.\d+{re.escape(bundles.SUFFIX)}$", re.ASCII)


def given_is_read(given: Path, target: Path) -> bool:
    """Whether `target` is the file that the user named, or a file that is read along with it.

    A model or registry is read with the files that belong to its rows, a trust file with its keys,
    the name of a key pair with both keys, and a folder with the in-toto links in it.
    """
    place = _Place(target)
    if place.any_of((given, *(Path(f"{given}{s}") for s in _KEY_PAIR))):
        return True
    if given.is_dir():
        return place.path.suffix == ".link" and str(place.path.parent) == os.path.realpath(given)
    if given.suffix == ".toml" and place.any_of(_trusted(given)):
        return True
    if given.suffix not in (".onnx", ".json"):
        return False
    try:
        tree = Tree.at(given.parent, confined=False)
        registry = _named_registry(tree, given)
    except InputError:
        return False  # another document, which names no file to read
    found = place.any_of(tree.root / p for p in _paths(registry))
    return found or (place.is_file and place.any_of(_external(tree, registry)))


def _named_registry(tree: Tree, given: Path) -> Registry:
    """Return the registry that the user named, or one with only the model that the user named.

    Raises:
        InputError: If the registry cannot be read.
    """
    if given.suffix == ".json":
        return reading.read(Checkout(tree), [stock(given.name)])
    row = {"onnx": given.name, "sigstore_bundle": f"{given.name}{bundles.SUFFIX}"}
    return reading.nowhere("registry.json", (Row(0, row, row),))


def is_read(config: Config, target: Path) -> bool:
    """Whether a run over the registry of `config` reads or writes the file at `target`.

    Raises:
        InputError: If the registry cannot be read, or a release was cut short.
    """
    place = _Place(target)
    keys = (*config.layout.keys, *(k for step in config.layout.steps for k in step.keys))
    named = (*_files_of(config.trust_table), *keys)
    own = config.key_folder / config.path.rpartition("/")[2]
    if place.any_of((own, *(config.key_folder / n for n in named))):
        return True
    tree, registry = read_registry(config)
    paths = [*_paths(registry), *(file.path for file in registry.files), withdrawn.FILE]
    if place.any_of(tree.root / p for p in paths):
        return True
    if not place.is_file:
        return False
    licenses = license_files(tree, registry, registry.rows, config.repository)
    found = place.any_of(tree.root / license.path for license in licenses.values())
    return found or _is_document(place, tree, registry) or place.any_of(_external(tree, registry))


def baseline_is_read(config: Config, baseline: Path, target: Path) -> bool:
    """Whether the file at `target` is the baseline, or a file that is read in its folder."""
    if not baseline.is_dir():
        return _Place(target).any_of((baseline,))
    name = BaselineName(str(baseline), Path())
    try:
        with open_source(name, config.root) as opened:
            former, _ = former_config(name, config, opened)
        if former is None:
            root = Path(os.path.realpath(baseline))
            return is_read(replace(config, root=root, key_folder=root), target)
        root, folder = (Path(os.path.realpath(baseline / p)) for p in (former.place, former.folder))
        return is_read(replace(former.config, root=root, key_folder=folder), target)
    except InputError:
        return False  # if the baseline cannot be read, nothing else in it is read


def is_looked_at(folder: Path, target: Path) -> bool:
    """Whether `init`, which reads files anywhere below `folder`, reads or writes `target`."""
    place = _Place(target)
    below = place.path.is_relative_to(os.path.realpath(folder))
    return place.any_of((folder / FILE, folder / PYPROJECT)) or (place.is_file and below)


def _files_of(trust: TrustTable) -> tuple[str, ...]:
    """Return the files that a trust names."""
    return (*(k.path for k in trust.keys), *([trust.trusted_root] if trust.trusted_root else ()))


def _trusted(given: Path) -> Iterator[Path]:
    """Yield the files that a trust file names. If it cannot be read, that is reported later."""
    try:
        values = parse_toml(read_text(given), str(given))
        trust = trust_table.parse(Table(values, None, str(given)))
    except InputError:
        return
    yield from (Path(os.path.realpath(given)).parent / name for name in _files_of(trust))


class _Place:
    """The path that a result is written to, compared with the paths of other files."""

    def __init__(self, target: Path) -> None:
        self.path = Path(os.path.realpath(target))
        # A countersignature is read with the bundle beside it.
        self._names = {self.path.name, _COUNTERSIGNATURE.sub(bundles.SUFFIX, self.path.name)}
        self.is_file = self.path.is_file()
        self._identity = _identity(self.path) if self.is_file else None
        self._folder = cache(os.path.realpath)

    def any_of(self, paths: Iterable[Path]) -> bool:
        """Whether one of `paths` is the same path, or the same file under another name."""
        return any(map(self._is, paths))

    def _is(self, path: Path) -> bool:
        if self._identity is not None and _identity(path) == self._identity:
            return True
        path = Path(os.path.normpath(path))
        return path.name in self._names and self._folder(path.parent) == str(self.path.parent)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL in a name that a registry holds
        return None
    return found.st_dev, found.st_ino


def _paths(registry: Registry) -> Iterator[str]:
    """Yield the files that rows name, and those beside them by name, relative to the root."""
    for row in registry.rows:
        names: list[str] = [*row.external_data_sha256]
        if row.onnx is not None:
            names += _beside_the_model(row.onnx)
        if row.sigstore_bundle is not None:
            names.append(row.sigstore_bundle)
        paths = [registry.absolute(name) for name in names if unsafe_reason(name) is None]
        if row.onnx is not None and row.sigstore_bundle is not None:
            onnx, bundle = row.onnx, row.sigstore_bundle
            paths.append(bundles.seed_attestation_path(registry.folder, onnx, bundle))
        yield from (p for p in paths if unsafe_reason(p) is None)  # the others are never opened
    yield summary_path(registry)


def _beside_the_model(onnx: str) -> tuple[str, ...]:
    int8 = f"{onnx.removesuffix('.onnx')}.int8.onnx"
    return (onnx, sidecar_of(onnx), int8, sidecar_of(int8))


def _external(tree: Tree, registry: Registry) -> Iterator[Path]:
    """Yield the external data of the models. Only the models themselves name it."""
    for row in registry.rows:
        for name in _beside_the_model(row.onnx)[::2] if row.onnx is not None else ():
            try:
                with tree.open(registry.absolute(name)) as stream:
                    _, facts = read_onnx(stream, os.fstat(stream.fileno()).st_size)
            except (FileError, NotOnnxError, OSError):
                continue  # it names no other file; the rules report what is wrong with it
            folder = registry.absolute(name).rpartition("/")[0]
            for reference in facts.external:
                yield tree.root / join(folder, reference.location)


def _is_document(place: _Place, tree: Tree, registry: Registry) -> bool:
    """Whether a place is a manifest, a verdict or a sidecar beside the registry."""
    if not place.any_of((tree.root / registry.folder).glob("*.json")):
        return False
    try:
        data = read_named_file(place.path, limits.DOCUMENT)
        text = decode(data)
        value = parse_object_text(text)
    except (FileError, JsonError):
        return False
    document = ensemble.document(place.path.name, of_bytes(data), text, value)
    return document is not None or is_sidecar(value)
