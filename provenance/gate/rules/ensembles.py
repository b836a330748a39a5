# SPDX-License-Identifier: Apache-2.0
"""ENS5xx: an ensemble is its members, one vocabulary, and a verdict that its numbers give."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from provenance.artifacts.digest import is_sha256
from provenance.artifacts.ensemble import GateVerdict, Manifest, Member, verdict_for
from provenance.artifacts.sidecar import Document, Sidecar
from provenance.attestations.predicates import corpus_of
from provenance.gate.evidence import Evidence, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Case, Rule, short
from provenance.gate.rules.sidecars import describes_its_model, input_width

TOLERANCE: Final = 1e-9
"""How far a recomputed mean or spread may be from the recorded one: summation order, no more."""


@dataclass(frozen=True)
class Seat:
    """A member of a manifest with its place in it and the row that ships it, where there is one."""

    index: int
    member: Member
    row: RowEvidence | None

    @property
    def label(self) -> str:
        """How the member is called in messages."""
        return self.member.id or self.member.onnx or f"member {self.index}"

    @property
    def sidecar(self) -> Sidecar | None:
        """The member's sidecar, where it describes the very bytes that are shipped."""
        row = self.row
        if row is None or row.onnx is None or row.sidecar is None or row.sidecar.sidecar is None:
            return None
        sidecar = row.sidecar.sidecar
        return sidecar if describes_its_model(row.onnx, sidecar) else None


@dataclass(frozen=True)
class Ensemble:
    """A manifest, its members with their rows, and the verdict on it."""

    manifest: Manifest
    seats: tuple[Seat, ...]
    verdict: GateVerdict | None

    @property
    def production(self) -> tuple[Seat, ...]:
        """The members whose rows say production."""
        return tuple(s for s in self.seats if s.row is not None and not s.row.row.smoke)


def ensembles(evidence: Evidence) -> Iterator[Ensemble]:
    """All ensembles beside the registry. Only a whole registry shows who is missing."""
    if not evidence.whole:
        return
    by_onnx = {r.row.onnx: r for r in evidence.rows if r.row.onnx}
    verdicts = tuple(d for d in evidence.documents if isinstance(d, GateVerdict))
    for document in evidence.documents:
        if isinstance(document, Manifest):
            seats = tuple(
                Seat(i, m, by_onnx.get(m.onnx or "")) for i, m in enumerate(document.members)
            )
            yield Ensemble(document, seats, verdict_for(document, verdicts))


class _EnsembleRule(Rule):
    deferrable = True

    def judge(self, case: Case) -> Iterator[Finding]:
        for ensemble in ensembles(case.evidence):
            yield from self.conclude(case, ensemble)

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        raise NotImplementedError

    def at(
        self,
        document: Document,
        where: tuple[str | int, ...],
        message: str,
        help: str,
        row: str | None = None,
    ) -> Finding:
        return self.finding(
            message, help, path=document.path, row=row, position=document.locate(*where)
        )


class MemberMissing(_EnsembleRule):
    """A member of an ensemble is not in the registry.

    ## What it does
    Looks for the row of each member of the manifest, by its `onnx`, and compares the ids.

    ## Why it matters
    An ensemble of five that ships four members gives other scores and other intervals.

    ## Example
    The manifest lists seed 4; no row has `"onnx": "…_seed4.onnx"`.

    ## How to fix
    Add the row, or export the manifest for the members that are shipped.
    """

    code = "ENS501"
    slug = "member-missing"

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        for seat in ensemble.seats:
            where = ("members", seat.index)
            if seat.row is None:
                yield self.at(
                    ensemble.manifest,
                    where,
                    f"no row ships the member {seat.label!r} ({seat.member.onnx})",
                    "Add the row, or export the manifest for the members that are shipped.",
                )
            elif seat.member.id is not None and seat.member.id != seat.row.row.text("id"):
                yield self.at(
                    ensemble.manifest,
                    (*where, "id"),
                    f"{seat.member.onnx} is {seat.member.id!r} here and "
                    f"{seat.row.row.label!r} in the registry",
                    "Give it one id in both.",
                    row=seat.row.row.label,
                )


