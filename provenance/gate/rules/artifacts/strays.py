# SPDX-License-Identifier: Apache-2.0
"""ART311: files in the models' folders that no row names."""

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
    """A file beside the models is not used by any row.

    ## What it does
    Looks for files in the folders that contain models, but not in their subfolders. Reports
    `.onnx` and `.ort` files, their data, and files named after a model (`m.bin` or `m.onnx.bak`
    beside `m.onnx`) if no row uses them. Ignores documentation (`.md`, `.yaml`), checksums and
    signatures (`.sha256`, `.asc`), which a runtime does not load as weights, and all other files.
    SID415 reports sidecars without a row.

    Some files are reported elsewhere or not at all:

    - A file with the bytes of a file that a row misses is reported with that row (ART301, ART302,
      ART304, REG101, REG107).
    - A member of an ensemble that no row ships is reported with the ensemble (ENS501).
    - The sidecar and the external data of a stray model are reported with it, also if the external
      data is missing.
    - If a model cannot be read or is a Git LFS pointer, files that may hold its weights are not
      reported.

    ## Why it matters
    A stray file is shipped with the release, but neither a digest nor a signature covers it. Often
    it holds the weights of a model, under a name that the model does not refer to.

    ## Example
    `fr_regressor_v2.onnx.data`, although `fr_regressor_v2.onnx` holds its weights itself.

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
        # A renamed data file is reported once, with the model that misses it.
        renamed = {renamed_from(case, facts) for facts in case.facts}
        models = {m.path: m for facts in case.facts for m in facts.models}
        unread = {path for path, model in models.items() if not model.parsed}
        beside = {path.rpartition("/")[0] for path, model in models.items() if model.pointer}
        is_lost = files_of_lost_rows(case)
        belongings = case.evidence.registry_wide.belongings
        listed = {
            member.onnx
            for document in case.evidence.documents
            for member in (document.members if isinstance(document, Manifest) else ())
            if member.id not in case.evidence.registry.labels
        }
        for stray in case.evidence.strays:
            if stray.name in renamed or is_lost(stray.name) or stray.path in belongings.owned:
                continue
            if stray.sha256 in case.evidence.misplaced or stray.name in listed:
                continue
            names = {*stems(stray.path)}
            is_data = not stray.path.lower().endswith(MODELS) and names.isdisjoint(models)
            may_be_used = is_data and stray.path.rpartition("/")[0] in beside
            if may_be_used or not unread.isdisjoint(names):
                continue  # the files that an unreadable model refers to are not known
            is_unused_data = stray.path.removesuffix(".data") in models
            missing = [f.path for f in _data(stray) if f.missing]
            owned = belongings.of.get(stray.path, ())
            without = f"; its external data {some(missing, 3)} does not exist" if missing else ""
            removed = f"it with {some(owned, 3, ' and ')}" if owned else "it"
            fetched = f"fetch {some(missing, 3)} and " if missing else ""
            renamed_data = [p for p in owned if p.startswith(f"{stray.path}.")]
            if len(missing) == len(renamed_data) == 1:
                fetched = f"rename {renamed_data[0]} back to {missing[0]} and "
            yield self.finding(
                f"{stray.path} is not used by any row or model"
                + (": the model of that name holds its weights itself" if is_unused_data else "")
                + without,
                f"Remove {removed}, or {fetched}add a row that names it.",
                path=stray.path,
            )


def _data(stray: FileEvidence) -> Iterable[FileEvidence]:
    """Return the known external data of a stray model."""
    return (isinstance(stray, StrayModel) and stray.data) or ()
