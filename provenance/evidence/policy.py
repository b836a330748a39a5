# SPDX-License-Identifier: Apache-2.0
"""Compare two configurations key by key, and the files that they name by digest.

Every key decides what is read or what counts, so unknown keys are compared too.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final, TypeAlias

from provenance.artifacts import digest, limits
from provenance.artifacts.baseline import Source
from provenance.artifacts.documents import toml_text
from provenance.artifacts.documents.strict_json import Position
from provenance.artifacts.paths import FileError, Tree
from provenance.config import Config
from provenance.evidence.baseline import Baseline, FormerConfig, Place
from provenance.frozen import dataclass

_Key: TypeAlias = tuple[str, ...]

_MOST: Final = 200
"""Maximum number of changes that are shown."""

_SHOWN: Final = 120
"""Maximum length of a value that is shown, in characters."""

_BARE: Final = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)

_IDENTITIES: Final[Mapping[str, Sequence[_Key]]] = {
    "deferral": (("rule", "rows"), ("rule", "reference"), ("rule", "reason"), ("rule",)),
    "key": (("path",),),
    "identity": (("identity", "issuer"), ("identity",)),
    "github": (("repository", "workflow"), ("repository",)),
    "step": (("name",),),
    "gate": (("metric", "rows"), ("metric",)),
}
"""The keys by which an edited entry of a list of tables is recognised, the most specific first."""


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """A key of the configuration whose value differs from the baseline.

    Attributes:
        key: The key, or the entry of a list of tables, as it is shown.
        was: Its value at the baseline as it is shown, or None if it was missing.
        now: Its present value, or None if it is missing.
        position: Its position in the present configuration, or the start of the configuration.
    """

    key: str
    was: str | None
    now: str | None
    position: Position


def policy_changes(baseline: Baseline, config: Config) -> tuple[PolicyChange, ...]:
    """Return the changes of the configuration since the baseline.

    The result is empty if the baseline has no configuration of its own.

    Raises:
        UnavailableError: If a key that the baseline's configuration names is not in this clone.
    """
    former = baseline.former
    if former is None:
        return ()
    changes = chain(
        _places(baseline, former, config),
        _Differences(former.config, config).all(),
        _files(former, config),
    )
    found = tuple(islice(changes, _MOST + 1))  # locating each change takes a pass over the text
    if len(found) <= _MOST:
        return found
    was = f"other values of more than {_MOST} keys"
    return (*found[:_MOST], PolicyChange("the configuration", was, "another", config.position))


def _places(baseline: Baseline, former: FormerConfig, config: Config) -> Iterator[PolicyChange]:
    """Yield the changes of the paths of the configuration and of the registry."""
    file = former.config.path.rpartition("/")[2]
    was = Place(config.root, former.folder).here(file)
    if was != config.path:
        yield PolicyChange("the configuration", _text(was), _text(config.path), config.position)
    was = baseline.place.here(former.config.registry)
    tables = (former.config.table.get("registry"), config.table.get("registry"))
    if was != config.registry and all(isinstance(table, str) for table in tables):
        where = toml_text.locate(config.text, config.prefix, ("registry",)) or config.position
        yield PolicyChange("`registry`", _text(was), _text(config.registry), where)


class _Differences:
    """Finds the keys whose values differ between two configurations."""

    def __init__(self, then: Config, now: Config) -> None:
        self._then = then
        self._now = now

    def all(self) -> Iterator[PolicyChange]:
        then, now = dict(self._then.table), dict(self._now.table)
        if all(isinstance(table.get("registry"), str) for table in (then, now)):
            for table in (then, now):
                table.pop("registry")  # compared as a path
        yield from self._tables((), then, now)

    def _tables(
        self, at: _Key, then: Mapping[str, Any], now: Mapping[str, Any]
    ) -> Iterator[PolicyChange]:
        for key in dict.fromkeys((*then, *now)):
            yield from self._values((*at, key), then.get(key), now.get(key))

    def _values(self, at: _Key, was: Any, now: Any) -> Iterator[PolicyChange]:
        """Yield the changes of one key. None is a missing key, because TOML has no null."""
        values = [v for v in (was, now) if v is not None]
        if all(isinstance(v, dict) for v in values):
            yield from self._tables(at, was or {}, now or {})
        elif all(_is_array_of_tables(v) for v in values):
            yield from self._entries(at, was or [], now or [])
        elif _canonical(was) != _canonical(now):
            place = toml_text.locate(self._now.text, self._now.prefix, at)
            yield self._change(f"`{_name(at)}`", was, now, place)

    def _entries(
        self, at: _Key, then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
    ) -> Iterator[PolicyChange]:
        """Yield the entries of a list of tables that were added, removed or edited."""
        left = _without(list(enumerate(then)), now)
        new = _without(list(enumerate(now)), then)
        tables = toml_text.Tables.of(self._now.text, f"{self._now.prefix}{'.'.join(at)}")
        for identity in _IDENTITIES.get(at[-1], ()):
            pairs = _pairs(left, new, identity)
            known, edited = {i for (i, _), _ in pairs}, {j for _, (j, _) in pairs}
            left = [(i, was) for i, was in left if i not in known]
            new = [(j, entry) for j, entry in new if j not in edited]
            for (_, was), (j, entry) in pairs:
                name = f"[[{_name(at)}]] {j + 1}{_entry_label(at, entry)}"
                for key in dict.fromkeys((*was, *entry)):
                    a, b = was.get(key), entry.get(key)
                    if _canonical(a) != _canonical(b):
                        place = tables.locate(j, len(now), key)
                        yield self._change(f"`{_name((key,))}` of {name}", a, b, place)
        for i, was in left:
            yield self._change(f"[[{_name(at)}]] {i + 1} of the baseline", was, None, None)
        for j, entry in new:
            yield self._change(f"[[{_name(at)}]] {j + 1}", None, entry, tables.locate(j, len(now)))

    def _change(self, key: str, was: Any, now: Any, place: Position | None) -> PolicyChange:
        texts = [None if v is None else _canonical(v) for v in (was, now)]
        return PolicyChange(key, *_side_by_side(*texts), place or self._now.position)


def _without(
    entries: list[tuple[int, Mapping[str, Any]]], others: Iterable[Mapping[str, Any]]
) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the entries that have no equal among the others. Each of those matches one entry."""
    known = Counter(map(_canonical, others))
    left = []
    for index, entry in entries:
        text = _canonical(entry)
        if known[text]:
            known[text] -= 1
        else:
            left.append((index, entry))
    return left