class MemberTwice(_EnsembleRule):
    """An ensemble lists a member, a file or a seed twice.

    ## What it does
    Compares the ids, files and seeds of a manifest's members with each other.

    ## Why it matters
    A seed that counts twice makes the ensemble look more certain than it is.

    ## Example
    Two members with `"seed": 3`.

    ## How to fix
    Export the manifest again.
    """

    code = "ENS502"
    slug = "member-twice"

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        for field in ("id", "onnx", "seed"):
            values = [getattr(s.member, field) for s in ensemble.seats]
            for value, times in Counter(v for v in values if v is not None).items():
                if times > 1:
                    last = len(values) - 1 - values[::-1].index(value)
                    yield self.at(
                        ensemble.manifest,
                        ("members", last, field),
                        f"{times} members have the {field} {value!r}",
                        "Export the manifest again: each member is one seed.",
                    )


class MemberUnlisted(_EnsembleRule):
    """A model says that it belongs to an ensemble which does not list it.

    ## What it does
    Compares `ensemble_id` of every sidecar with the members of that ensemble's manifest.

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

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        listed = {s.member.onnx for s in ensemble.seats}
        for row in case.evidence.rows:
            sidecar = row.sidecar.sidecar if row.sidecar else None
            if sidecar is None or sidecar.text_at("ensemble_id") != ensemble.manifest.id:
                continue
            if row.row.onnx not in listed:
                yield self.at(
                    ensemble.manifest,
                    ("members",),
                    f"{row.row.label!r} says that it belongs to this ensemble, which does not "
                    "list it",
                    "Export the manifest again, or remove the row.",
                    row=row.row.label,
                )


class MemberDigest(_EnsembleRule):
    """A member's digest is not that of its file.

    ## What it does
    Compares `sha256` of each member with the bytes of its file.

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

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        for seat in ensemble.seats:
            model = seat.row.onnx if seat.row else None
            actual = model.sha256 if model else None
            claimed = seat.member.sha256
            if seat.row is None or actual is None or claimed == actual:
                continue
            shown = short(claimed) if is_sha256(claimed) else repr(claimed)[:40]
            yield self.at(
                ensemble.manifest,
                ("members", seat.index, "sha256"),
                f"the manifest has {shown} for {seat.member.onnx}; the file is {short(actual)}",
                "Export the manifest with the weights.",
                row=seat.row.row.label,
            )


class EnsembleSize(_EnsembleRule):
    """An ensemble's size is not the number of its members.

    ## What it does
    Compares `ensemble_size` with the length of `members`.

    ## Why it matters
    Consumers divide by it.

    ## Example
    `"ensemble_size": 5` and four members.

    ## How to fix
    Export the manifest again.
    """

    code = "ENS505"
    slug = "ensemble-size"

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        members = ensemble.manifest.value.get("members")
        count = len(members) if isinstance(members, list) else 0
        size = ensemble.manifest.value.get("ensemble_size")
        if size is not None and (type(size) is not int or size != count):
            yield self.at(
                ensemble.manifest,
                ("ensemble_size",),
                f"`ensemble_size` is {size!r}; there are {count} members",
                "Export the manifest again.",
            )


class SeedDiffers(_EnsembleRule):
    """A member's seed is not the one in its sidecar.

    ## What it does
    Compares `seed` in the manifest with `seed` in the sidecar of the same model.

    ## Why it matters
    The seed is how a run is repeated. With two, one of them repeats something else.

    ## Example
    Seed 3 in the manifest, seed 4 in the sidecar.

    ## How to fix
    Export manifest and sidecars together.
    """

    code = "ENS506"
    slug = "seed-differs"

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        for seat in ensemble.seats:
            row = seat.row
            sidecar = row.sidecar.sidecar if row and row.sidecar else None
            if row is None or sidecar is None or sidecar.seed == seat.member.seed:
                continue
            yield self.at(
                ensemble.manifest,
                ("members", seat.index, "seed"),
                f"the seed of {seat.label!r} is {seat.member.seed} here and {sidecar.seed} in "
                f"{sidecar.path}",
                "Export manifest and sidecars together.",
                row=row.row.label,
            )


