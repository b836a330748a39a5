# SPDX-License-Identifier: Apache-2.0
"""Describe models as rows in this project's own shape, with every value taken from the files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import Any, Final

from provenance.artifacts import paths
from provenance.artifacts.paths import FileError, Tree
from provenance.artifacts.sidecar import sidecar_of
from provenance.errors import InputError
from provenance.evidence.collect_models import ModelReader
from provenance.evidence.found_license import TODO, FoundLicense, LicenseFinder
from provenance.evidence.progress import Progress
from provenance.evidence.rows import FileEvidence, ModelEvidence
from provenance.frozen import dataclass
from provenance.registry.registry import Registry
from provenance.registry.rows import INT8_SUFFIX, MAX_ID, MODEL_SUFFIX, Row, int8_of

KEYS: Final = (
    *("id", "onnx", "url", "sha256", "size", "external_data_sha256", "int8_sha256", "opset"),
    *("files", "license", "license_url", "sigstore_bundle"),
)
"""The keys of a new row, in their order."""

NO_URL: Final = f"{TODO}the address of the license's text"


@dataclass(frozen=True)
class DescribedModel:
    """A model file with everything that a row says about it.

    Attributes:
        name: The name relative to the registry's folder.
        model: The model as it was read.
        int8: Its int8 variant, or None if there is no such file.
        companions: Further files of the row.
        license: Its license.
    """

    name: str
    model: ModelEvidence
    int8: ModelEvidence | None
    companions: tuple[FileEvidence, ...]
    license: FoundLicense

    @property
    def model_files(self) -> Iterator[FileEvidence]:
        """The model and its int8 variant, each with its external data."""
        for model in (self.model, *([self.int8] if self.int8 is not None else [])):
            yield from model.files

    @property
    def of_bytes(self) -> dict[str, Any]:
        """The fields of the row that follow from the bytes of its files, in the order of `KEYS`.

        A field without a value is None.
        """
        facts, found = self.model.facts, self.model.digest
        assert facts is not None
        assert found is not None
        return {
            "onnx": self.name,
            "sha256": found.sha256,
            "size": found.size,
            "external_data_sha256": {file.name: file.sha256 for file in self.model.external},
            "int8_sha256": self.int8.sha256 if self.int8 is not None else None,
            "opset": facts.opset,
            "files": [listed(file) for file in self.companions],
        }

    def row(self, id: str, registry_folder: str, bundle: str) -> dict[str, Any]:
        """Return the whole row under `id`, without fields that have no value."""
        license = self.license
        fields = {
            "id": id,
            **self.of_bytes,
            "license": license.expression,
            "license_url": url_of(license, registry_folder),
            "sigstore_bundle": bundle,
        }
        return {key: value for key, value in fields.items() if value not in (None, {}, [])}


def url_of(license: FoundLicense, registry_folder: str) -> str:
    """Return the `license_url` of a row, whose paths are relative to the registry's folder."""
    if license.url is None:
        return NO_URL
    return paths.relative(registry_folder, license.url) if license.is_path else license.url


def listed(file: FileEvidence) -> dict[str, Any]:
    """Return the entry of a companion in `files`."""
    assert file.digest is not None
    return {"path": file.name, "sha256": file.digest.sha256, "size": file.digest.size}


@dataclass
class Describer:
    """Reads models and describes them.

    Attributes:
        tree: The repository.
        registry: The registry that the rows are for. Names are relative to its folder.
        progress: Receives what is being read.
    """

    tree: Tree
    registry: Registry
    progress: Progress = field(default_factory=Progress)

    @cached_property
    def _licenses(self) -> LicenseFinder:
        return LicenseFinder(self.tree)

    def describe(
        self,
        names: Sequence[str],
        companions: Mapping[str, Sequence[str]],
        license: str | None = None,
    ) -> list[DescribedModel | InputError]:
        """Return each model, or why it cannot be described.

        Args:
            names: The names of the models, relative to the registry's folder.
            companions: The names of further files, by the name of their model.
            license: The SPDX expression that the user states, or None.
        """
        variants = {name: int8_of(name) for name in names if not name.endswith(INT8_SUFFIX)}
        variants = {
            name: int8
            for name, int8 in variants.items()
            if self.tree.exists(self.registry.absolute(int8))
        }
        rows = [Row(number, {"onnx": name}, {}) for number, name in enumerate(names)]
        reader = ModelReader(self.tree, self.registry, rows, {}, self.progress)
        models = reader.read(list(dict.fromkeys((*names, *variants.values()))))
        further = dict.fromkeys(name for each in companions.values() for name in each)
        others = reader.companions(list(further))
        found: list[DescribedModel | InputError] = []
        for name in names:
            int8 = models[variants[name]] if name in variants else None
            files = [others[each] for each in companions.get(name, ())]
            try:
                for model in (models[name], *([int8] if int8 is not None else [])):
                    _refuse_model(model)
                for file in files:
                    _refuse(file)
            except InputError as e:
                found.append(e)
                continue
            path = self.registry.absolute(name)
            finder = self._licenses
            known = finder.find(path) if license is None else finder.stated(license, path)
            found.append(DescribedModel(name, models[name], int8, tuple(files), known))
        return found


def _refuse_model(model: ModelEvidence) -> None:
    """Raise InputError if a model, or a file with its external data, cannot be read."""
    _refuse(model)
    if model.not_onnx is not None:
        raise InputError(
            f"{model.path} is not an ONNX model: {model.not_onnx}",
            help="Name a .onnx file. Other files of a model are given with --with FILE.",
        )
    for file in model.external:
        _refuse(file, f"{model.path}: its external data ")


def _refuse(file: FileEvidence, of: str = "") -> None:
    if file.problem is not None:
        help = file.problem.help if isinstance(file.problem, FileError) else None
        raise InputError(f"{of}{file.problem.message}", help=help)


def ids_for(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return an id for each model name: its stem, with folders if another model has that stem.

    Args:
        names: The names of models.
        taken: Ids that cannot be used.

    Raises:
        InputError: If a name gives no valid id that is free.
    """
    names = list(names)
    used = set(taken)
    stems: dict[str, list[str]] = {}
    for name in names:
        stems.setdefault(_stem(name).rpartition("/")[2].casefold(), []).append(name)
    found: dict[str, str] = {}
    for name in names:
        whole = _stem(name)
        stem = whole.rpartition("/")[2]
        alone = len(stems[stem.casefold()]) == 1 and stem not in used
        id = stem if alone else whole
        if not is_id(id) or id in used:
            why = "belongs to another row" if id in used else "is not a valid id"
            raise InputError(
                f"{name!r:.200}: the id {id!r:.150} {why}",
                help="Choose an id: provenance add FILE --id ID",
            )
        used.add(id)
        found[name] = id
    return found


def is_id(text: str) -> bool:
    """Return whether a text can be the id of a row."""
    if len(text) > MAX_ID or not text.isprintable() or text != text.strip():
        return False
    return any(map(str.isalnum, text))


def _stem(name: str) -> str:
    return name.removesuffix(MODEL_SUFFIX)


def is_variant_of_another(name: str, names: Iterable[str]) -> bool:
    """Return whether a file is the int8 variant of a model among `names`."""
    base = name.removesuffix(INT8_SUFFIX) + MODEL_SUFFIX
    return name.endswith(INT8_SUFFIX) and base in names


def is_sidecar_of(name: str, models: Iterable[str]) -> bool:
    """Return whether a file is the sidecar of one of these models, which its row has anyway."""
    return name in {sidecar_of(model) for model in models}
