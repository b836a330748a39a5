# SPDX-License-Identifier: Apache-2.0
"""Open a baseline, and read its registry through the baseline's own configuration.

Read through the present configuration, a change that moves `registry` would hide what it removed.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from provenance.artifacts import limits
from provenance.artifacts.baseline import BaselineName, Opened, Source, open_source
from provenance.artifacts.paths import FileError, FileProblem
from provenance.config import FILE, PYPROJECT, Config, of_text
from provenance.errors import InputError
from provenance.frozen import dataclass
from provenance.registry import reading
from provenance.registry.registry import Registry

_FIRST_TIME: Final = (
    "A new registry has no baseline: --baseline none, until the baseline has it at this path."
)
_REPAIR: Final = (
    "Compare with a commit whose configuration can be read. To check the commit that repairs it: "
    "--baseline none"
)


@dataclass(frozen=True)
class Place:
    """The folder that paths of a baseline are relative to, seen from the present root."""

    root: Path
    folder: str = "."

    def here(self, path: str) -> str:
        """Return a path of the baseline, relative to the present root."""
        return _seen_from(self.root, Path(os.path.normpath(self.root / self.folder / path)))


@dataclass(frozen=True)
class FormerConfig:
    """The configuration of a baseline.

    Attributes:
        config: The configuration. Its paths are relative to `place`.
        place: The folder that its paths are relative to, relative to the present root.
        source: Reads the files in `place`.
        folder: The folder of the configuration file, relative to the present root.
        keys: Reads the files in `folder`, such as the keys that the configuration names.
    """

    config: Config
    place: str
    source: Source
    folder: str
    keys: Source


@dataclass(frozen=True)
class Baseline:
    """An open baseline.

    Attributes:
        name: The name of the baseline as given, to be used in commands.
        label: The name with the commit that it resolved to, for the report.
        registry: The registry of the baseline.
        source: Reads the files beside it, by the paths in `registry`.
        place: The folder that these paths are relative to.
        former: The configuration of the baseline, or None if it has none or the present one
            applies to both.
        note: Why the configuration of the baseline was not used, for the report; or None if it
            was.
    """

    name: str
    label: str
    registry: Registry
    source: Source
    place: Place
    former: FormerConfig | None = None
    note: str | None = None


@contextmanager
def open_baseline(name: BaselineName, config: Config) -> Iterator[Baseline]:
    """Open the baseline of the registry of `config`.

    Raises:
        InputError: If the baseline does not exist, or its configuration or registry cannot be read.
        UnavailableError: If git is missing, or this clone does not have the commit.
    """
    here = Place(config.root)
    with open_source(name, config.root) as opened:
        if opened.file is not None:
            file = replace(opened.file, registry=config.registry)
            registry = _registry(name, file, config, alone=True)
            note = f"{name.text} is only a registry: changes of the configuration are not judged"
            yield Baseline(name.text, opened.label, registry, file, here, note=note)
            return
        former, why = former_config(name, config, opened)
        if former is None:
            registry = _registry(name, opened.source, config)
            yield Baseline(name.text, opened.label, registry, opened.source, here, note=why)
        else:
            registry = _registry(name, former.source, former.config)
            place = Place(config.root, former.place)
            yield Baseline(name.text, opened.label, registry, former.source, place, former)


def former_config(
    name: BaselineName, config: Config, opened: Opened
) -> tuple[FormerConfig | None, str | None]:
    """Return the configuration of a baseline, or the reason why it has none that counts.

    If the present configuration was found by searching, that of the baseline is searched for in the
    same way. If it was named, it is read by the same path. A configuration outside the repository
    belongs to the user and does not change with the tree, so it applies to both.

    Raises:
        InputError: If the configuration cannot be read or is not valid.
    """
    if config.named is not None:
        return _named(name, config, config.named, opened.source)
    start = _seen_from(config.root, config.start or config.root)
    for place in _upwards(start, config.root):
        source = opened.source.at(place)
        for file in (FILE, PYPROJECT) if source is not None else ():
            assert source is not None
            found = _read(name, source, file, config.root)
            if found is not None:
                return FormerConfig(found, place, source, place, source), None
    return None, (
        f"{name.text} has no configuration: its registry was read at the present path, and "
        "changes of the configuration are not judged"
    )


def _named(
    name: BaselineName, config: Config, named: Path, source: Source
) -> tuple[FormerConfig | None, str | None]:
    """Return the named configuration in the baseline. If it is a symbolic link, follow that too."""
    link = Path(os.path.realpath(named.parent)) / named.name  # a commit has the link itself
    for path in dict.fromkeys((link, Path(os.path.realpath(named)))):
        folder, file = posixpath.split(_seen_from(config.root, path))
        keys = source.at(folder or ".")
        if keys is None:
            continue
        found = _read(name, keys, file, config.root)
        if found is not None:
            return FormerConfig(found, ".", source, folder or ".", keys), None
        return None, (
            f"{name.text} does not have {file}, which --config names: its registry was read at "
            "the present path, and changes of the configuration are not judged"
        )
    return None, (
        f"the configuration {named.name} is not part of {name.text}: it was applied to both, and "
        "changes of the configuration are not judged"
    )


def _seen_from(root: Path, path: Path) -> str:
    return os.path.relpath(path, root).replace(os.sep, "/")


def _upwards(start: str, root: Path) -> Iterator[str]:
    """Yield a folder and its parents, relative to `root`."""
    for _ in (*Path(start).parts, *root.parts):
        yield posixpath.normpath(start)
        start = posixpath.join(start, "..")


def _read(name: BaselineName, source: Source, file: str, root: Path) -> Config | None:
    """Return the configuration in a file, or None if the file or the configuration is missing."""
    try:
        data = source.read(file, limits.DOCUMENT)
    except FileError as e:
        if e.problem is FileProblem.MISSING:
            return None
        raise InputError(f"baseline {name.text}: {e.message}", help=_REPAIR) from e
    try:
        # The path is only used in messages: the file is not in the present tree.
        return of_text(data.decode("utf-8"), root / file, root)
    except UnicodeDecodeError as e:
        message = f"baseline {name.text}: {file}: not UTF-8 (byte {e.start})"
        raise InputError(message, help=_REPAIR) from e
    except InputError as e:
        raise InputError(f"baseline {name.text}: {e.message}", help=_REPAIR) from e


def _registry(
    name: BaselineName, source: Source, config: Config, *, alone: bool = False
) -> Registry:
    """Return the registry that a configuration names, in the state of the baseline."""
    path = config.registry
    try:
        if alone:
            return reading.parse_bytes(source.read(path, limits.REGISTRY), path, config.indexes[0])
        return reading.read(source, config.indexes)
    except FileError as e:
        raise InputError(f"baseline {name.text}: {e.message}", help=e.help) from e
    except InputError as e:
        if isinstance(e.__cause__, FileError) and e.__cause__.problem is FileProblem.MISSING:
            raise InputError(
                f"baseline {name.text}: it has no registry {path!r}", help=_FIRST_TIME
            ) from e
        # If a file was named, it was read in place of the configured path.
        message = e.message.removeprefix(f"{path}: ") if alone else e.message
        raise InputError(
            f"baseline {name.text}: {message}",
            help="Compare with a baseline whose registry can be read, or: --baseline none",
        ) from e