class EnsembleWidth(_EnsembleRule):
    """The members of an ensemble do not take the input that its manifest describes.

    ## What it does
    Compares `codec_vocab` and `feature_order` of the manifest with the inputs of the members, and
    the members' input widths and opsets with each other.

    ## Why it matters
    The consumer builds one input for all members. A member of another width does not run.

    ## Example
    `codec_vocab` has 6 entries; the members take `codec_onehot [batch, 14]`.

    ## How to fix
    Export the manifest with the weights, at one vocabulary.
    """

    code = "ENS507"
    slug = "ensemble-width"

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        for at, field in ((0, "feature_order"), (1, "codec_vocab")):
            declared = ensemble.manifest.value.get(field)
            widths = {s.label: _width_at(s, at) for s in ensemble.seats}
            known = {w for w in widths.values() if w is not None}
            if isinstance(declared, list) and known - {len(declared)}:
                yield self.at(
                    ensemble.manifest,
                    (field,),
                    f"`{field}` has {len(declared)} entries; {_spread(widths)}",
                    "Export the manifest with the weights, at one vocabulary.",
                )
            elif len(known) > 1:
                yield self.at(
                    ensemble.manifest,
                    ("members",),
                    f"the members differ in the width of their input {at + 1}: {_spread(widths)}",
                    "Export all members in one run.",
                )
        opsets = {s.label: _opset(s) for s in ensemble.seats}
        if len({o for o in opsets.values() if o is not None}) > 1:
            yield self.at(
                ensemble.manifest,
                ("members",),
                f"the members differ in their opset: {_spread(opsets)}",
                "Export all members in one run.",
            )


class VocabularyDiffers(_EnsembleRule):
    """The sidecars of an ensemble do not have one vocabulary.

    ## What it does
    Compares `encoder_vocab` of the members' sidecars with each other. Only sidecars that describe
    the shipped bytes count.

    ## Why it matters
    Column 3 of the one-hot is one encoder for seed 0 and another for seed 1, and the mean of their
    scores means nothing.

    ## Example
    `["x264", "x265"]` for one seed, `["x265", "x264"]` for another.

    ## How to fix
    Export all members in one run.
    """

    code = "ENS508"
    slug = "vocabulary-differs"

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        found = [(s, s.sidecar.get("encoder_vocab")) for s in ensemble.seats if s.sidecar]
        known = [(s, v) for s, v in found if isinstance(v, list)]
        for seat, vocabulary in known[1:]:
            if vocabulary != known[0][1] and seat.sidecar is not None and seat.row is not None:
                yield self.at(
                    seat.sidecar,
                    ("encoder_vocab",),
                    f"`encoder_vocab` is not that of {known[0][0].label!r}",
                    "Export all members in one run.",
                    row=seat.row.row.label,
                )


class SmokeMixed(_EnsembleRule):
    """An ensemble is partly smoke and partly production.

    ## What it does
    Compares `smoke` of the members' rows with each other and with that of the manifest.

    ## Why it matters
    One placeholder among five trained seeds is enough to spoil the mean and the interval.

    ## Example
    The rows say `"smoke": false`, the manifest still says `"smoke": true`.

    ## How to fix
    `provenance promote --ensemble ID` flips rows and manifest together, on the evidence.
    """

    code = "ENS509"
    slug = "smoke-mixed"

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        rows = {s.label: s.row.row.smoke for s in ensemble.seats if s.row is not None}
        claimed = ensemble.manifest.value.get("smoke")
        if len(set(rows.values())) > 1:
            smoke = ", ".join(label for label, value in rows.items() if value)
            yield self.at(
                ensemble.manifest,
                ("members",),
                f"some members are smoke and others production; smoke are {smoke[:300]}",
                "Promote or hold the ensemble as a whole: provenance promote --ensemble ID",
            )
        elif rows and isinstance(claimed, bool) and claimed not in rows.values():
            says = "smoke" if claimed else "production"
            yield self.at(
                ensemble.manifest,
                ("smoke",),
                f"the manifest says {says}, the rows of all its members say otherwise",
                "Promote or hold the ensemble as a whole: provenance promote --ensemble ID",
            )


