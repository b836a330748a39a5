# SPDX-License-Identifier: Apache-2.0
"""Write the first registry of a repository that has ONNX models and no index of them.

Each model becomes a row with its digest, so that a changed model is visible in a diff of the
registry. Files that a runtime needs beside the models, as on the Hugging Face hub, belong to each
row.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from provenance.artifacts import limits, paths, writing
from provenance.artifacts.documents.toml_text import quoted
from provenance.artifacts.git_command import Git
from provenance.artifacts.paths import Tree
from provenance.attestations import bundle as bundles
from provenance.errors import InputError, UnavailableError
from provenance.evidence.found_license import TODO
from provenance.evidence.progress import Progress
from provenance.frozen import dataclass
from provenance.operations.adoption.disk import Listing
from provenance.operations.adoption.model_rows import (
    DescribedModel,
    Describer,
    ids_for,
    is_id,
    is_variant_of_another,
)
from provenance.registry import reading
from provenance.registry.rows import MODEL_SUFFIX
from provenance.schemas import MODELS_SCHEMA

FILE_NAME: Final = "models.json"
"""The name of the registry."""

_TESTS: Final = frozenset(("test", "tests", "testdata", "test_data", "testing"))
"""Folders whose models are data of tests."""

_HUB: Final = ("config.json", "tokenizer.json", "tokenizer_config.json")
"""Files that mark a folder as a model in the layout of the Hugging Face hub."""

_HUB_FOLDER: Final = "onnx"
"""The folder of ONNX files in that layout."""

_COMPANION_SUFFIXES: Final = (
    *(".json", ".txt", ".model", ".vocab", ".bpe", ".tiktoken", ".spm", ".jinja", ".merges"),
)
_NO_COMPANIONS: Final = (
    *("package.json", "package-lock.json", "requirements.txt", "dev-requirements.txt"),
    *("license.txt", "notice.txt", "copying.txt", "readme.txt", "robots.txt", "cmakelists.txt"),
)
_MOST_COMPANIONS: Final = 100
"""The maximum number of companions of one folder."""


@dataclass(frozen=True, slots=True)
class FirstRow:
    """A row of the new registry.

    Attributes:
        id: Its id.
        path: The model, relative to the root.
        companions: Its further files, relative to the registry's folder.
        license: The SPDX expression, or a text that begins with TODO.
        source: Where the license was found.
    """

    id: str
    path: str
    companions: tuple[str, ...]
    license: str
    source: str

    @property
    def is_open(self) -> bool:
        """Whether the author has to write the license."""
        return self.license.startswith(TODO)


@dataclass(frozen=True, slots=True)
class FirstRegistry:
    """A registry that was written for models without an index.

    Attributes:
        path: The registry, relative to the root.
        rows: Its rows.
        skipped: The models that are not in it, each with the reason.
        digests: The SHA-256 of each file of the rows, by its path relative to the root.
        shares: Whether rows share files.
    """

    path: str
    rows: tuple[FirstRow, ...]
    skipped: tuple[tuple[str, str], ...]
    digests: Mapping[str, str]
    shares: bool = False

    @property
    def settings(self) -> tuple[str, ...]:
        """The lines of the configuration that name the registry."""
        if not self.shares:
            return (f"registry = {quoted(self.path)}",)
        return (f"registry.path = {quoted(self.path)}", 'registry.shared = "allow"')

    @property
    def licenses(self) -> Mapping[tuple[str, str], int]:
        """The number of rows of each license and its source."""
        return Counter((row.license, row.source) for row in self.rows)


def write_first_registry(
    tree: Tree, listing: Listing, progress: Progress | None = None
) -> FirstRegistry | None:
    """Write a registry for the models of a repository, or return None if it has no models.

    In a git repository, these are the models that git tracks; if it tracks none, those that it
    does not ignore. Models of tests are left out.

    Raises:
        InputError: If none of the models can be read, or a file is in the way.
    """
    known = _files(tree, listing)
    models = [path for path in known if path.endswith(MODEL_SUFFIX) and not _is_of_tests(path)]
    skipped = [(path, reason) for path in models if (reason := _refusal(path)) is not None]
    refused = {path for path, _ in skipped}
    models = [path for path in models if path not in refused]
    models = [path for path in models if not is_variant_of_another(path, models)]
    if not models:
        return None
    if len(models) > limits.ROWS:
        raise InputError(f"{len(models):,} models; at most {limits.ROWS:,} are read")
    beside = _by_folder(known)
    homes = {path: _home(path, beside) for path in models}
    folder = _above(
        posixpath.dirname(path) if home is None else home for path, home in homes.items()
    )
    path = paths.join(folder, FILE_NAME)
    if tree.exists(path):
        raise InputError(
            f"{path}: exists, and is not a registry of these models",
            help="Rename it, or name the registry: provenance init --registry PATH",
        )
    registry = reading.nowhere(path)
    names = {paths.relative(folder, model): model for model in models}
    companions = {
        name: [paths.relative(folder, each) for each in _companions(home, model, models, beside)]
        for name, model in names.items()
        if (home := homes[model]) is not None
    }
    describer = Describer(tree, registry, progress or Progress())
    found: list[DescribedModel] = []
    for name, described in zip(names, describer.describe([*names], companions), strict=True):
        if isinstance(described, InputError):
            skipped.append((names[name], described.message))
        else:
            found.append(described)
    if not found:
        first, reason = skipped[0]
        raise InputError(
            f"no model can be read (of {len(skipped):,}); {first}: {reason}",
            help="Fetch the models, for example with `git lfs pull`.",
        )
    ids = ids_for([model.name for model in found])
    rows = [m.row(ids[m.name], folder, f"bundles/{ids[m.name]}{bundles.SUFFIX}") for m in found]
    text = json.dumps({"$schema": MODELS_SCHEMA, "schema_version": 1, "models": rows}, indent=2)
    data = (text + "\n").encode("utf-8")
    if len(data) > limits.REGISTRY:
        raise InputError(f"{path}: the registry would exceed {limits.REGISTRY:,} bytes")
    writing.replace_file(tree, path, data)
    return FirstRegistry(
        path,
        tuple(_first_row(model, ids[model.name], names[model.name]) for model in found),
        tuple(sorted(skipped)),
        {f.path: f.sha256 for m in found for f in (*m.model_files, *m.companions) if f.sha256},
        _shares(rows),
    )


def _first_row(model: DescribedModel, id: str, path: str) -> FirstRow:
    license = model.license
    companions = tuple(file.name for file in model.companions)
    return FirstRow(id, path, companions, license.expression, license.source)


def _shares(rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether two rows have a file in common."""
    named: Counter[str] = Counter()
    for row in rows:
        names = {file["path"] for file in row.get("files", [])}
        named.update((*names, *row.get("external_data_sha256", {}), row["onnx"]))
    return any(count > 1 for count in named.values())


