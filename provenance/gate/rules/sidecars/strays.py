# SPDX-License-Identifier: Apache-2.0
"""SID415: sidecars without a row."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.artifacts.sidecar import Sidecar, says_how_to_run
from provenance.evidence.facts import RowFacts
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Rule, shown
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope
from provenance.gate.rules.lost_rows import files_of_lost_rows


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

    scopes = (Scope.REGISTRY,)

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        evidence = case.evidence
        if not evidence.stray_sidecars:
            return
        is_lost = files_of_lost_rows(case)
        owned = evidence.registry_wide.belongings.owned
        models = {model.name for row in case.facts for model in row.models}
        rows = {row.row.index: row for row in case.facts}
        for sidecar in evidence.stray_sidecars:
            owner = rows.get(evidence.registry_wide.stray_owners.get(sidecar.path, -1))
            named = sidecar.text_at("onnx")
            is_told = sidecar.path in owned or is_lost(evidence.registry.name_of(sidecar.path))
            is_left, own, has_one = False, None, True
            if owner is not None:
                is_left = _is_of_another(case, sidecar, owner)
                own = next(iter(owner.sidecars), None)
                has_one = own is None or not own.missing
                # SID401 names the first one with the production row that misses it.
                first = evidence.registry_wide.stray_sidecar_of[owner.row.index] is sidecar
                is_told |= first and owner.row.claims_production and not has_one
            is_known = owner is not None or named in models
            is_record = has_one and not says_how_to_run(sidecar.value)
            if is_told or (is_known and not is_left and is_record):
                continue
            if owner is not None and own is not None:
                says = f"; by what it says it is that of {owner.label!r}"
                says += f", whose sidecar is {own.name}" if has_one else ""
                help = "Remove it." if has_one else f"Name it {own.name}, or remove it."
            else:
                says = f"; it speaks of {shown(named)}" if named else ""
                help = "Remove it, or add the row of its model."
            message = f"{sidecar.path} is the sidecar of no row{says}"
            yield self.at(sidecar, ("onnx" if named else "id",), message, help)


def _is_of_another(case: Case, sidecar: Sidecar, owner: RowFacts) -> bool:
    """Whether it names the file of a row under the id of one that does not exist, and other bytes.

    Its own row is gone, and another one has the file now.
    """
    id, claimed = sidecar.text_at("id"), sidecar.claimed_sha256
    known = {model.sha256 for model in owner.models}
    return id is not None and id not in case.evidence.registry.labels and claimed not in known
