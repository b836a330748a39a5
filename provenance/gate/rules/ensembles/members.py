# SPDX-License-Identifier: Apache-2.0
"""Who the members of an ensemble are: listed, shipped, of one id, one seed and one digest."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator
from typing import Any

from provenance.artifacts import limits
from provenance.artifacts.digest import is_sha256, sha256_of
from provenance.artifacts.ensemble import Manifest
from provenance.evidence import expected_statements
from provenance.evidence.ensembles import Ensemble, EnsembleMember, current_sidecar
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import short, shown, some
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope
from provenance.gate.rules.ensembles.base import EnsembleRule
from provenance.gate.rules.lost_rows import is_lost


class MemberMissing(EnsembleRule):
    """A member of an ensemble is not in the registry.

    ## What it does
    Looks for the row of each member of the manifest, by its `onnx` or else by its `id`, and
    compares the two names. Of more than 10,000 members it looks at the first, and
    reports that. Silent where BAS801 reports that the row of the member is gone since the baseline,
    or has another id.

    ART302 reports a member whose row names the file of another row. The file of a member without a
    row is reported here, and not as a stray (ART311).

    ## Why it matters
    An ensemble of five that ships four members gives other scores and other intervals.

    ## Example
    The manifest lists seed 4; no row has `"onnx": "…_seed4.onnx"`.

    ## How to fix
    Add the row, or export the manifest for the members that are shipped.
    """

    code = "ENS501"
    slug = "member-missing"
    looks_around = True

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        manifest = ensemble.manifest
        if manifest.count > limits.MEMBERS:
            yield self.at(
                manifest,
                ("members",),
                f"there are {manifest.count:,} members; at most {limits.MEMBERS:,} are looked at",
                "Is this an ensemble? Export the manifest for its members alone.",
                ensemble=ensemble,
            )
        for index, member in enumerate(manifest.entries):
            if not isinstance(member, dict):
                yield self.at(
                    manifest,
                    ("members", index),
                    f"the member {shown(member)} names no model: it is no object",
                    'Write it as {"id": …, "onnx": …, "seed": …, "sha256": …}.',
                    ensemble=ensemble,
                )
        for member in ensemble.members:
            where, listed = ("members", member.index), member.listed
            if is_lost(case, listed.onnx, listed.id):
                continue
            if member.row is None:
                files = case.evidence.registry_wide.stray_files(listed.onnx)
                remove = f"remove {some(files, 3, ' and ')} and " if files else ""
                names = f" ({listed.onnx})" if listed.onnx else ", which names no `onnx`"
                yield self.at(
                    manifest,
                    where,
                    f"no row ships the member {member.label!r}{names}",
                    f"Add the row, or {remove}export the manifest for the members that are "
                    "shipped.",
                    ensemble=ensemble,
                )
                continue
            row = member.row.entry
            for field, theirs in (("onnx", _file(member.row)), ("id", row.text("id"))):
                mine = _written(manifest, member, field)
                if mine == theirs or (field == "onnx" and _names_other_bytes(member)):
                    continue
                if (mine is not None or field == "onnx") and theirs:
                    here = "missing" if mine is None else shown(mine)
                    yield self.at(
                        manifest,
                        (*where, field),
                        f"the `{field}` of {row.label!r} is {here} here and {theirs!r} in the "
                        "registry",
                        "Write one name in both.",
                        row=row.label,
                        ensemble=ensemble,
                    )


class MemberTwice(EnsembleRule):
    """An ensemble lists a member, a file or a seed twice.

    ## What it does
    Compares the ids, files and seeds of a manifest's members with each other, and the bytes of its
    production members. Of two with one seed, the one whose sidecar has another is named.

    ## Why it matters
    A seed that counts twice makes the ensemble look more certain than it is.

    ## Example
    Two members with `"seed": 3`.

    ## How to fix
    Export the manifest again.
    """

    code = "ENS502"
    slug = "member-twice"

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        first: dict[tuple[str, str | int], EnsembleMember] = {}
        for member in ensemble.members:
            marks: dict[str, str | int | None] = {
                field: getattr(member.listed, field) for field in ("id", "onnx", "seed")
            }
            # A name that its row does not have is reported as that (ENS501).
            fields = member.row.entry.fields if member.row else marks
            wrong_name = {f for f in ("id", "onnx") if fields.get(f) != marks[f]}
            if "onnx" not in wrong_name:
                marks["sha256"] = _bytes(member)
            known = [(f, v) for f, v in marks.items() if v is not None and f not in wrong_name]
            again = [(f, first[f, v]) for f, v in known if (f, v) in first]
            if again:
                field, other = again[0]
                wrong, right = _blamed(member, other)
                yield self.at(
                    ensemble.manifest,
                    ("members", wrong.index, field),
                    f"{wrong.label!r} has the {', '.join(f for f, _ in again)} of {right.label!r}",
                    "Export the manifest again: each member is one seed.",
                    ensemble=ensemble,
                )
            for mark in known:
                first.setdefault(mark, member)


class MemberUnlisted(EnsembleRule):
    """A model says that it belongs to an ensemble which does not list it.

    ## What it does
    Compares `ensemble_id` of every sidecar with the members of that ensemble's manifest. A sidecar
    that is known to describe other bytes does not count.

    ## Why it matters
    The consumer loads what the manifest lists. A seed that is left out was trained, signed and
    shipped for nothing, or the manifest is that of a former run.

    ## Example
    Six seeds with `"ensemble_id": "e"`, and five members in the manifest.

    ## How to fix
    Export the manifest again, or remove the row.
    """

    code = "ENS503"
    slug = "member-unlisted"
    deferrable = True
    about_rows = True

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        for row in ensemble.unlisted:
            yield self.at(
                ensemble.manifest,
                ("members",),
                f"{row.label!r} says that it belongs to this ensemble, which does not list it",
                "Export the manifest again, or remove the row.",
                row=row.label,
                ensemble=ensemble,
            )


class MemberDigest(EnsembleRule):
    """A member's digest is not that of its file.

    ## What it does
    Compares `sha256` of each member with the bytes of its file, or, where that cannot be read, with
    its row. Where manifest and row agree on another digest, the file was replaced: ART302 says so.

    ## Why it matters
    The manifest was written for other weights. Its vocabulary, its evaluation and its intervals
    are theirs.

    ## Example
    The manifest was exported with a smoke run, and production weights were put in place later.

    ## How to fix
    Export the manifest with the weights.
    """

    code = "ENS504"
    slug = "member-digest"
    deferrable = True
    about_rows = True

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        outdated = {member.index for member in ensemble.outdated}  # reported once, by ENS521
        for member in ensemble.members:
            if member.row is None or member.index in outdated:
                continue
            in_row = member.row.entry.digest("sha256")
            in_file = member.row.onnx.sha256 if member.row.onnx else None
            expected, of = (in_file, "file") if in_file else (in_row, "row")
            claimed = _written(ensemble.manifest, member, "sha256")
            claimed = sha256_of(claimed) or claimed
            # Where row and manifest agree, the file is another than both of them name (ART302).
            if not is_sha256(expected) or claimed in (expected, in_row or expected):
                continue
            if claimed is None:
                says = "the manifest has no digest"
            else:
                says = f"the manifest has {_digest(claimed)}"
            yield self.at(
                ensemble.manifest,
                ("members", member.index, "sha256"),
                f"{says} for {member.row.entry.onnx}; the {of} has {short(expected)}",
                "Export the manifest with the weights.",
                row=member.row.label,
                ensemble=ensemble,
            )


class ManifestOutdated(EnsembleRule):
    """An ensemble's manifest is older than its members.

    ## What it does
    Compares `sha256` of each member with its row and its file. Where several members have digests
    that the manifest does not have anywhere, they were written again and the manifest was not. It
    is then reported once, and what else it says of its members is not
    compared with them: vocabulary and widths (ENS507, ENS508), `smoke` (ENS509), gate (ENS512),
    corpus (ENS514), statistics (ENS515).

    ## Why it matters
    The manifest is what the consumer loads the ensemble by: its vocabulary, its statistics and its
    digests are those of former weights.

    ## Example
    All five seeds were trained again for another vocabulary, and `e_v1.json` still has the digests
    and the `feature_mean` of the former ones.

    ## How to fix
    Export the manifest again, with the weights that are here. Changing its digests by hand leaves
    everything else that it says as it was.
    """

    code = "ENS521"
    slug = "manifest-outdated"
    deferrable = True

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        outdated = ensemble.outdated
        if not outdated:
            return
        first = outdated[0]
        names = some([member.label for member in outdated], 5)
        yield self.at(
            ensemble.manifest,
            ("members", first.index, "sha256"),
            f"the manifest is older than {len(outdated)} of its {len(ensemble.shipped)} members: "
            f"{names[:300]}; it has {short(first.listed.sha256)} for {first.label}, which is "
            f"{short(first.sha256)}",
            "Export the manifest again with the weights that are here.",
            ensemble=ensemble,
        )


class EnsembleSize(EnsembleRule):
    """An ensemble's size is not the number of its members.

    ## What it does
    Compares `ensemble_size` with the length of `members`. It is also right where it counts the rows
    that belong to the ensemble: what ENS501, ENS502 and ENS503 say of the list is said once.

    ## Why it matters
    Consumers divide by it.

    ## Example
    `"ensemble_size": 5` and four members.

    ## How to fix
    Export the manifest again.
    """

    code = "ENS505"
    slug = "ensemble-size"

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        count = ensemble.manifest.count
        size = ensemble.manifest.value.get("ensemble_size")
        belong = {s.row.index for s in ensemble.members if s.row is not None}
        belong |= {r.index for r in ensemble.unlisted}
        right = not isinstance(size, bool) and size in (count, len(belong))
        if size is not None and not right:
            yield self.at(
                ensemble.manifest,
                ("ensemble_size",),
                f"`ensemble_size` is {shown(size)}; there are {count} members",
                "Export the manifest again.",
                ensemble=ensemble,
            )


class SeedDiffers(EnsembleRule):
    """A member's seed is not the one in its sidecar.

    ## What it does
    Compares `seed` in the manifest with `seed` in the sidecar of the same model, unless that
    describes other bytes. Where one member has a seed, each must have a whole number.

    ## Why it matters
    The seed is how a run is repeated. With two, one of them repeats something else.

    ## Example
    Seed 3 in the manifest, seed 4 in the sidecar.

    ## How to fix
    Export manifest and sidecars together.
    """

    code = "ENS506"
    slug = "seed-differs"
    deferrable = True
    about_rows = True

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        listed = Counter(s.listed.seed for s in ensemble.members)
        written = {s.index: _written(ensemble.manifest, s, "seed") for s in ensemble.members}
        if all(seed is None for seed in written.values()):
            return  # a manifest need not have seeds
        for member in ensemble.members:
            claimed = member.listed.seed
            if member.row is None or (claimed is not None and listed[claimed] > 1):
                continue  # ENS501 or ENS502 says so
            recorded = member.sidecar.seed if member.sidecar else None
            if claimed is not None and recorded in (None, claimed):
                continue
            here = "missing" if written[member.index] is None else shown(written[member.index])
            there = "a whole number is expected"
            if member.sidecar is not None and recorded is not None:
                there = f"it is {recorded} in {member.sidecar.path}"
            yield self.at(
                ensemble.manifest,
                ("members", member.index, "seed"),
                f"the seed of {member.label!r} is {here} here; {there}",
                "Export manifest and sidecars together.",
                row=member.row.label,
                ensemble=ensemble,
            )


class EnsembleIdDiffers(EnsembleRule):
    """An ensemble is not known by one id, or an id is not that of one ensemble.

    ## What it does
    Compares `ensemble_id` of the members' sidecars with the `id` of the manifest. Requires that
    each ensemble which a sidecar names has a manifest, and that no two manifests have one id. A
    sidecar that is known to describe other bytes does not count. Where the named ensemble does not
    list the model, ENS503 says so; where the seed cannot be attested for want of a manifest, SID407
    does.

    ## Why it matters
    The id is what binds manifest, verdict and sidecars. With two, nobody can tell which verdict is
    on these weights.

    ## Example
    `"id": "regressor_v2"` in the manifest, `"ensemble_id": "regressor_v1"` in a sidecar.

    ## How to fix
    Export manifest and sidecars together.
    """

    code = "ENS518"
    slug = "ensemble-id-differs"
    looks_around = True
    deferrable = True

    scopes = (Scope.ENSEMBLE, Scope.ROW)

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        sidecar = current_sidecar(row.onnx, row.sidecar) if case.evidence.whole else None
        named = sidecar.get("ensemble_id") if sidecar else None
        ensemble = case.evidence.ensemble_of(row)
        if sidecar is None or named is None or (ensemble is not None and named == ensemble.name):
            return
        is_id = isinstance(named, str) and named in case.evidence.registry_wide.manifest_ids
        if is_id or (ensemble is None and expected_statements.attestable(row)):
            return  # ENS503 or SID407 says so, where anything is wrong
        there = f"by its manifest it is {ensemble.name!r}" if ensemble else "no manifest is"
        says = f"the sidecar says that the ensemble is {shown(named)}; {there}"
        yield self.at(sidecar, ("ensemble_id",), says, _ONE_ID, row=row.label)

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        manifest = ensemble.manifest
        if ensemble.name != manifest.id:
            written = manifest.value.get("id")
            here = "the manifest has none" if written is None else f"here it is {shown(written)}"
            yield self.at(
                manifest,
                ("id",),
                f"the id of the ensemble is {shown(ensemble.name)} for the sidecars of its "
                f"members; {here}",
                _ONE_ID,
                ensemble=ensemble,
            )
        first = case.evidence.registry_wide.manifest_ids.get(manifest.id, manifest.path)
        if manifest.id is not None and first != manifest.path:
            yield self.at(
                manifest,
                ("id",),
                f"{first} has the id {shown(manifest.id)} too",
                "Keep the manifest of the members that are shipped.",
                ensemble=ensemble,
            )


def _names_other_bytes(member: EnsembleMember) -> bool:
    """Whether the member's row has its digest, and names a file with other bytes (ART302)."""
    row = member.row
    if row is None or row.onnx is None or not row.replaced(row.onnx):
        return False
    return sha256_of(member.listed.sha256) == row.declared(row.onnx)


