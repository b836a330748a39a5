# SPDX-License-Identifier: Apache-2.0
"""Rules about the members of an ensemble: the manifest's list, and each id, seed and digest."""

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
    Looks up the row of each member of the manifest, by `onnx` or else by `id`, and compares both
    names. If a manifest has more than 10,000 members, only the first 10,000 are checked, and that
    is reported. If the row was removed or renamed since the baseline, BAS801 reports it instead.

    A member whose row names the file of another row is left to ART302. This rule also covers the
    file of a member without a row, so that ART311 does not report it as a stray.

    ## Why it matters
    An ensemble of five that ships only four members gives other scores and other intervals.

    ## Example
    The manifest lists seed 4, but no row has `"onnx": "…_seed4.onnx"`.

    ## How to fix
    Add the row, or export the manifest with the shipped members only.
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
                f"found {manifest.count:,} members; only the first {limits.MEMBERS:,} are checked",
                "Make sure that this is an ensemble manifest, and export it with the members of "
                "this ensemble only.",
                ensemble=ensemble,
            )
        for index, member in enumerate(manifest.entries):
            if not isinstance(member, dict):
                yield self.at(
                    manifest,
                    ("members", index),
                    f"expected a member (an object), found {shown(member)}",
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
                names = f" ({listed.onnx})" if listed.onnx else ", which has no `onnx`"
                yield self.at(
                    manifest,
                    where,
                    f"no row for the member {member.label!r}{names}",
                    f"Add the row, or {remove}export the manifest with the shipped members only.",
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
                        f"`{field}` of {row.label!r} is {here} in the manifest, but {theirs!r} in "
                        "the registry",
                        "Use the same name in both.",
                        row=row.label,
                        ensemble=ensemble,
                    )


class MemberTwice(EnsembleRule):
    """An ensemble lists a member, a file or a seed twice.

    ## What it does
    Looks for members of a manifest that share an id, a file or a seed, and for production members
    with equal bytes. If two members have one seed, the one whose sidecar has another seed is
    reported.

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
            # A name that differs from the row is left to ENS501.
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
                    "Export the manifest again, with each seed once.",
                    ensemble=ensemble,
                )
            for mark in known:
                first.setdefault(mark, member)


class MemberUnlisted(EnsembleRule):
    """A sidecar names an ensemble that does not list its model.

    ## What it does
    Looks up the model of each sidecar with an `ensemble_id` in the manifest of that ensemble. A
    sidecar that is known to describe other bytes is skipped.

    ## Why it matters
    The consumer loads only what the manifest lists. A seed that is left out was trained, signed and
    shipped for nothing, or the manifest belongs to an earlier run.

    ## Example
    Six seeds have `"ensemble_id": "e"`, but the manifest lists five members.

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
                f"the sidecar of {row.label!r} names this ensemble, which does not list the model",
                "Export the manifest again, or remove the row.",
                row=row.label,
                ensemble=ensemble,
            )


class MemberDigest(EnsembleRule):
    """A member's digest in the manifest does not match its file.

    ## What it does
    Compares `sha256` of each member with the digest of its file or, if the file cannot be read,
    with its row. If manifest and row agree on another digest, the file was replaced, and ART302
    reports it.

    ## Why it matters
    The manifest was written for other weights, and so were its vocabulary, its evaluation and its
    intervals.

    ## Example
    The manifest was exported with a smoke run, and production weights were put in place later.

    ## How to fix
    Export the manifest together with the weights.
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
            # If row and manifest agree, the file was replaced: that is left to ART302.
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
                "Export the manifest together with the weights.",
                row=member.row.label,
                ensemble=ensemble,
            )


class ManifestOutdated(EnsembleRule):
    """An ensemble's manifest is older than its members.

    ## What it does
    Compares `sha256` of each member with its row and its file. If several members have digests that
    appear nowhere in the manifest, the members were exported again and the manifest was not. This
    is reported once, and the rest of the manifest is not compared with the members: vocabulary and
    widths (ENS507, ENS508), `smoke` (ENS509), gate (ENS512), corpus (ENS514), statistics (ENS515).

    ## Why it matters
    The consumer loads the ensemble with the vocabulary, the statistics and the digests of the
    manifest. These belong to the former weights.

    ## Example
    All five seeds were trained again for another vocabulary, but `e_v1.json` still has the digests
    and the `feature_mean` of the former seeds.

    ## How to fix
    Export the manifest again with the present weights. Editing its digests by hand leaves all other
    values outdated.
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
            f"{names[:300]}; it has {short(first.listed.sha256)} for {first.label}, whose digest "
            f"is {short(first.sha256)}",
            "Export the manifest again with the present weights.",
            ensemble=ensemble,
        )


