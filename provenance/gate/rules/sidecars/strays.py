# SPDX-License-Identifier: Apache-2.0
"""SID415: sidecars without a row."""

from __future__ import annotations

from collections.abc import Iterator

from provenance.gate.finding import Finding
from provenance.gate.rules.base import Case, Rule
from provenance.gate.rules.lost_rows import files_of_lost_rows
from provenance.gate.rules.sidecars.current import shown


class StraySidecar(Rule):
    """A sidecar lies beside the registry that no row has.

    ## What it does
    Looks at the JSON files beside the registry that are no row's sidecar, no manifest and no
    verdict: those that name an `.onnx` file, or an id and a `sha256`, or an opset and inputs, speak
    of a model.

    ## Why it matters
    A sidecar belongs to the model of its name. One under another name is never read: either its
    model was renamed without it, and now has none, or it describes a model that is gone.

    ## Example
    `vmaf_tiny_v1.json`, while the row has `"onnx": "vmaf_tiny_v1_final.onnx"`.

    ## How to fix
    Name it after its model, add the row that is missing, or remove it.
    """

    code = "SID415"
    slug = "sidecar-stray"
    deferrable = True
    needs_whole = True
    about_rows = False

    def judge(self, case: Case) -> Iterator[Finding]:
        rows = case.evidence.rows
        owners = {r.row.text("id"): r for r in reversed(rows)}
        owners |= {r.row.onnx: r for r in reversed(rows)}
        is_lost = files_of_lost_rows(case)
        for sidecar in case.evidence.stray_sidecars:
            if is_lost(case.evidence.registry.name_of(sidecar.path)):
                continue
            claims = [sidecar.text_at("onnx"), sidecar.text_at("id")]
            owner = next((owners[c] for c in claims if c is not None and c in owners), None)
            says = ""
            if owner is not None and owner.sidecar is not None:
                says = f"; by what it says it is that of {owner.row.label!r}"
                help = f"Name it {owner.sidecar.name}, or remove it."
            else:
                says = f"; it speaks of {shown(claims[0])}" if claims[0] else ""
                help = "Remove it, or add the row of its model."
            yield self.finding(
                f"{sidecar.path} is the sidecar of no row{says}",
                help,
                path=sidecar.path,
                position=sidecar.locate("onnx" if claims[0] else "id"),
            )
