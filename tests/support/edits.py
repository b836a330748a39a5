# SPDX-License-Identifier: Apache-2.0
"""Several changes of files beside a registry, named by what they change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tests.support.mutations import Change, drop, put
from tests.support.repository import Repository

GONE: Final = "gone"
"""As the value of a member: remove it."""


@dataclass(frozen=True)
class Edits:
    """Changes of files beside the registry, and how a test id shows them."""

    changes: tuple[tuple[str, Change], ...]
    label: str

    def __add__(self, other: Edits) -> Edits:
        return Edits(self.changes + other.changes, f"{self.label} {other.label}")

    def make_in(self, repository: Repository) -> None:
        for name, change in self.changes:
            change(repository.path(name))


def file(name: str, change: Change, how: str = "") -> Edits:
    return Edits(((name, change),), f"{name}: {how or change.__qualname__.partition('.')[0]}")


def fields(name: str, *where: str | int, **values: Any) -> Edits:
    """Other values of members of a JSON object."""
    changes = tuple(
        (name, drop(*where, field) if value is GONE else put(*where, field, to=value))
        for field, value in values.items()
    )
    return Edits(changes, f"{'.'.join(map(str, (name, *where)))}: {values}")
