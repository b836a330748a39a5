# SPDX-License-Identifier: Apache-2.0
"""SID415: sidecars without a row."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.artifacts.sidecar import Sidecar, says_how_to_run
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Case, Rule, shown
from provenance.gate.rules.lost_rows import files_of_lost_rows
from provenance.gate.rules.stray_models import belongings


class StraySidecar(Rule):
    """A sidecar lies beside the registry that no row has.

    ## What it does
    Looks at the JSON files beside the registry that are no row's sidecar, no manifest and no
    verdict: those that name an `.onnx` file, or an id and a `sha256`, or an opset and inputs, speak
    of a model. One that says how to run a model is reported, and so is one with the `id` of a
    row that is gone, whose file another row has now. That of a production row which has none is
    told with that row, by SID401. A sidecar beside a model that no row names belongs to that model:
    ART311 reports both.

    ## Why it matters
    A sidecar belongs to the model of its name. One under another name is never read: either its
    model was renamed without it, and now has none, or it describes a model that is gone.

    ## Example
    `vmaf_tiny_v1.json`, while the row has `"onnx": "vmaf_tiny_v1_final.onnx"`.

    ## How to fix
    Where the message says that its row has none, name it after its model. Else add the row that is
    missing, or remove it.
    """

    code = "SID415"
    slug = "sidecar-stray"
    deferrable = True
    needs_whole = True
    about_rows = False

    def judge(self, case: Case) -> Iterator[Finding]:
        is_lost = files_of_lost_rows(case)
        told = {sidecar.path for sidecar in left_behind(case).values()}
        owned = belongings(case.evidence).owned
        models = {m.name for row in case.evidence.rows for m in row.models}
        for sidecar, owner in _with_owners(case):
            named = sidecar.text_at("onnx")
            is_known = owner is not None or named in models
            name = case.evidence.registry.name_of(sidecar.path)
            is_told = sidecar.path in told or sidecar.path in owned or is_lost(name)
            is_left = owner is not None and _is_of_another(case, sidecar, owner)
            if is_told or (is_known and not is_left and _is_a_record(sidecar, owner)):
                continue
            if owner is not None and owner.sidecar is not None:
                own, has_one = owner.sidecar.name, not owner.sidecar.missing
                says = f"; by what it says it is that of {owner.entry.label!r}"
                says += f", whose sidecar is {own}" if has_one else ""
                help = "Remove it." if has_one else f"Name it {own}, or remove it."
            else:
                says = f"; it speaks of {shown(named)}" if named else ""
                help = "Remove it, or add the row of its model."
            yield self.finding(
                f"{sidecar.path} is the sidecar of no row{says}",
                help,
                path=sidecar.path,
                position=sidecar.locate("onnx" if named else "id"),
            )


def _is_of_another(case: Case, sidecar: Sidecar, owner: RowEvidence) -> bool:
    """Whether it names the file of a row under the id of one that does not exist, and other bytes.

    Its own row is gone, and another one has the file now.
    """
    id, claimed = sidecar.text_at("id"), sidecar.claimed_sha256
    known = {model.sha256 for model in owner.models}
    return id is not None and id not in case.evidence.registry.labels and claimed not in known


def _is_a_record(sidecar: Sidecar, owner: RowEvidence | None) -> bool:
    """Whether it is about a model that has its sidecar, and not what that is run by."""
    misses_one = owner is not None and owner.sidecar is not None and owner.sidecar.missing
    return not misses_one and not says_how_to_run(sidecar.value)


def left_behind(case: Case) -> dict[int, Sidecar]:
    """The stray sidecar of each production row that has none, by the row's place.

    A sidecar without its model's name is told once, with the row that misses it (SID401).
    """
    found: dict[int, Sidecar] = {}
    for sidecar, owner in _with_owners(case):
        if owner is None or not owner.entry.claims_production or owner.sidecar is None:
            continue
        if owner.sidecar.missing:
            found.setdefault(owner.entry.index, sidecar)
    return found


def _with_owners(case: Case) -> Iterator[tuple[Sidecar, RowEvidence | None]]:
    """The stray sidecars, each with the row that it speaks of by file or id."""
    rows = case.evidence.rows if case.evidence.stray_sidecars else ()
    owners = {r.entry.text("id"): r for r in reversed(rows)}
    owners |= {r.entry.onnx: r for r in reversed(rows)}
    for sidecar in case.evidence.stray_sidecars:
        claims = [sidecar.text_at("onnx"), sidecar.text_at("id")]
        yield sidecar, next((owners[c] for c in claims if c is not None and c in owners), None)
