# SPDX-License-Identifier: Apache-2.0
"""Strict reading of TOML tables: an unknown key is an error and never ignored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from provenance.artifacts.forms import FILLED, OBJECT, Form, shown
from provenance.errors import InputError

T = TypeVar("T")
D = TypeVar("D")


class Table:
    """A TOML table with a fixed set of keys.

    Every method raises InputError if the table is not valid.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        keys: Collection[str] | None,
        path: str,
        header: str = "",
        number: int = 0,
    ) -> None:
        """Check the keys of a table.

        Args:
            values: The keys and values of the table.
            keys: The keys that the table may have, or None for any.
            path: The file that the table is in, for messages.
            header: The dotted name of the table; empty for the whole file.
            number: The place of the table in an array of tables, counted from 1; 0 for others.

        Raises:
            InputError: If a key is unknown. The help names the nearest known key.
        """
        self.values, self.path, self._header = values, path, header
        self._at = f"[[{header}]] {number}: " if number else ""
        dot = f"{header}." if header else ""
        for key in values:
            if keys is not None and key not in keys:
                import difflib

                near = difflib.get_close_matches(key, keys, 1, 0.5)
                raise InputError(
                    f"{path}: unknown key `{dot}{key}`",
                    help=f"Did you mean `{dot}{near[0]}`?"
                    if near
                    else f"Known keys: {', '.join(f'`{dot}{k}`' for k in sorted(keys))}.",
                )

    def get(self, key: str, form: Form[T], default: D) -> T | D:
        """Return the value of `key`, or `default`. Strings are stripped of white space."""
        if key not in self.values:
            return default
        value = self.values[key]
        if form.has(value):
            return cast("T", value.strip() if isinstance(value, str) else value)
        if _is_blank(value):
            help = f"Give it a value, or remove `{key}`."
            raise InputError(form.missing(self._name(key), "empty"), help=help)
        raise InputError(form.instead(self._name(key), shown(value)), help=form.help)

    def need(self, key: str, form: Form[T]) -> T:
        """Return the value of the required `key`."""
        value = self.values.get(key)
        if value is None or _is_blank(value):
            how = "missing" if value is None else "empty"
            raise InputError(form.missing(self._name(key), how), help=form.help)
        return cast("T", self.get(key, form, None))

    def optional(self, key: str, form: Form[str] = FILLED) -> str | None:
        """Return the string under `key`, or None if it is missing. It must not be empty.

        Otherwise `baseline = ""` would silently switch the comparison off.
        """
        return self.get(key, form, None)

    def table(self, key: str, keys: Collection[str] | None, example: str) -> Table:
        """Return the table under `key`, empty if it is missing. `example` is for the help."""
        values = self.get(key, Form[Mapping[str, Any]]("a table", OBJECT.has, example), {})
        return Table(values, keys, self.path, self._dotted(key))

    def tables(self, key: str, keys: Collection[str]) -> Iterator[Table]:
        """Yield the tables of the array `[[KEY]]`; nothing if it is missing."""
        header = self._dotted(key)
        form = Form[Sequence[Mapping[str, Any]]](f"tables: [[{header}]]", _is_tables)
        for number, values in enumerate(self.get(key, form, ()), 1):
            yield Table(values, keys, self.path, header, number)

    def error(self, message: str, help: str | None = None) -> InputError:
        """Return an error about the table as a whole."""
        return InputError(f"{self.path}: {self._at}{message}", help=help)

    def _dotted(self, key: str) -> str:
        return f"{self._header}.{key}" if self._header else key

    def _name(self, key: str) -> str:
        return f"{self.path}: {self._at}`{key if self._at else self._dotted(key)}`"


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and all(map(OBJECT.has, value))