class VerdictMissing(_EnsembleRule):
    """A production ensemble has no gate verdict.

    ## What it does
    Looks for the verdict file of an ensemble that has production members: a JSON file beside the
    registry whose name starts with the ensemble's id, with a `verdict` and its `gate`.

    ## Why it matters
    Production means that the gate was passed. Without the numbers that is hearsay.

    ## Example
    Five rows with `"smoke": false`, and no `…_PROMOTE.json`.

    ## How to fix
    Run the gate and commit its verdict, or say `"smoke": true`.
    """

    code = "ENS510"
    slug = "verdict-missing"
    deferrable = False

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        if ensemble.production and ensemble.verdict is None:
            yield self.at(
                ensemble.manifest,
                ("id",),
                f"{len(ensemble.production)} production members, and no single gate verdict whose "
                f"name starts with {ensemble.manifest.id!r}",
                "Run the gate and commit its verdict, or hold the members as smoke.",
            )


class VerdictWrong(_EnsembleRule):
    """A gate verdict does not follow from its own numbers.

    ## What it does
    Computes mean, lowest seed and spread again from `per_seed_plccs`, compares them with the
    recorded ones and with the recorded thresholds, and derives the verdict. The same for the gate
    that each sidecar records. A number that is missing or not finite fails.

    ## Why it matters
    A verdict is PROMOTE or HOLD by its numbers, never by hand.

    ## Example
    One seed at 0.91, a threshold of 0.95, and the verdict PROMOTE.

    ## How to fix
    Run the gate again. Do not edit its result.
    """

    code = "ENS511"
    slug = "verdict-wrong"
    deferrable = False

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        verdict = ensemble.verdict
        if verdict is not None:
            for where, message in wrong_verdict(verdict):
                yield self.at(verdict, where, message, "Run the gate again.")
        for seat in ensemble.seats:
            if seat.sidecar is None or seat.row is None:
                continue
            for where, message in wrong_sidecar_gate(seat.sidecar):
                yield self.at(
                    seat.sidecar, where, message, "Run the gate again.", row=seat.row.row.label
                )


class VerdictDisagrees(_EnsembleRule):
    """A sidecar's record of the gate is not that of the verdict file.

    ## What it does
    Compares verdict, mean, spread and the seed's own number in each sidecar with the verdict file.
    Only sidecars that describe the shipped bytes count.

    ## Why it matters
    Two records of one evaluation differ: one of them is of another run.

    ## Example
    The verdict file has 0.9975 for seed 0, its sidecar 0.9972.

    ## How to fix
    Export verdict and sidecars together.
    """

    code = "ENS512"
    slug = "verdict-disagrees"

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        verdict = ensemble.verdict
        if verdict is None:
            return
        for seat in ensemble.seats:
            sidecar = seat.sidecar
            if sidecar is None or seat.row is None or not isinstance(sidecar.get("gate"), dict):
                continue
            pairs: list[tuple[str, Any]] = [
                ("verdict", verdict.verdict),
                ("mean_plcc", verdict.get("gate", "mean_plcc")),
                ("plcc_spread", verdict.get("gate", "plcc_spread")),
                ("this_seed_loso_plcc", verdict.get("gate", "per_seed_plccs", str(sidecar.seed))),
            ]
            for field, expected in pairs:
                found = sidecar.get("gate", field)
                if found is not None and found != expected:
                    yield self.at(
                        sidecar,
                        ("gate", field),
                        f"`gate.{field}` is {found!r}; {verdict.path} has {expected!r}",
                        "Export verdict and sidecars together.",
                        row=seat.row.row.label,
                    )


