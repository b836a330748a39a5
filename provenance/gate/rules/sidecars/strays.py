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
    """A sidecar beside the registry belongs to no row.

    ## What it does
    Looks at the JSON files beside the registry that are neither the sidecar of a row nor a manifest
    nor a verdict. A file that names an `.onnx` file, an id and a `sha256`, or an opset and inputs
    describes a model. It is reported if it says how to run the model, or if it has the `id` of a
    removed row whose file another row has now. If a production row has no sidecar and the file
    describes its model, SID401 reports it with that row. A sidecar beside a model that no row names
    belongs to that model, and ART311 reports both.

    ## Why it matters
    A sidecar is read only under the name of its model. One under another name is never read: either
    its model was renamed and now has no sidecar, or the model no longer exists.

    ## Example
    `vmaf_tiny_v1.json` exists, but the row has `"onnx": "vmaf_tiny_v1_final.onnx"`.

    ## How to fix
    If the message says that its row has no sidecar, rename the file after the model. Otherwise add
    the missing row, or remove the file.
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
            is_reported = sidecar.path in owned or is_lost(evidence.registry.name_of(sidecar.path))
            is_left, own, has_one = False, None, True
            if owner is not None:
                is_left = _is_of_another(case, sidecar, owner)
                own = next(iter(owner.sidecars), None)
                has_one = own is None or not own.missing
                # SID401 reports the first one with the production row that has no sidecar.
                first = evidence.registry_wide.stray_sidecar_of[owner.row.index] is sidecar
                is_reported |= first and owner.row.claims_production and not has_one
            is_known = owner is not None or named in models
            is_record = has_one and not says_how_to_run(sidecar.value)
            if is_reported or (is_known and not is_left and is_record):
                continue
            if owner is not None and own is not None:
                says = f"; its content matches the row {owner.label!r}, "
                says += f"whose sidecar is {own.name}" if has_one else "which has no sidecar"
                help = "Remove it." if has_one else f"Rename it to {own.name}, or remove it."
            else:
                says = f"; it names {shown(named)}" if named else ""
                help = "Remove it, or add the row of its model."
            message = f"{sidecar.path} is a sidecar without a row{says}"
            yield self.at(sidecar, ("onnx" if named else "id",), message, help)


def _is_of_another(case: Case, sidecar: Sidecar, owner: RowFacts) -> bool:
    """Return whether a sidecar has the id of a removed row, whose file `owner` has now.

    Its digest is not that of one of the owner's models.
    """
    id, claimed = sidecar.text_at("id"), sidecar.claimed_sha256
    known = {model.sha256 for model in owner.models}
    return id is not None and id not in case.evidence.registry.labels and claimed not in known