def _file(row: RowEvidence) -> str | None:
    """The name of a row's file, plainly; None where there is no such file, which is said of it."""
    if row.onnx is None or row.onnx.problem is not None:
        return None
    return posixpath.normpath(row.onnx.name)


def _bytes(member: EnsembleMember) -> str | None:
    """The digest of a production member. Placeholders may be one file under several names."""
    model = member.row.onnx if member.row and not member.row.entry.smoke else None
    # Bytes that the row does not name are reported as that (ART302).
    declared = member.row.entry.digest("sha256") if member.row else None
    return model.sha256 if model and declared in (None, model.sha256) else None


_ONE_ID = "Export manifest and sidecars together, under one id."


def _blamed(member: EnsembleMember, other: EnsembleMember) -> tuple[EnsembleMember, EnsembleMember]:
    """Which of two members with one mark has it wrongly: the later, unless its sidecar agrees."""
    mine, theirs = (s.sidecar.seed if s.sidecar else None for s in (member, other))
    other_is_wrong = theirs not in (None, other.listed.seed) and mine == member.listed.seed
    return (other, member) if other_is_wrong else (member, other)


def _written(manifest: Manifest, member: EnsembleMember, field: str) -> Any:
    """The field of a member as it stands there, whatever its type."""
    return manifest.value["members"][member.index].get(field)


def _digest(value: object) -> str:
    return short(value) if is_sha256(value) else shown(value)
