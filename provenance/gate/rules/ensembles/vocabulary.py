# SPDX-License-Identifier: Apache-2.0
"""Rules about the inputs of an ensemble's members: equal vocabulary, order and statistics."""

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
    """The members of an ensemble have different vocabularies or feature orders.

    ## What it does
    Compares `encoder_vocab`, its version and `feature_order` in the members' sidecars with each
    other and with the manifest (`codec_vocab`, `codec_vocab_version`, `feature_order`). Lists in
    the manifest are compared only if their length matches; ENS507 compares lengths. The most
    frequent value counts as right. A sidecar without a field that others have is reported too. A
    list that the model refutes is left to SID403, and one with a repeated name to SID416. A sidecar
    that is known to describe other bytes is skipped.

    ## Why it matters
    If column 3 of the one-hot is one encoder for seed 0 and another for seed 1, the mean of their
    scores is meaningless.

    ## Example
    `["x264", "x265"]` for one seed, `["x265", "x264"]` for another.

    ## How to fix
    Export the manifest and all members in one run.
    """

    code = "ENS508"
    slug = "vocabulary-differs"
    deferrable = True

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        for field, in_manifest in (("encoder_vocab", "codec_vocab"), ("feature_order",) * 2):
            stated = list(claims(ensemble, field, in_manifest))
            refuted = {
                sidecar.path
                for member, sidecar in ensemble.described
                if is_names(sidecar.get(field)) and _is_reported(member, sidecar, field)
            }
            valid = [
                one for one in stated if is_names(one.value) and one.document.path not in refuted
            ]
            lengths = {len(one.value) for one in valid if one.row is not None}
            valid = [one for one in valid if len(one.value) in lengths]
            agreed = Agreement.of(valid)
            for one in agreed.others:
                difference = _first_difference(one.value, agreed.value)
                says = f"`{one.name}` differs from that of {agreed.whose}: {difference}"
                yield self.at_claim(one, says, _ONE_RUN, ensemble)
            for one in stated if valid else ():
                if one.row is not None and field not in one.document.value:
                    says = f"the sidecar has no `{field}`, unlike {agreed.whose}"
                    yield self.at_claim(one, says, _ONE_RUN, ensemble)
            if field == "encoder_vocab" and not agreed.others:
                yield from self._versions(ensemble, {one.document.path for one in valid})

    def _versions(self, ensemble: Ensemble, paths: set[str]) -> Iterator[Finding]:
        """Yield the versions that differ among documents with equal vocabularies, at `paths`."""
        stated = claims(ensemble, "encoder_vocab_version", "codec_vocab_version")
        known = [one for one in stated if one.document.path in paths and one.value is not None]
        agreed = Agreement.of(known, same)
        for one in agreed.others:
            says = (
                f"`{one.name}` is {shown(one.value)}, but the same vocabulary has version "
                f"{shown(agreed.value)} in {agreed.whose}"
            )
            yield self.at_claim(one, says, _ONE_RUN, ensemble)


class StatisticsDiffer(EnsembleRule):
    """The members of an ensemble have different feature statistics.

    ## What it does
    Compares `feature_mean` and `feature_std` in the members' sidecars with each other and with the
    manifest. The most frequent value counts as right. In the manifest both must be lists of
    numbers, one for each feature, with deviations above 0. A sidecar without statistics that others
    have is reported too. If the manifest has no statistics, each member may have its own. Numbers
    that differ only by rounding are equal. A sidecar that is known to describe other bytes is
    skipped.

    ## Why it matters
    The consumer normalises its features once, with the statistics of the manifest. A member trained
    with other statistics gets input unlike its training data, and still returns a score.

    ## Example
    The manifest was exported with a smoke run on a synthetic corpus: its `feature_mean` starts with
    0.703, that of all five sidecars with 0.949.

    ## How to fix
    Export the manifest and all members in one run.
    """

    code = "ENS515"
    slug = "statistics-differ"
    deferrable = True

    def judge_ensemble(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        for field in ("feature_mean", "feature_std"):
            stated = list(claims(ensemble, field, field))
            valid: list[Claim[Any]] = []
            for one in stated:
                # A wrong length in the manifest shows when it is compared with the members.
                compared = one.row is None and bool(valid)
                features = None if compared else one.document.get("feature_order")
                reason = _no_statistics(field, one.value, features)
                if reason is None:
                    valid.append(one)
                elif one.row is None and one.value is not None:
                    yield self.at_claim(one, f"`{field}` {reason}", _ONE_RUN, ensemble)
            agreed = Agreement.of(valid, _same_statistics)
            for one in agreed.others:
                if len(agreed.most) == 1 and one.row is not None:
                    continue  # each member has its own
                difference = _first_difference(one.value, agreed.value, same_statistic)
                says = f"`{field}` differs from that of {agreed.whose}: {difference}"
                yield self.at_claim(one, says, _ONE_RUN, ensemble)
            # One of the two without the other is left to SID414.
            if field == "feature_mean" and any(one.row is not None for one in valid):
                for one in stated:
                    sidecar = one.document
                    lacks = field not in sidecar.value and sidecar.get("feature_std") is None
                    if one.row is not None and lacks:
                        says = f"the sidecar has no `{field}`, unlike {agreed.whose}"
                        yield self.at_claim(one, says, _ONE_RUN, ensemble)


_ONE_RUN: Final = "Export the manifest and all members in one run."


def _is_reported(member: EnsembleMember, sidecar: Sidecar, field: str) -> bool:
    """Return whether SID403 (wrong width) or SID416 (repeated name) reports the list."""
    model, value = member.row.onnx if member.row else None, sidecar.get(field)
    twice = len({repr(entry) for entry in value}) < len(value)
    return twice or (
        model is not None and (field,) in {m for m, _ in refuted_widths(model, sidecar)}
    )


def _no_statistics(field: str, value: object, features: object) -> str | None:
    """Return why a value is not a list of means or deviations, one per feature; else None."""
    if not isinstance(value, list) or any(number(v) is None for v in value):
        return f"is {shown(value)}, not a list of numbers"
    if isinstance(features, list) and len(features) != len(value):
        return f"has {len(value)} entries, but `feature_order` has {len(features)}"
    if field == "feature_std" and any(v <= 0 for v in value):
        return f"is {shown(value)}; each deviation must be above 0"
    return None


def _same_statistics(mine: Sequence[float], theirs: Sequence[float]) -> bool:
    return len(mine) == len(theirs) and all(map(same_statistic, mine, theirs))


def _first_difference(
    found: Sequence[Any], expected: Sequence[Any], same: Callable[[Any, Any], bool] = operator.eq
) -> str:
    for i, (mine, theirs) in enumerate(zip(found, expected, strict=False)):
        if not same(mine, theirs):
            return f"entry {i} is {shown(mine)}, not {shown(theirs)}"
    return f"{len(found)} entries, not {len(expected)}"
