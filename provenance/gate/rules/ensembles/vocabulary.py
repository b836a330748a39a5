# SPDX-License-Identifier: Apache-2.0
"""What all members understand by their input: one vocabulary, one order, one normalisation."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from provenance.artifacts.sidecar import Document, Sidecar
from provenance.evidence.ensembles import Ensemble, EnsembleMember
from provenance.evidence.recorded import number, same, same_statistic
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Case, shown
from provenance.gate.rules.ensembles.base import Claim, EnsembleRule, split_by_majority, whose
from provenance.gate.rules.forms import is_names
from provenance.gate.rules.sidecars.widths import refuted_widths


class VocabularyDiffers(EnsembleRule):
    """An ensemble does not have one vocabulary, or one order of features.

    ## What it does
    Compares `encoder_vocab`, its version, and `feature_order` over the members' sidecars and the
    manifest (`codec_vocab`, `codec_vocab_version`, `feature_order`), where this is as long (ENS507
    compares lengths). What most of them have counts. A sidecar that lacks what others have is named
    too; one that its own model refutes (SID403) or that has a name twice (SID416) is reported as
    that, and one that is known to describe other bytes does not count.

    ## Why it matters
    Column 3 of the one-hot is one encoder for seed 0 and another for seed 1, and the mean of their
    scores means nothing.

    ## Example
    `["x264", "x265"]` for one seed, `["x265", "x264"]` for another.

    ## How to fix
    Export manifest and all members in one run.
    """

    code = "ENS508"
    slug = "vocabulary-differs"
    deferrable = True

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        manifest = ensemble.manifest
        for field, in_manifest in (("encoder_vocab", "codec_vocab"), ("feature_order",) * 2):
            said = [
                Claim(sidecar, member.row_label, (field,), value)
                for member, sidecar in ensemble.described
                if is_names(value := sidecar.get(field))
                and not _named_already(member, sidecar, field)
            ]
            if not said:
                continue
            without = [(member, s) for member, s in ensemble.described if field not in s.value]
            listed = ensemble.claims.get(in_manifest)
            if is_names(listed) and any(len(listed) == len(one.value) for one in said):
                said.append(Claim(manifest, None, (in_manifest,), listed))
            most, others = split_by_majority(said, operator.eq)
            for one in others:
                yield self.at(
                    one.document,
                    one.where,
                    f"`{one.where[0]}` is not that of {whose(most)}"
                    f"{_first_difference(one.value, most[0].value)}",
                    "Export manifest and all members in one run.",
                    row=one.row,
                    ensemble=ensemble,
                )
            for member, sidecar in without:
                yield self.at(
                    sidecar,
                    (field,),
                    f"the sidecar has no `{field}`; there is one in {whose(most)}",
                    "Export manifest and all members in one run.",
                    row=member.row_label,
                    ensemble=ensemble,
                )
            if field == "encoder_vocab" and not others:
                yield from self._versions(ensemble, {one.document.path for one in said})

    def _versions(self, ensemble: Ensemble, alike: set[str]) -> Iterator[Finding]:
        """One vocabulary, in the documents that are `alike`, is of one version."""
        documents: list[tuple[Document, str | None, str]] = [
            (sidecar, member.row_label, "encoder_vocab_version")
            for member, sidecar in ensemble.described
        ]
        if ensemble.claims:
            documents.append((ensemble.manifest, None, "codec_vocab_version"))
        said = [
            Claim(document, row, (field,), version)
            for document, row, field in documents
            if document.path in alike and (version := document.get(field)) is not None
        ]
        most, others = split_by_majority(said, same)
        for one in others:
            yield self.at(
                one.document,
                one.where,
                f"`{one.where[0]}` is {shown(one.value)}; the same vocabulary is version "
                f"{shown(most[0].value)} in {whose(most)}",
                "Export manifest and all members in one run.",
                row=one.row,
                ensemble=ensemble,
            )


class StatisticsDiffer(EnsembleRule):
    """An ensemble does not have one set of statistics.

    ## What it does
    Compares `feature_mean` and `feature_std` over the members' sidecars and the manifest. What most
    of them have counts. The manifest's must be numbers, one for each feature, and each deviation
    above 0. A sidecar that lacks what others have is named too. Where the manifest has none,
    members that each have their own are left alone. A sidecar that is known to describe other bytes
    does not count; numbers that differ by rounding are the same.

    ## Why it matters
    The consumer normalises its features once, by the manifest. A member that was trained with other
    statistics gets input that it has never seen, and gives a score all the same.

    ## Example
    The manifest was exported with a smoke run on a synthetic corpus: its `feature_mean` starts with
    0.703, that of all five sidecars with 0.949.

    ## How to fix
    Export manifest and all members in one run.
    """

    code = "ENS515"
    slug = "statistics-differ"
    deferrable = True

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        manifest = ensemble.manifest
        for field in ("feature_mean", "feature_std"):
            said = [
                Claim(sidecar, member.row_label, (field,), value)
                for member, sidecar in ensemble.described
                if (value := sidecar.get(field)) is not None
                and _no_statistics(field, value, sidecar.get("feature_order")) is None
            ]
            written = ensemble.claims.get(field)
            # Of another length than the members', they are found by comparing.
            features = None if said else manifest.value.get("feature_order")
            reason = None if written is None else _no_statistics(field, written, features)
            if reason is not None:
                yield self._at(ensemble, manifest, field, reason)
            elif written is not None:
                said.append(Claim(manifest, None, (field,), written))
            most, others = split_by_majority(said, _same_statistics)
            if len(most) == 1:  # each member has its own
                others = [one for one in others if one.row is None]
            for one in others:
                there = _first_difference(one.value, most[0].value, same_statistic)
                reason = f"is not that of {whose(most)}{there}"
                yield self._at(ensemble, one.document, field, reason, one.row)
            # One of the two without the other is reported as that (SID414).
            if field == "feature_mean" and any(one.row is not None for one in said):
                for member, sidecar in ensemble.described:
                    if field not in sidecar.value and sidecar.get("feature_std") is None:
                        reason = f"is missing; there is one in {whose(most)}"
                        yield self._at(ensemble, sidecar, field, reason, member.row_label)

    def _at(
        self,
        ensemble: Ensemble,
        document: Document,
        field: str,
        reason: str,
        row: str | None = None,
    ) -> Finding:
        help = "Export manifest and all members in one run."
        says = f"`{field}` {reason}"
        return self.at(document, (field,), says, help, row=row, ensemble=ensemble)


def _named_already(member: EnsembleMember, sidecar: Sidecar, field: str) -> bool:
    """Whether the list is named already: of another width (SID403), with a name twice (SID416)."""
    model, value = member.row.onnx if member.row else None, sidecar.get(field)
    twice = len({repr(entry) for entry in value}) < len(value)
    return twice or (
        model is not None and (field,) in {m for m, _ in refuted_widths(model, sidecar)}
    )


def _no_statistics(field: str, value: object, features: object) -> str | None:
    """Why a value is no mean or deviation of each feature; None where it is."""
    if not isinstance(value, list) or any(number(v) is None for v in value):
        return f"is {shown(value)}, which is no list of numbers"
    if isinstance(features, list) and len(features) != len(value):
        return f"has {len(value)} entries; `feature_order` has {len(features)}"
    if field == "feature_std" and any(v <= 0 for v in value):
        return f"is {shown(value)}: a deviation is above 0"
    return None


def _same_statistics(mine: Sequence[float], theirs: Sequence[float]) -> bool:
    return len(mine) == len(theirs) and all(map(same_statistic, mine, theirs))


def _first_difference(
    found: Sequence[Any], expected: Sequence[Any], same: Callable[[Any, Any], bool] = operator.eq
) -> str:
    for i, (mine, theirs) in enumerate(zip(found, expected, strict=False)):
        if not same(mine, theirs):
            return f": entry {i} is {shown(mine)} here and {shown(theirs)} there"
    return f": {len(found)} entries here and {len(expected)} there"
