# SPDX-License-Identifier: Apache-2.0
"""Single changes of a file: what a table of mutations is written with.

A change is given the path of one file. In the path of a JSON value, a name selects the member of an
object, or the entry of a list that has this `id`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.models import parse
from tests.support.production import seed_model
from tests.support.repository import replace_once, sha256

Change = Callable[[Path], None]
Step = str | int


def put(*where: Step, to: Any) -> Change:
    """Another value, or one that was not there."""

    def change(holder: Any, last: Any) -> None:
        if isinstance(holder, list) and last == len(holder):
            holder.append(to)
        else:
            holder[last] = to

    return _json(where, change)


def drop(*where: Step) -> Change:
    return _json(where, lambda holder, last: holder.__delitem__(last))


def rename(*where: Step, to: str) -> Change:
    """Another key, at the same place."""

    def change(holder: Any, last: Any) -> None:
        items = [(to if key == last else key, value) for key, value in holder.items()]
        holder.clear()
        holder.update(items)

    return _json(where, change)


def swap(*where: Step, other: Step, field: str | None = None) -> Change:
    def change(holder: Any, last: Any) -> None:
        place = _place(holder, other)
        if field is None:
            holder[last], holder[place] = holder[place], holder[last]
        else:
            mine, theirs = holder[last], holder[place]
            mine[field], theirs[field] = theirs[field], mine[field]

    return _json(where, change)


def reverse(*where: Step) -> Change:
    """A list, or the keys of an object, in the reverse order."""

    def change(value: Any) -> Any:
        if isinstance(value, list):
            return value[::-1]
        return dict(reversed(value.items()))

    return _value(where, change)


def shorten(*where: Step) -> Change:
    """A list without its last entry, a text without its last character."""
    return _value(where, lambda value: value[:-1])


def lengthen(*where: Step) -> Change:
    """A list with its last entry twice."""
    return _value(where, lambda value: [*value, value[-1]])


def describe(other: str) -> Change:
    """The digest of a file, as a sidecar or a row has it at its top."""
    return lambda path: put("sha256", to=sha256((path.parent / other).read_bytes()))(path)


def text(old: str, new: str) -> Change:
    """The one occurrence of a text, in a file that is not taken apart."""
    return lambda path: replace_once(path, old, new)


def cut(to: float) -> Change:
    return lambda path: _write(path, path.read_bytes()[: int(to * path.stat().st_size)])


def flip(at: float = 0.5) -> Change:
    def change(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(at * len(content))] ^= 1
        _write(path, bytes(content))

    return change


def append(more: bytes) -> Change:
    return lambda path: _write(path, path.read_bytes() + more)


def content(new: bytes | Callable[[bytes], bytes]) -> Change:
    """Other content; made from what is there, or not."""
    return lambda path: _write(path, new if isinstance(new, bytes) else new(path.read_bytes()))


def remove() -> Change:
    return Path.unlink


def move(to: str) -> Change:
    return lambda path: _done(path.rename(path.parent / to))


def copy(to: str) -> Change:
    return lambda path: _done(shutil.copyfile(path, path.parent / to))


def of(other: str) -> Change:
    """The content of another file."""
    return lambda path: _write(path, (path.parent / other).read_bytes())


def exchange(other: str) -> Change:
    """Two files under each other's name."""

    def change(path: Path) -> None:
        mine, theirs = path.read_bytes(), (path.parent / other).read_bytes()
        _write(path, theirs)
        _write(path.parent / other, mine)

    return change


def link(to: str) -> Change:
    def change(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.symlink_to(to)

    return change


def reexport(seed: int, edit: Callable[[Any], None] | None = None, **options: Any) -> Change:
    """Another graph of a seed, with its digest in row, sidecar and manifest.

    `edit` changes the graph that `options`, those of `models.model`, give.
    """

    def change(path: Path) -> None:
        made = seed_model(seed, **options)
        if edit is not None:
            message = parse(made)
            edit(message.graph)
            made = message.SerializeToString(deterministic=True)
        _write(path, made)
        for name, where in (
            ("registry.json", ("models", f"s{seed}")),
            (f"s{seed}.json", ()),
            ("ens.json", ("members", f"s{seed}")),
        ):
            put(*where, "sha256", to=sha256(made))(path.parent / name)

    return change


def together(*changes: tuple[str, Change]) -> Change:
    """The same mutation in several files, beside the one that is named."""

    def change(path: Path) -> None:
        for name, one in changes:
            one(path.parent / name)

    return change


def _json(where: tuple[Step, ...], change: Callable[[Any, Any], None]) -> Change:
    def apply(path: Path) -> None:
        document = json.loads(path.read_text("utf-8"))
        holder = document
        for step in where[:-1]:
            holder = holder[_place(holder, step)]
        change(holder, _place(holder, where[-1]))
        _write(path, (json.dumps(document, indent=2) + "\n").encode())

    return apply


def _value(where: tuple[Step, ...], change: Callable[[Any], Any]) -> Change:
    if where:
        return _json(where, lambda holder, last: holder.__setitem__(last, change(holder[last])))
    return content(lambda old: (json.dumps(change(json.loads(old)), indent=2) + "\n").encode())


def _place(holder: Any, step: Step) -> Any:
    if not isinstance(holder, list) or isinstance(step, int):
        return step
    return next(i for i, entry in enumerate(holder) if entry["id"] == step)


def _write(path: Path, new: bytes) -> None:
    assert not path.exists() or path.read_bytes() != new, f"{path.name} is not changed"
    path.write_bytes(new)


def _done(_result: object) -> None:
    return None
