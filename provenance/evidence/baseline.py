# SPDX-License-Identifier: Apache-2.0
"""Opening a baseline: its registry, read through the configuration that the baseline itself has.

By the present configuration, a change that moves `registry` would hide what it removed.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from provenance.artifacts import limits
from provenance.artifacts.baseline import BaselineName, Opened, Source, open_source
from provenance.artifacts.paths import FileError, FileProblem
from provenance.artifacts.registry import Registry, parse_bytes
from provenance.config import FILE, PYPROJECT, Config, of_text
from provenance.errors import InputError

_FIRST_TIME: Final = (
    "A new registry has no baseline: --baseline none, until the baseline has it at this path."
)
_REPAIR: Final = (
    "Compare with a commit whose configuration can be read. For the change that repairs it: "
    "--baseline none"
)


@dataclass(frozen=True)
class Place:
    """Where the folder that paths of a baseline are relative to is, seen from the present root."""

    root: Path
    folder: str = "."

    def here(self, path: str) -> str:
        """A path of the baseline, seen from the present root."""
        return _seen_from(self.root, Path(os.path.normpath(self.root / self.folder / path)))


@dataclass(frozen=True)
class FormerConfig:
    """The configuration that a baseline has.

    Attributes:
        config: What it says; paths in it are relative to `place`.
        place: The folder that its paths are relative to, seen from the present root.
        source: Where the files of that folder are read.
        folder: The folder that it is in, seen from the present root.
        keys: Where the files in that folder are read, such as the keys that it names.
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
        name: As it was named, for commands that name it again.
        label: The same, with the commit that it was, for the report.
        registry: The registry as it was.
        source: Where the files beside it are read, by the paths that `registry` gives them.
        place: What these paths are relative to.
        former: Its own configuration; None if it has none, or another one applies to both.
        note: For the report: why its own configuration was not used; None if it was.
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
    """The baseline of the registry of `config`.

    Raises:
        InputError: There is no such baseline, or its configuration or its registry cannot be read.
        UnavailableError: There is no git, or this clone does not have the commit.
    """
    here = Place(config.root)
    with open_source(name, config.root) as opened:
        if opened.file is not None:
            file = replace(opened.file, registry=config.registry)
            registry = _registry(name, file, config, alone=True)
            note = f"{name.text} is a registry alone: changes of the configuration are not judged"
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
    """The configuration that a baseline has where that of the present tree is, or why none counts.

    A configuration that was found is searched for again, from the same folder upwards. One that
    was named is read by its path, unless it is outside the repository: then it is the user's own,
    which no change to the tree alters, and applies to both.

    Raises:
        InputError: It cannot be read or understood.
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
    """The configuration that was named, as it was; where a link is named, also what it leads to."""
    link = Path(os.path.realpath(named.parent)) / named.name  # a commit has a link, not its target
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
        "its own changes are not judged"
    )


def _seen_from(root: Path, path: Path) -> str:
    return os.path.relpath(path, root).replace(os.sep, "/")


def _upwards(start: str, root: Path) -> Iterator[str]:
    """A folder and those above it, seen from `root`."""
    for _ in (*Path(start).parts, *root.parts):
        yield posixpath.normpath(start)
        start = posixpath.join(start, "..")


def _read(name: BaselineName, source: Source, file: str, root: Path) -> Config | None:
    """The configuration in a file; None if there is no such file, or it holds none."""
    try:
        data = source.read(file, limits.DOCUMENT)
    except FileError as e:
        if e.problem is FileProblem.MISSING:
            return None
        raise InputError(f"baseline {name.text}: {e.message}", help=_REPAIR) from e
    try:
        # The path is only for messages: the file itself is not in the present tree.
        return of_text(data.decode("utf-8"), root / file, root)
    except UnicodeDecodeError as e:
        message = f"baseline {name.text}: {file}: not UTF-8 (byte {e.start})"
        raise InputError(message, help=_REPAIR) from e
    except InputError as e:
        raise InputError(f"baseline {name.text}: {e.message}", help=_REPAIR) from e


def _registry(
    name: BaselineName, source: Source, config: Config, *, alone: bool = False
) -> Registry:
    """The registry that a configuration names, as it was."""
    path = config.registry
    try:
        return parse_bytes(source.read(path, limits.REGISTRY), path)
    except FileError as e:
        if e.problem is FileProblem.MISSING:
            raise InputError(
                f"baseline {name.text}: there is no registry {path!r} in it", help=_FIRST_TIME
            ) from e
        raise InputError(f"baseline {name.text}: {e.message}", help=e.help) from e
    except InputError as e:
        # Of a file that was named, only that was read: no registry at the configured path.
        said = e.message.removeprefix(f"{path}: ") if alone else e.message
        raise InputError(
            f"baseline {name.text}: {said}",
            help="Compare with a baseline whose registry can be read, or: --baseline none",
        ) from e