def _files(tree: Tree, listing: Listing) -> list[str]:
    """Return the files of a repository that are part of it, sorted."""
    tracked = _known_to_git(tree, "--cached")
    if tracked is None:
        return sorted(listing.ending_in((MODEL_SUFFIX, *_COMPANION_SUFFIXES)))
    if not any(path.endswith(MODEL_SUFFIX) for path in tracked):
        others = _known_to_git(tree, "--cached", "--others", "--exclude-standard")
        tracked = tracked if others is None else others
    # A file that git tracks may have been removed from the work tree.
    return sorted(path for path in dict.fromkeys(tracked) if tree.exists(path))


def _known_to_git(tree: Tree, *selection: str) -> list[str] | None:
    """Return the files below the root that git lists, or None outside a git repository."""
    try:
        git = Git.at(tree.root)
        if git.answer("rev-parse", "--is-inside-work-tree") != "true":
            return None
        listed = git.answer("ls-files", "-z", *selection)
    except UnavailableError:
        return None
    return [name for name in listed.split("\0") if name]


def _is_of_tests(path: str) -> bool:
    return not _TESTS.isdisjoint(step.casefold() for step in path.split("/")[:-1])


def _refusal(path: str) -> str | None:
    """Return why no row can name a model, or None."""
    if paths.unsafe_reason(path) is not None or not path.isprintable():
        return "a row cannot have this name: rename the file"
    stem = path.rpartition("/")[2].removesuffix(MODEL_SUFFIX)
    if not is_id(stem) or not is_id(path.removesuffix(MODEL_SUFFIX)):
        return "its name is too long for an id, or has no letter or digit: rename the file"
    return None


def _by_folder(known: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in known:
        found.setdefault(posixpath.dirname(path), []).append(posixpath.basename(path))
    return found


def _home(model: str, beside: Mapping[str, Sequence[str]]) -> str | None:
    """Return the folder of a model in the layout of the hub, or None for another layout."""
    folder = posixpath.dirname(model)
    above = [posixpath.dirname(folder)] if posixpath.basename(folder) == _HUB_FOLDER else []
    for each in (folder, *above):
        if any(name in _HUB for name in beside.get(each, ())):
            return each
    return None


def _companions(
    home: str, model: str, models: Sequence[str], beside: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Yield the files that a runtime needs beside a model in the layout of the hub."""
    sidecars = {f"{each.removesuffix(MODEL_SUFFIX)}.json" for each in models}
    number = 0
    for folder in dict.fromkeys((home, posixpath.dirname(model))):
        for name in beside.get(folder, ()):
            path = paths.join(folder, name)
            plain = name.casefold()
            if not plain.endswith(_COMPANION_SUFFIXES) or plain in (*_NO_COMPANIONS, FILE_NAME):
                continue
            if path in sidecars or name.startswith(".") or paths.unsafe_reason(path) is not None:
                continue
            number += 1
            if number <= _MOST_COMPANIONS:
                yield path


def _above(folders: Iterable[str]) -> str:
    """Return the deepest folder that contains all `folders`."""
    return os.path.commonpath([f"/{folder}" for folder in folders]).lstrip("/") or "."
