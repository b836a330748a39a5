# SPDX-License-Identifier: Apache-2.0
"""What all members understand by their input: one vocabulary, one order, one normalisation."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from provenance.artifacts.forms import is_names
from provenance.artifacts.sidecar import Sidecar
from provenance.evidence.ensembles import Ensemble, EnsembleMember
from provenance.evidence.recorded import number, same, same_statistic
from provenance.gate.finding import Finding
from provenance.gate.rules.base import shown
from provenance.gate.rules.case import Case
from provenance.gate.rules.ensembles.base import Agreement, Claim, EnsembleRule, claims
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
        for field, in_manifest in (("encoder_vocab", "codec_vocab"), ("feature_order",) * 2):
            told = list(claims(ensemble, field, in_manifest))
            refuted = {
                sidecar.path
                for member, sidecar in ensemble.described
                if is_names(sidecar.get(field)) and _named_already(member, sidecar, field)
            }
            said = [one for one in told if is_names(one.value) and one.document.path not in refuted]
            lengths = {len(one.value) for one in said if one.row is not None}
            said = [one for one in said if len(one.value) in lengths]
            agreed = Agreement.of(said)
            for one in agreed.others:
                there = _first_difference(one.value, agreed.value)
                says = f"`{one.name}` is not that of {agreed.whose}{there}"
                yield self.at_claim(one, says, _ONE_RUN, ensemble)
            for one in told if said else ():
                if one.row is not None and field not in one.document.value:
                    says = f"the sidecar has no `{field}`; there is one in {agreed.whose}"
                    yield self.at_claim(one, says, _ONE_RUN, ensemble)
            if field == "encoder_vocab" and not agreed.others:
                yield from self._versions(ensemble, {one.document.path for one in said})

    def _versions(self, ensemble: Ensemble, alike: set[str]) -> Iterator[Finding]:
        """One vocabulary, in the documents that are `alike`, is of one version."""
        told = claims(ensemble, "encoder_vocab_version", "codec_vocab_version")
        said = [one for one in told if one.document.path in alike and one.value is not None]
        agreed = Agreement.of(said, same)
        for one in agreed.others:
            says = (
                f"`{one.name}` is {shown(one.value)}; the same vocabulary is version "
                f"{shown(agreed.value)} in {agreed.whose}"
            )
            yield self.at_claim(one, says, _ONE_RUN, ensemble)


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
        for field in ("feature_mean", "feature_std"):
            told = list(claims(ensemble, field, field))
            said: list[Claim[Any]] = []
            for one in told:
                # Of another length than the members', the manifest's are found by comparing.
                compared = one.row is None and bool(said)
                features = None if compared else one.document.get("feature_order")
                reason = _no_statistics(field, one.value, features)
                if reason is None:
                    said.append(one)
                elif one.row is None and one.value is not None:
                    yield self.at_claim(one, f"`{field}` {reason}", _ONE_RUN, ensemble)
            agreed = Agreement.of(said, _same_statistics)
            for one in agreed.others:
                if len(agreed.most) == 1 and one.row is not None:
                    continue  # each member has its own
                there = _first_difference(one.value, agreed.value, same_statistic)
                says = f"`{field}` is not that of {agreed.whose}{there}"
                yield self.at_claim(one, says, _ONE_RUN, ensemble)
            # One of the two without the other is reported as that (SID414).
            if field == "feature_mean" and any(one.row is not None for one in said):
                for one in told:
                    sidecar = one.document
                    lacks = field not in sidecar.value and sidecar.get("feature_std") is None
                    if one.row is not None and lacks:
                        says = f"`{field}` is missing; there is one in {agreed.whose}"
                        yield self.at_claim(one, says, _ONE_RUN, ensemble)


_ONE_RUN: Final = "Export manifest and all members in one run."


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
