# SPDX-License-Identifier: Apache-2.0
"""ART311: files beside the models that no row names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from provenance.artifacts.ensemble import Manifest
from provenance.evidence.rows import FileEvidence
from provenance.evidence.strays import MODELS, StrayModel, stems
from provenance.gate.finding import Finding
from provenance.gate.rules.artifacts.external_data import renamed_from
from provenance.gate.rules.base import Rule, some
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope
from provenance.gate.rules.lost_rows import files_of_lost_rows


class StrayFile(Rule):
    """A file lies beside the registry that nothing names.

    ## What it does
    Lists the folders that the models are in (not those below), and takes away what the rows name.
    What is left counts if it is an `.onnx` or `.ort` file or its data, or if it has the name of a
    model before its suffix (`m.bin` or `m.onnx.bak` beside `m.onnx`). What people write about a
    model is left alone (`.md`, `.yaml`), and so are its checksums and signatures (`.sha256`,
    `.asc`): nobody loads them as weights. Sidecars that no row has are for SID415. Other files are
    none of the registry's business.

    A file with the bytes of one that a row misses is reported with that row (ART301, ART302,
    ART304, REG101, REG107), a member of an ensemble that no row ships with that (ENS501). The
    external data and the sidecar of a model that no row names belong to it and are reported
    with it; so is external data of it that does not exist. Beside a model that cannot be read or
    is a Git LFS pointer, files that may hold its weights are not reported.

    ## Why it matters
    A stray is shipped with the release, covered by no digest and no signature, and often is what
    somebody thought the model uses: weights that were renamed.

    ## Example
    `fr_regressor_v2.onnx.data`, while `fr_regressor_v2.onnx` holds its weights itself.

    ## How to fix
    Remove the file, or add the row that names it.
    """

    code = "ART311"
    slug = "stray-file"
    deferrable = True
    scopes = (Scope.REGISTRY,)
    needs_whole = True
    about_rows = False

    def judge_whole(self, case: Case) -> Iterator[Finding]:
        # A data file that was renamed is told once, with the model that misses it.
        renamed = {renamed_from(case, facts) for facts in case.facts}
        models = {m.path: m for facts in case.facts for m in facts.models}
        unread = {path for path, model in models.items() if not model.parsed}
        beside = {path.rpartition("/")[0] for path, model in models.items() if model.pointer}
        is_lost = files_of_lost_rows(case)
        found = case.evidence.registry_wide.belongings
        listed = {
            member.onnx
            for document in case.evidence.documents
            for member in (document.members if isinstance(document, Manifest) else ())
            if member.id not in case.evidence.registry.labels
        }
        for stray in case.evidence.strays:
            if stray.name in renamed or is_lost(stray.name) or stray.path in found.owned:
                continue
            if stray.sha256 in case.evidence.misplaced or stray.name in listed:
                continue
            names = {*stems(stray.path)}
            is_data = not stray.path.lower().endswith(MODELS) and names.isdisjoint(models)
            may_be_used = is_data and stray.path.rpartition("/")[0] in beside
            if may_be_used or not unread.isdisjoint(names):
                continue  # what a model that cannot be read refers to is not known
            holds = stray.path.removesuffix(".data") in models
            missing = [f.path for f in _data(stray) if f.missing]
            also = found.of.get(stray.path, ())
            without = f"; its external data {some(missing, 3)} does not exist" if missing else ""
            removed = f"it with {some(also, 3, ' and ')}" if also else "it"
            fetched = f"fetch {some(missing, 3)} and " if missing else ""
            named_so = [p for p in also if p.startswith(f"{stray.path}.")]
            if len(missing) == len(named_so) == 1:
                fetched = f"rename {named_so[0]} back to {missing[0]} and "
            yield self.finding(
                f"{stray.path} is named by no row and no model"
                + (
                    ", though the model beside it has that name: it holds its weights itself"
                    if holds
                    else ""
                )
                + without,
                f"Remove {removed}, or {fetched}add the row that names it.",
                path=stray.path,
            )


def _data(stray: FileEvidence) -> Iterable[FileEvidence]:
    """The external data of a stray model, as far as it is known."""
    return (isinstance(stray, StrayModel) and stray.data) or ()
