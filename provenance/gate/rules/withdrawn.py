# SPDX-License-Identifier: Apache-2.0
"""REG116: a model that is in the registry although it was withdrawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from provenance.evidence.facts import RowFacts
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Rule, command, short
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope
from provenance.registry.withdrawn import declared


class WithdrawnPresent(Rule):
    """A model is both in the registry and withdrawn.

    ## What it does
    Compares the digests of all model files, and those that rows declare, with the digests in
    `withdrawn.json`.

    ## Why it matters
    A withdrawn model is no longer to be used. Consumers who have the release summary refuse it by
    its digest, under any id and any file name.

    ## Example
    The row of `detector_v1` was removed with `provenance remove`, and a merge brought it back.

    ## How to fix
    Remove the row: `provenance remove ROW --reason TEXT`. A withdrawal that was released cannot be
    undone. To offer the model again, export it again, so that it has another digest.
    """

    code = "REG116"
    slug = "withdrawn-present"
    scopes = (Scope.REGISTRY,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        withdrawn = case.evidence.withdrawn
        known = withdrawn.by_digest if withdrawn is not None else {}
        stock = case.evidence.registry.stock is not None
        for facts in case.facts if known else ():
            found = {known[s].id: (name, s) for name, s in _digests(facts) if s in known}
            for name, sha256 in found.values():
                entry = known[sha256]
                remove = command("remove", facts.label, "--reason", entry.reason)
                yield self.in_row(
                    case,
                    facts,
                    "onnx",
                    f"{name} has the digest {short(sha256)} of {entry.id!r}, which {entry.why}",
                    f"Remove the row: {remove}" if stock else "Delete the row from the index.",
                    about=case.evidence.registry.absolute(name),
                )


def _digests(facts: RowFacts) -> Iterator[tuple[str, str]]:
    """Yield the name and digest of each file of a row, as declared and as computed.

    The model comes last.
    """
    yield from declared(facts.row).items()
    yield from ((f.name, f.sha256) for f in reversed(facts.model_files) if f.sha256 is not None)


RULES: Iterable[type[Rule]] = (WithdrawnPresent,)