class VerdictHold(_EnsembleRule):
    """A production ensemble was not promoted by its gate.

    ## What it does
    Requires the verdict PROMOTE for an ensemble with production members.

    ## Why it matters
    HOLD means that the numbers did not reach their thresholds. Somebody flipped the rows anyway.

    ## Example
    `"smoke": false`, and a verdict file with HOLD.

    ## How to fix
    Put `"smoke": true` back, and train again.
    """

    code = "ENS513"
    slug = "verdict-hold"
    deferrable = False

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        verdict = ensemble.verdict
        if verdict is not None and ensemble.production and verdict.verdict != "PROMOTE":
            yield self.at(
                verdict,
                ("verdict",),
                f"the verdict is {verdict.verdict!r}, and {len(ensemble.production)} members are "
                "production",
                'Put "smoke": true back until the gate says PROMOTE.',
            )


class CorpusDiffers(_EnsembleRule):
    """A verdict and the sidecars were not made from one corpus.

    ## What it does
    Compares the corpus digest of the verdict with those of the members' sidecars. For production
    members the verdict must have one. Only sidecars that describe the shipped bytes count.

    ## Why it matters
    A verdict about one corpus says nothing about weights that were fitted on another.

    ## Example
    `"corpus": {"sha256": null}` in the verdict.

    ## How to fix
    Run the gate with the corpus at hand, so that it records the digest.
    """

    code = "ENS514"
    slug = "corpus-differs"

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        verdict = ensemble.verdict
        if verdict is None:
            return
        recorded = verdict.text_at("corpus", "sha256")
        corpora = {corpus_of(s.sidecar)[1] for s in ensemble.seats if s.sidecar is not None}
        corpora.discard(None)
        if recorded is None and ensemble.production:
            yield self.at(
                verdict,
                ("corpus", "sha256"),
                "the verdict names no corpus digest"
                + (f"; the sidecars have {_digests(corpora)}" if corpora else ""),
                "Run the gate with the corpus at hand, so that it records the digest.",
            )
        elif recorded is not None and corpora - {recorded}:
            yield self.at(
                verdict,
                ("corpus", "sha256"),
                f"the verdict is about corpus {short(recorded)}; the sidecars have "
                f"{_digests(corpora)}",
                "Run the gate on the corpus that the members were fitted on.",
            )


def wrong_verdict(verdict: GateVerdict) -> Iterator[tuple[tuple[str, ...], str]]:
    """What does not follow from a verdict's own numbers: the member, and why."""
    gate = verdict.get("gate")
    numbers = verdict.get("gate", "per_seed_plccs")
    if not isinstance(gate, dict) or not isinstance(numbers, dict) or not numbers:
        yield ("gate",), "the verdict records no `per_seed_plccs`"
        return
    values = [v for v in map(_number, numbers.values()) if v is not None]
    if len(values) != len(numbers):
        yield ("gate", "per_seed_plccs"), "`per_seed_plccs` holds something that is no number"
        return
    seeds = verdict.value.get("seeds")
    if isinstance(seeds, list) and sorted(map(str, seeds)) != sorted(numbers):
        yield ("seeds",), f"`seeds` is {seeds!r}; `per_seed_plccs` has {sorted(numbers)}"
    mean, spread = math.fsum(values) / len(values), max(values) - min(values)
    limits: dict[str, float] = {}
    for name in ("mean_plcc_threshold", "per_seed_min", "plcc_spread_max"):
        limit = _number(gate.get(name))
        if limit is None:
            yield ("gate", name), f"`{name}` is {gate.get(name)!r}, not a number"
            return
        limits[name] = limit
    by_seed = zip(numbers, values, strict=True)
    failing = sorted(seed for seed, value in by_seed if not value >= limits["per_seed_min"])
    expected: Mapping[str, Any] = {
        "mean_plcc": mean,
        "plcc_spread": spread,
        "mean_plcc_pass": mean >= limits["mean_plcc_threshold"],
        "per_seed_pass": not failing,
        "plcc_spread_pass": spread <= limits["plcc_spread_max"],
    }
    passed = all(expected[n] for n in ("mean_plcc_pass", "per_seed_pass", "plcc_spread_pass"))
    for name, value in {**expected, "passed": passed}.items():
        found = gate.get(name)
        if found is not None and not _close(found, value):
            yield ("gate", name), f"`{name}` is {found!r}; its numbers give {value!r}"
    listed = gate.get("failing_seeds")
    if isinstance(listed, list) and sorted(map(str, listed)) != failing:
        yield ("gate", "failing_seeds"), f"`failing_seeds` is {listed!r}; they are {failing}"
    word = "PROMOTE" if passed else "HOLD"
    if verdict.verdict != word:
        yield ("verdict",), f"the verdict is {verdict.verdict!r}; its numbers give {word}"