class EnsembleSize(EnsembleRule):
    """`ensemble_size` is not the number of members.

    ## What it does
    Compares `ensemble_size` with the length of `members`. The number of rows that belong to the
    ensemble is accepted too: if the list itself is wrong, ENS501, ENS502 or ENS503 reports that.

    ## Why it matters
    Consumers divide by this number.

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
                f"`ensemble_size` is {shown(size)}, but `members` has {count}",
                "Export the manifest again.",
                ensemble=ensemble,
            )


class SeedDiffers(EnsembleRule):
    """A member's seed is not the one in its sidecar.

    ## What it does
    Compares `seed` in the manifest with `seed` in the sidecar of the same model, unless the sidecar
    describes other bytes. If one member has a seed, all members must have one, and each must be a
    whole number.

    ## Why it matters
    A run is repeated from its seed. If the two differ, one of them repeats another run.

    ## Example
    The manifest says seed 3, the sidecar seed 4.

    ## How to fix
    Export the manifest and the sidecars together.
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
                continue  # ENS501 or ENS502 reports it
            recorded = member.sidecar.seed if member.sidecar else None
            if claimed is not None and recorded in (None, claimed):
                continue
            here = "missing" if written[member.index] is None else shown(written[member.index])
            there = "; expected a whole number"
            if member.sidecar is not None and recorded is not None:
                there = f", but {recorded} in {member.sidecar.path}"
            yield self.at(
                ensemble.manifest,
                ("members", member.index, "seed"),
                f"the seed of {member.label!r} is {here} in the manifest{there}",
                "Export the manifest and the sidecars together.",
                row=member.row.label,
                ensemble=ensemble,
            )


class EnsembleIdDiffers(EnsembleRule):
    """The documents of an ensemble use different ids, or two manifests use the same id.

    ## What it does
    Compares `ensemble_id` of the members' sidecars with the `id` of the manifest. Each ensemble
    that a sidecar names must have a manifest, and no two manifests may share an id. A sidecar that
    is known to describe other bytes is skipped. If the named ensemble does not list the model,
    ENS503 reports that. If a seed cannot be attested because the manifest is missing, SID407 does.

    ## Why it matters
    The id links manifest, verdict and sidecars. With two ids it is unclear which verdict is about
    these weights.

    ## Example
    The manifest has `"id": "regressor_v2"`, a sidecar has `"ensemble_id": "regressor_v1"`.

    ## How to fix
    Export the manifest and the sidecars together.
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
            return  # if anything is wrong, ENS503 or SID407 reports it
        there = (
            f"the manifest that lists this model has the id {ensemble.name!r}"
            if ensemble
            else "no manifest has this id"
        )
        says = f"`ensemble_id` of the sidecar is {shown(named)}, but {there}"
        yield self.at(sidecar, ("ensemble_id",), says, _ONE_ID, row=row.label)

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        manifest = ensemble.manifest
        if ensemble.name != manifest.id:
            written = manifest.value.get("id")
            here = "has no `id`" if written is None else f"has the id {shown(written)}"
            yield self.at(
                manifest,
                ("id",),
                f"the manifest {here}, but `ensemble_id` of its members' sidecars is "
                f"{shown(ensemble.name)}",
                _ONE_ID,
                ensemble=ensemble,
            )
        first = case.evidence.registry_wide.manifest_ids.get(manifest.id, manifest.path)
        if manifest.id is not None and first != manifest.path:
            yield self.at(
                manifest,
                ("id",),
                f"{first} also has the id {shown(manifest.id)}",
                "Keep the manifest of the shipped members, and remove the other.",
                ensemble=ensemble,
            )


def _names_other_bytes(member: EnsembleMember) -> bool:
    """Return whether the row has the member's digest, but names a file of other bytes (ART302)."""
    row = member.row
    if row is None or row.onnx is None or not row.replaced(row.onnx):
        return False
    return sha256_of(member.listed.sha256) == row.declared(row.onnx)


def _file(row: RowEvidence) -> str | None:
    """Return the normalized name of a row's file, or None if the file has a problem of its own."""
    if row.onnx is None or row.onnx.problem is not None:
        return None
    return posixpath.normpath(row.onnx.name)


def _bytes(member: EnsembleMember) -> str | None:
    """Return the digest of a production member's file, or None.

    Placeholders have no digest here: they may be one file under several names.
    """
    model = member.row.onnx if member.row and not member.row.entry.smoke else None
    # Bytes other than those that the row declares are left to ART302.
    declared = member.row.entry.digest("sha256") if member.row else None
    return model.sha256 if model and declared in (None, model.sha256) else None


_ONE_ID = "Export the manifest and the sidecars together, under one id."


def _blamed(member: EnsembleMember, other: EnsembleMember) -> tuple[EnsembleMember, EnsembleMember]:
    """Return which of two members with an equal field is wrong, and the other.

    The later one is wrong, unless its sidecar confirms it and the other's sidecar does not.
    """
    mine, theirs = (s.sidecar.seed if s.sidecar else None for s in (member, other))
    other_is_wrong = theirs not in (None, other.listed.seed) and mine == member.listed.seed
    return (other, member) if other_is_wrong else (member, other)


def _written(manifest: Manifest, member: EnsembleMember, field: str) -> Any:
    """Return a field of a member as written in the manifest, of any type."""
    return manifest.value["members"][member.index].get(field)


def _digest(value: object) -> str:
    return short(value) if is_sha256(value) else shown(value)
