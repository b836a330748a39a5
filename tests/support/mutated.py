# SPDX-License-Identifier: Apache-2.0
"""Several mutations in one repository, and exactly the findings that follow."""

from __future__ import annotations

import json
from pathlib import Path

from provenance.gate.finding import Finding
from tests.support.mutations import Change
from tests.support.repository import Repository, verdict_gate


def mutated(
    repository: Repository, *mutations: tuple[str, Change], expected: list[str]
) -> list[Finding]:
    """The findings about a clean ensemble in which several changes were made."""
    for name, change in mutations:
        change(repository.path(name))
    found: list[Finding] = list(repository.check().findings)
    assert [f"{f.code} {f.row}" if f.row else f.code for f in found] == expected, found
    return found


def consistent(numbers: dict[str, float]) -> Change:
    """A verdict on other numbers that follows from them."""

    def change(path: Path) -> None:
        value = json.loads(path.read_text()) | {"gate": verdict_gate(numbers)}
        path.write_text(json.dumps(value | {"seeds": [int(s) for s in numbers]}))

    return change