def wrong_sidecar_gate(sidecar: Sidecar) -> Iterator[tuple[tuple[str, ...], str]]:
    """What does not follow from the numbers of the gate that a sidecar records."""
    gate = sidecar.get("gate")
    if not isinstance(gate, dict):
        return
    checks = (
        ("mean_plcc", "mean_plcc_threshold", True),
        ("this_seed_loso_plcc", "per_seed_min_threshold", True),
        ("plcc_spread", "plcc_spread_max", False),
    )
    passed = True
    for name, limit_name, at_least in checks:
        value, limit = _number(gate.get(name)), _number(gate.get(limit_name))
        if value is None or limit is None:
            yield ("gate", name), f"`{name}` or `{limit_name}` is not a number"
            return
        passed = passed and (value >= limit if at_least else value <= limit)
    # A sidecar has only its own seed's number: it can refute a pass, and never a failure.
    if not passed and (gate.get("passed") is True or gate.get("verdict") == "PROMOTE"):
        found = "PROMOTE" if gate.get("verdict") == "PROMOTE" else "passed"
        yield ("gate", "verdict"), f"the gate says {found}; its numbers do not reach its thresholds"
    elif isinstance(gate.get("passed"), bool) and (
        gate.get("verdict") == "PROMOTE"
    ) is not gate.get("passed"):
        yield (
            ("gate", "verdict"),
            f"`verdict` is {gate.get('verdict')!r} and `passed` is {gate.get('passed')}",
        )


def _number(value: object) -> float | None:
    """A finite number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _close(found: object, value: float | bool) -> bool:
    if isinstance(value, bool):
        return found is value
    number = _number(found)
    return number is not None and abs(number - value) <= TOLERANCE


def _width_at(seat: Seat, at: int) -> int | None:
    facts = seat.row.onnx.facts if seat.row and seat.row.onnx else None
    if facts is None or at >= len(facts.inputs):
        return None
    return input_width(facts.inputs[at])


def _opset(seat: Seat) -> int | None:
    facts = seat.row.onnx.facts if seat.row and seat.row.onnx else None
    return None if facts is None else facts.opsets.get("", facts.opsets.get("ai.onnx"))


def _spread(values: Mapping[str, int | None]) -> str:
    by_value: dict[int, list[str]] = {}
    for label, value in values.items():
        if value is not None:
            by_value.setdefault(value, []).append(label)
    if len(by_value) == 1:
        value = next(iter(by_value))
        return f"all members have {value}"
    return "; ".join(f"{value}: {', '.join(labels)}" for value, labels in by_value.items())[:300]


def _digests(values: Iterable[str | None]) -> str:
    return ", ".join(sorted(short(v) for v in values))


RULES: Iterable[type[Rule]] = (
    MemberMissing,
    MemberTwice,
    MemberUnlisted,
    MemberDigest,
    EnsembleSize,
    SeedDiffers,
    EnsembleWidth,
    VocabularyDiffers,
    SmokeMixed,
    VerdictMissing,
    VerdictWrong,
    VerdictDisagrees,
    VerdictHold,
    CorpusDiffers,
)
