# SPDX-License-Identifier: Apache-2.0
"""Find the license of a model that no row describes yet, with the source of the answer.

The first source that names a license counts: the front matter of the nearest README.md,
`model_license` in the model's metadata, or the nearest license file. Where a source is ambiguous,
or two of them disagree, the license is left to the author as a text that begins with TODO.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, Final

from provenance.artifacts import license_names, license_text, limits, onnx_metadata, paths, spdx
from provenance.artifacts.paths import FileError, Tree
from provenance.frozen import dataclass

TODO: Final = "TODO: "
"""The start of a value that the author has to write. Rules LIC204 and LIC207 report it."""

README: Final = "README.md"

_FRONT: Final = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)
_FRONT_SIZE: Final = 64 * limits.KIB
"""Characters of the longest front matter."""

_LICENSE_FILE: Final = re.compile(r"(?:licen[cs]e|copying)(?:[-._].{0,60})?", re.IGNORECASE)
_LICENSE_FILES: Final = 10
"""The maximum number of license files of one folder that are read."""

_NOTHING: Final = ("other", "unknown", "none", "proprietary", "custom")
"""Words that do not name a license."""

_GNU: Final = re.compile(r"(?:A|L)?GPL-[0-9.]+")
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class FoundLicense:
    """The license of a model.

    Attributes:
        expression: The SPDX expression, or a text that begins with TODO.
        source: Where it was found.
        url: The address of its text, or the path relative to the root, or None if it is not known.
        is_path: Whether `url` is a path relative to the root.
    """

    expression: str
    source: str
    url: str | None = None
    is_path: bool = False

    @property
    def is_certain(self) -> bool:
        """Whether a license was found."""
        return not self.expression.startswith(TODO)


@dataclass
class LicenseFinder:
    """Finds the licenses of models. Each README and license file is read once.

    Attributes:
        tree: The repository.
    """

    tree: Tree
    _front: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _files: dict[str, FoundLicense | None] = field(default_factory=dict)

    def find(self, model: str) -> FoundLicense:
        """Return the license of the model at a path relative to the root."""
        readme = self._of_readmes(model)
        metadata = self._of_metadata(model)
        both = [f for f in (readme, metadata) if f is not None and f.is_certain]
        if len(both) == 2 and both[0].expression != both[1].expression:
            says = " and ".join(f"{f.source} says {f.expression}" for f in both)
            return FoundLicense(f"{TODO}{says}", "two sources that disagree")
        found = readme or metadata or self.nearest_file(model)
        if found is None:
            unknown = f"{TODO}the SPDX expression of the model's license"
            return FoundLicense(unknown, "no README.md, metadata or LICENSE names it")
        return found

    def stated(self, expression: str, model: str) -> FoundLicense:
        """Return the license that the user states, with the address of its text."""
        url = license_names.license_url(expression)
        if url is not None:
            return FoundLicense(expression, "--license", url)
        file = self.nearest_file(model)
        path = file.url if file is not None else None
        return FoundLicense(expression, "--license", path, is_path=path is not None)

    def _of_readmes(self, model: str) -> FoundLicense | None:
        for folder in _upwards(model):
            path = paths.join(folder, README)
            found = _of_front_matter(path, self._front_matter(path))
            if found is not None:
                return found
        return None

    def _front_matter(self, path: str) -> Mapping[str, Any]:
        if path not in self._front:
            self._front[path] = self._read_front_matter(path)
        return self._front[path]

    def _read_front_matter(self, path: str) -> Mapping[str, Any]:
        try:
            data = self.tree.read_if_there(path, limits.DOCUMENT)
        except FileError:
            return {}
        text = (data or b"")[:_FRONT_SIZE].decode("utf-8-sig", "replace")
        match = _FRONT.match(text)
        if match is None:
            return {}
        from provenance.artifacts.documents.strict_yaml import YamlError, parse

        try:
            value = parse(match[1])
        except YamlError:
            return {}
        return value if isinstance(value, dict) else {}

    def _of_metadata(self, model: str) -> FoundLicense | None:
        try:
            with self.tree.open(model) as stream:
                text = onnx_metadata.read_metadata(stream).get(onnx_metadata.LICENSE, "").strip()
        except (FileError, OSError):
            return None
        if not any(map(str.isalnum, text)) or text.casefold() in _NOTHING:
            return None
        source = f"`{onnx_metadata.LICENSE}` in the metadata of the model"
        id = license_names.spdx_id(text)
        if id is None:
            return FoundLicense(f"{TODO}{source} says {_shown(text)}", source)
        return FoundLicense(id, source, license_names.license_url(id))

    def nearest_file(self, model: str) -> FoundLicense | None:
        """Return the license of the nearest license file, or None if there is no such file."""
        for folder in _upwards(model):
            if folder not in self._files:
                self._files[folder] = self._of_folder(folder)
            found = self._files[folder]
            if found is not None:
                return found
        return None

    def _of_folder(self, folder: str) -> FoundLicense | None:
        try:
            names = sorted(os.listdir(self.tree.root / self.tree.resolve(folder)))
        except (FileError, OSError):
            return None
        files: dict[str, tuple[str, ...]] = {}
        for name in names:
            if len(files) < _LICENSE_FILES and _LICENSE_FILE.fullmatch(name):
                path = paths.join(folder, name)
                try:
                    data = self.tree.read(path, limits.LICENSE)
                except FileError:
                    continue
                files[path] = _licenses_in(data.decode("utf-8", "replace"))
        if not files:
            return None
        first = next(iter(files))
        ids = tuple(dict.fromkeys(id for found in files.values() for id in found))
        source = first if len(files) == 1 else f"{first} and {len(files) - 1} more"
        if len(ids) == 1 and len(files) == 1:
            url = license_names.license_url(ids[0])
            return FoundLicense(ids[0], source, url or first, is_path=url is None)
        which = f" ({' or '.join(ids)})" if ids else ""
        todo = f"{TODO}the SPDX expression of the license in {source}{which}"
        return FoundLicense(todo, source, first, is_path=True)


def _licenses_in(text: str) -> tuple[str, ...]:
    """Return the SPDX ids that the text of a license file may mean.

    The texts of GNU licenses do not say whether later versions are allowed.
    """
    tags = license_text.tagged(text)
    if tags:
        return tags
    id = license_text.recognised(text)
    if id is None:
        return ()
    return (f"{id}-only", f"{id}-or-later") if _GNU.fullmatch(id) else (id,)


def _of_front_matter(path: str, front: Mapping[str, Any]) -> FoundLicense | None:
    """Return the license that a front matter declares, or None if it says nothing."""
    value, source = front.get("license"), f"the front matter of {path}"
    if isinstance(value, list):
        named = [v for v in value if isinstance(v, str)]
        if len(named) != 1 or len(value) != 1:
            listed = ", ".join(map(_shown, named[:5]))
            return FoundLicense(f"{TODO}{source} lists {listed}", source) if named else None
        (value,) = named
    if not isinstance(value, str) or not any(map(str.isalnum, value)):
        return None
    id = license_names.spdx_id(value)
    if id is not None:
        return FoundLicense(id, source, license_names.license_url(id))
    if value.strip().casefold() not in _NOTHING:
        return FoundLicense(f"{TODO}{source} says {_shown(value)}", source)
    name, link = front.get("license_name"), front.get("license_link")
    if not isinstance(name, str) or not any(map(str.isalnum, name)):
        return None
    own = license_names.spdx_id(name) or spdx.own_id(name[:_SHOWN], spdx.Kind.LICENSE)
    if own is None:
        return None
    if not isinstance(link, str) or not link.strip():
        return FoundLicense(own, source, license_names.license_url(own))
    if "://" in link:
        return FoundLicense(own, source, link.strip())
    if paths.refusal(paths.join(path.rpartition("/")[0], link.strip())) is not None:
        return FoundLicense(own, source)
    place = paths.join(path.rpartition("/")[0], link.strip())
    return FoundLicense(own, source, place, is_path=True)


def _upwards(path: str) -> Iterator[str]:
    """Yield the folder of a path and all folders above it, up to the root."""
    folder = path.rpartition("/")[0]
    while folder and folder != ".":
        yield folder
        folder = folder.rpartition("/")[0]
    yield "."


def _shown(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text.strip())
    return repr(plain if len(plain) <= _SHOWN else plain[: _SHOWN - 1] + "…")