def _pairs(
    then: Sequence[tuple[int, Mapping[str, Any]]],
    now: Sequence[tuple[int, Mapping[str, Any]]],
    identity: _Key,
) -> list[tuple[tuple[int, Mapping[str, Any]], tuple[int, Mapping[str, Any]]]]:
    """Return pairs of entries that have the same values of the keys `identity`, in order."""
    waiting: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
    for item in reversed(then):
        waiting.setdefault(_mark(item[1], identity), []).append(item)
    found = []
    for item in now:
        same = waiting.get(_mark(item[1], identity))
        if same:
            found.append((same.pop(), item))
    return found


def _mark(entry: Mapping[str, Any], identity: _Key) -> str:
    return _canonical([entry.get(key) for key in identity])


def _files(former: FormerConfig, config: Config) -> Iterator[PolicyChange]:
    """Yield the files that both configurations name and whose bytes differ, such as new keys."""
    both = _named_files(former.config).keys() & _named_files(config).keys()
    here = Tree.at(config.key_folder)
    for (key, path), limit in _named_files(config).items():
        if (key, path) in both:
            was, now = _digest(former.keys, path, limit), _digest(here, path, limit)
            if was != now:
                place = toml_text.locate(config.text, config.prefix, key) or config.position
                name = f"`{_name(key)}` {_text(path)}"
                yield PolicyChange(name, was, now, place)


def _named_files(config: Config) -> Mapping[tuple[_Key, str], int]:
    """Return the files that a configuration names, each with its maximum size."""
    trust, layout = config.trust_table, config.layout
    named: dict[tuple[_Key, str], int] = {}
    for entry in trust.keys:
        named[("trust", "key"), posixpath.normpath(entry.path)] = limits.KEY
    if trust.trusted_root:
        named[("trust", "trusted_root"), trust.trusted_root] = limits.TRUSTED_ROOT
    for key in (*layout.keys, *(key for step in layout.steps for key in step.keys)):
        named.setdefault((("layout", "keys"), posixpath.normpath(key)), limits.KEY)
    return named


def _digest(tree: Tree | Source, path: str, limit: int) -> str:
    try:
        return f"a file with the SHA-256 {digest.of_bytes(tree.read(path, limit)).sha256[:12]}…"
    except FileError:
        return "a file that cannot be read"


def _is_array_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _canonical(value: Any) -> str:
    """Return a value as JSON on one line. Two values are equal if their JSON is."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _entry_label(at: _Key, entry: Mapping[str, Any]) -> str:
    """Return the value by which a reader recognises an entry without counting."""
    identity = _IDENTITIES[at[-1]][-1]
    return f" ({_text(entry.get(identity[0]))})"


def _name(key: _Key) -> str:
    return ".".join(part if _BARE.fullmatch(part) else _text(part) for part in key)


def _text(value: Any) -> str:
    return _printable(_canonical(value))


def _side_by_side(was: str | None, now: str | None) -> tuple[str | None, str | None]:
    """Return two values for display, long ones from shortly before their first difference."""
    both = [text for text in (was, now) if text is not None]
    alike = len(posixpath.commonprefix(both)) if len(both) > 1 else 0
    start = max(0, alike - 20) if max(map(len, both)) > _SHOWN else 0
    first, second = (None if text is None else _printable(text, start) for text in (was, now))
    return first, second


def _printable(text: str, start: int = 0) -> str:
    """Return a part of a string on one line, with control characters escaped."""
    part = text[start : start + _SHOWN]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in part)
    return f"{'…' if start else ''}{shown}{'…' if len(text) > start + _SHOWN else ''}"
