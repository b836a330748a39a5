# SPDX-License-Identifier: Apache-2.0
"""ENS5xx: an ensemble is its members, one vocabulary, and a verdict that its numbers give."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from provenance.artifacts.digest import is_sha256
from provenance.artifacts.ensemble import (
    GateVerdict,
    Manifest,
    Member,
    is_gate_verdict,
    verdict_for,
)
from provenance.artifacts.sidecar import Document, Sidecar
from provenance.attestations.predicates import corpus_of
from provenance.gate.evidence import Evidence, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import Case, Rule, short
from provenance.gate.rules.sidecars import describes_its_model, input_width

TOLERANCE: Final = 1e-9
"""How far a recomputed mean or spread may be from the recorded one: summation order, no more."""

ROUNDED_TO: Final = 4
"""The fewest decimals of a number that may have been rounded for the record."""


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
        """The member's sidecar, unless it is known to describe other bytes (SID402 says that)."""
        row = self.row
        if row is None or row.onnx is None or row.sidecar is None or row.sidecar.sidecar is None:
            return None
        sidecar = row.sidecar.sidecar
        unlinked = sidecar.claimed_sha256 is None
        return sidecar if unlinked or describes_its_model(row.onnx, sidecar) else None


@dataclass(frozen=True)
class Ensemble:
    """A manifest, its members with their rows, and the verdicts on it."""

    manifest: Manifest
    seats: tuple[Seat, ...]
    verdicts: tuple[GateVerdict, ...]

    @property
    def verdict(self) -> GateVerdict | None:
        """The one verdict on the ensemble, None where there is none or more than one."""
        return self.verdicts[0] if len(self.verdicts) == 1 else None

    @property
    def production(self) -> tuple[Seat, ...]:
        """The members whose rows say production."""
        return tuple(s for s in self.seats if s.row is not None and not s.row.row.smoke)

    @property
    def records(self) -> Iterator[tuple[Document, int | None, str | None]]:
        """What repeats the gate beside the verdict file: document, seed and row, where of one."""
        if self.verdict is not None and self.verdict.path != self.manifest.path:
            yield self.manifest, None, None
        for seat in self.seats:
            if seat.sidecar is not None and seat.row is not None:
                yield seat.sidecar, seat.sidecar.seed, seat.row.row.label


def ensembles(evidence: Evidence) -> Iterator[Ensemble]:
    """All ensembles beside the registry. Only a whole registry shows who is missing."""
    if not evidence.whole:
        return
    rows: dict[str, list[RowEvidence]] = {}
    for row in evidence.rows:
        if row.row.onnx:
            rows.setdefault(row.row.onnx, []).append(row)
    by_name = sorted((_name(d), i, d) for i, d in enumerate(_verdicts(evidence)))
    names = [name for name, _, _ in by_name]
    claimed = set(_claims(evidence))
    for document in evidence.documents:
        if not isinstance(document, Manifest):
            continue
        seats = tuple(_seats(document, rows))
        # `members` alone is any list of anything.
        if document.id not in claimed and not any(s.member.onnx for s in seats):
            continue
        verdicts = []
        # All names that start with the id stand together: no search through every verdict.
        start = bisect_left(names, document.id) if document.id else len(names)
        for at in range(start, len(names)):
            if not names[at].startswith(document.id or ""):
                break
            verdict = by_name[at][2]
            if verdict_for(document, (verdict,)) is not None:
                verdicts.append(verdict)
        if not verdicts and is_gate_verdict(document.value):
            own = document
            verdicts = [GateVerdict(own.path, own.digest, own.text, own.value)]
        yield Ensemble(document, seats, tuple(verdicts))


def _verdicts(evidence: Evidence) -> Iterator[GateVerdict]:
    return (d for d in evidence.documents if isinstance(d, GateVerdict))


def _name(document: Document) -> str:
    return document.path.rpartition("/")[2]


def _claims(evidence: Evidence) -> dict[str, list[RowEvidence]]:
    """The rows that say which ensemble they belong to, by its id."""
    found: dict[str, list[RowEvidence]] = {}
    for row in evidence.rows:
        sidecar = row.sidecar.sidecar if row.sidecar else None
        id = sidecar.text_at("ensemble_id") if sidecar else None
        if id is not None:
            found.setdefault(id, []).append(row)
    return found


def _seats(manifest: Manifest, rows: Mapping[str, list[RowEvidence]]) -> Iterator[Seat]:
    listed = manifest.value["members"]
    places = [i for i, member in enumerate(listed) if isinstance(member, dict)]
    for index, member in zip(places, manifest.members, strict=True):
        shipping = rows.get(member.onnx or "", [])
        named = [r for r in shipping if r.row.text("id") == member.id]
        yield Seat(index, member, next(iter(named or shipping), None))


class _EnsembleRule(Rule):
    """A rule about an ensemble as a whole, or (`about_rows`) about its members one by one."""

    needs_whole = True
    about_rows = False

    def judge(self, case: Case) -> Iterator[Finding]:
        for ensemble in ensembles(case.evidence):
            yield from self.conclude(case, ensemble)

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        raise NotImplementedError

    def at(
        self,
        ensemble: Ensemble,
        document: Document,
        where: tuple[str | int, ...],
        message: str,
        help: str,
        row: str | None = None,
    ) -> Finding:
        """A finding at a member of a document, or at what holds it where it is missing."""
        position = document.locate(*_existing(document, where))
        return self.finding(
            message,
            help,
            path=document.path,
            row=row,
            position=position,
            ensemble=ensemble.manifest.id,
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
        for index, member in enumerate(ensemble.manifest.value["members"]):
            if not isinstance(member, dict):
                yield self.at(
                    ensemble,
                    ensemble.manifest,
                    ("members", index),
                    f"the member {_shown(member)} names no model: it is no object",
                    'Write it as {"id": …, "onnx": …, "seed": …, "sha256": …}.',
                )
        for seat in ensemble.seats:
            where = ("members", seat.index)
            if seat.row is None:
                yield self.at(
                    ensemble,
                    ensemble.manifest,
                    where,
                    f"no row ships the member {seat.label!r}"
                    + (f" ({seat.member.onnx})" if seat.member.onnx else ", which names no `onnx`"),
                    "Add the row, or export the manifest for the members that are shipped.",
                )
            elif seat.member.id and seat.row.row.text("id") not in (None, seat.member.id):
                yield self.at(
                    ensemble,
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
    Compares the ids, files and seeds of a manifest's members with each other, and the bytes of its
    production members.

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
        first: dict[tuple[str, str | int], Seat] = {}
        for seat in ensemble.seats:
            marks: dict[str, str | int | None] = {
                field: getattr(seat.member, field) for field in ("id", "onnx", "seed")
            }
            # Placeholders may well be one file under several names.
            if seat.row is not None and seat.row.onnx is not None and not seat.row.row.smoke:
                marks["sha256"] = seat.row.onnx.sha256
            known = [(f, v) for f, v in marks.items() if v is not None]
            again = [(f, first[f, v]) for f, v in known if (f, v) in first]
            if again:
                field, other = again[0]
                yield self.at(
                    ensemble,
                    ensemble.manifest,
                    ("members", seat.index, field),
                    f"{seat.label!r} has the {', '.join(f for f, _ in again)} of {other.label!r}",
                    "Export the manifest again: each member is one seed.",
                )
            for mark in known:
                first.setdefault(mark, seat)


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
    deferrable = True
    about_rows = True

    def judge(self, case: Case) -> Iterator[Finding]:
        claims = _claims(case.evidence)
        for ensemble in ensembles(case.evidence):
            listed = {s.member.onnx for s in ensemble.seats}
            for row in claims.get(ensemble.manifest.id or "", []):
                if row.row.onnx not in listed:
                    yield self.at(
                        ensemble,
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
    Compares `sha256` of each member with the bytes of its file. Where manifest and row agree on
    another digest, the file was replaced: ART302 says so.

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

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        for seat in ensemble.seats:
            model = seat.row.onnx if seat.row else None
            actual = model.sha256 if model else None
            claimed = seat.member.sha256
            if seat.row is None or actual is None or claimed == actual:
                continue
            if claimed is not None and claimed == seat.row.row.text("sha256"):
                continue  # ART302 says that the file is another than both of them name
            shown = short(claimed) if is_sha256(claimed) else _shown(claimed)
            says = f"the manifest has {shown if claimed is not None else 'no digest'}"
            yield self.at(
                ensemble,
                ensemble.manifest,
                ("members", seat.index, "sha256"),
                f"{says} for {seat.member.onnx}; the file is {short(actual)}",
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
        count = len(ensemble.manifest.value["members"])
        size = ensemble.manifest.value.get("ensemble_size")
        if size is not None and (isinstance(size, bool) or size != count):
            yield self.at(
                ensemble,
                ensemble.manifest,
                ("ensemble_size",),
                f"`ensemble_size` is {_shown(size)}; there are {count} members",
                "Export the manifest again.",
            )


class SeedDiffers(_EnsembleRule):
    """A member's seed is not the one in its sidecar.

    ## What it does
    Compares `seed` in the manifest with `seed` in the sidecar of the same model, unless that
    describes other bytes.

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

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        listed = any(s.member.seed is not None for s in ensemble.seats)
        for seat in ensemble.seats:
            sidecar = seat.sidecar
            if not listed or seat.row is None or sidecar is None or sidecar.seed is None:
                continue
            if sidecar.seed != seat.member.seed:
                here = "missing" if seat.member.seed is None else str(seat.member.seed)
                yield self.at(
                    ensemble,
                    ensemble.manifest,
                    ("members", seat.index, "seed"),
                    f"the seed of {seat.label!r} is {here} here and {sidecar.seed} in "
                    f"{sidecar.path}",
                    "Export manifest and sidecars together.",
                    row=seat.row.row.label,
                )


class EnsembleWidth(_EnsembleRule):
    """The members of an ensemble do not take the input that its manifest describes.

    ## What it does
    Compares `codec_vocab` and `feature_order` of the manifest with the inputs of the members, and
    the members' input widths and opsets with each other. Where the sidecars' `codec_block_layout`
    says that more than the one-hot is in the codec block, `codec_vocab` may be the one-hot alone.

    ## Why it matters
    The consumer builds one input for all members. A member of another width does not run.

    ## Example
    `codec_vocab` has 6 entries; the members take `codec_onehot [batch, 14]`.

    ## How to fix
    Export the manifest with the weights, at one vocabulary.
    """

    code = "ENS507"
    slug = "ensemble-width"
    deferrable = True

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        for at, field in ((0, "feature_order"), (1, "codec_vocab")):
            declared = ensemble.manifest.value.get(field)
            widths = {s.index: _width_at(s, at) for s in ensemble.seats}
            known = {w for w in widths.values() if w is not None}
            wrong = isinstance(declared, list) and any(
                width is not None and len(declared) not in (width, _onehot(s, at, width))
                for s, width in zip(ensemble.seats, widths.values(), strict=True)
            )
            if isinstance(declared, list) and wrong:
                yield self.at(
                    ensemble,
                    ensemble.manifest,
                    (field,),
                    f"`{field}` has {len(declared)} entries; {_spread(ensemble, widths)}",
                    "Export the manifest with the weights, at one vocabulary.",
                )
            elif len(known) > 1:
                yield self.at(
                    ensemble,
                    ensemble.manifest,
                    ("members",),
                    f"the members differ in the width of input {at + 1}: "
                    f"{_spread(ensemble, widths)}",
                    "Export all members in one run.",
                )
        opsets = {s.index: _opset(s) for s in ensemble.seats}
        if len({o for o in opsets.values() if o is not None}) > 1:
            yield self.at(
                ensemble,
                ensemble.manifest,
                ("members",),
                f"the members differ in their opset: {_spread(ensemble, opsets)}",
                "Export all members in one run.",
            )


class VocabularyDiffers(_EnsembleRule):
    """An ensemble does not have one vocabulary, or one order of features.

    ## What it does
    Compares `encoder_vocab` and `feature_order` of the members' sidecars with each other, and with
    `codec_vocab` and `feature_order` of the manifest where these are as long (ENS507 compares
    lengths). A sidecar that is known to describe other bytes does not count.

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
    about_rows = True

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        for field, in_manifest in (("encoder_vocab", "codec_vocab"), ("feature_order",) * 2):
            found = [
                (seat.row.row.label, seat.sidecar, value)
                for seat in ensemble.seats
                if seat.row is not None
                and seat.sidecar is not None
                and isinstance(value := seat.sidecar.get(field), list)
            ]
            if not found:
                continue
            expected, source = ensemble.manifest.value.get(in_manifest), "the manifest"
            if not isinstance(expected, list) or len(expected) != len(found[0][2]):
                expected, source = found[0][2], repr(found[0][0])
            for label, sidecar, value in found:
                if value != expected:
                    yield self.at(
                        ensemble,
                        sidecar,
                        (field,),
                        f"`{field}` is not that of {source}{_first_difference(value, expected)}",
                        "Export manifest and all members in one run.",
                        row=label,
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
    Promote or hold the ensemble as a whole: one flag for its rows and its manifest, on the
    evidence.
    """

    code = "ENS509"
    slug = "smoke-mixed"

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        rows = {s.row.row.label: s.row.row.smoke for s in ensemble.seats if s.row is not None}
        claimed = ensemble.manifest.value.get("smoke")
        if len(set(rows.values())) > 1:
            smoke = ", ".join(label for label, value in rows.items() if value)
            yield self.at(
                ensemble,
                ensemble.manifest,
                ("members",),
                f"some members are smoke and others production; smoke are {smoke[:300]}",
                "Promote or hold the ensemble as a whole.",
            )
        elif rows and isinstance(claimed, bool) and claimed not in rows.values():
            says = "smoke" if claimed else "production"
            yield self.at(
                ensemble,
                ensemble.manifest,
                ("smoke",),
                f"the manifest says {says}, the rows of all its members say otherwise",
                "Promote or hold the ensemble as a whole.",
            )


class VerdictMissing(_EnsembleRule):
    """A production ensemble has no gate verdict.

    ## What it does
    Looks for the verdict file of an ensemble that has production members: a JSON file beside the
    registry whose name starts with the ensemble's id, with a `verdict` and its `gate`; or the
    manifest itself, where it has both.

    ## Why it matters
    Production means that the gate was passed. Without the numbers that is hearsay.

    ## Example
    Five rows with `"smoke": false`, and no `…_PROMOTE.json`.

    ## How to fix
    Run the gate and commit its verdict, or say `"smoke": true`.
    """

    code = "ENS510"
    slug = "verdict-missing"

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        if ensemble.production and ensemble.verdict is None:
            count = f"{len(ensemble.production)} production members"
            several = ", ".join(v.path for v in ensemble.verdicts)[:300]
            yield self.at(
                ensemble,
                ensemble.manifest,
                ("id",),
                f"{count}, and several gate verdicts: {several}"
                if several
                else f"{count}, and no gate verdict whose name starts with "
                f"{ensemble.manifest.id!r}",
                "Keep the verdict on these members, and move the others elsewhere."
                if several
                else "Run the gate and commit its verdict, or hold the members as smoke.",
            )


class VerdictWrong(_EnsembleRule):
    """A gate verdict does not follow from its own numbers.

    ## What it does
    Computes mean, lowest seed and spread again from `per_seed_plccs`, compares them with the
    recorded ones and with the recorded thresholds, and derives the verdict. A condition fails
    where its number is missing, not finite, or no correlation. The same for the gate that a
    sidecar or the manifest repeats, as far as it has numbers; a sidecar that is known to describe
    other bytes does not count.

    ## Why it matters
    A verdict is PROMOTE or HOLD by its numbers, never by hand.

    ## Example
    One seed at 0.91, a threshold of 0.95, and the verdict PROMOTE.

    ## How to fix
    Run the gate again. Do not edit its result.
    """

    code = "ENS511"
    slug = "verdict-wrong"

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        for verdict in ensemble.verdicts:
            for where, message in wrong_verdict(verdict):
                yield self.at(ensemble, verdict, where, message, "Run the gate again.")
        for document, _, row in ensemble.records:
            for where, message in wrong_sidecar_gate(document):
                yield self.at(ensemble, document, where, message, "Run the gate again.", row=row)


class VerdictDisagrees(_EnsembleRule):
    """The records of one gate are not about one ensemble.

    ## What it does
    Compares verdict, numbers and thresholds of the gate in each sidecar with the verdict file; and
    the verdict file's `ensemble_id` and seeds with the manifest, unless all sidecars describe other
    bytes. A number that was rounded to four decimals or more is the same number.

    ## Why it matters
    Two records of one evaluation differ: one of them is of another run. A mean over a seed that is
    not shipped is the mean of another ensemble.

    ## Example
    The verdict file has 0.9975 for seed 0, its sidecar 0.9972.

    ## How to fix
    Export verdict, manifest and sidecars together.
    """

    code = "ENS512"
    slug = "verdict-disagrees"

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        verdict = ensemble.verdict
        if verdict is None:
            return
        help = "Export verdict, manifest and sidecars together."
        for document, seed, row in ensemble.records:
            gate = document.get("gate")
            if not isinstance(gate, dict):
                continue
            for field, expected in _recorded(verdict, seed):
                found = gate.get(field)
                if found is None or expected is None or _same(found, expected):
                    continue
                yield self.at(
                    ensemble,
                    document,
                    ("gate", field),
                    f"`gate.{field}` is {_shown(found)}; {verdict.path} has {_shown(expected)}",
                    help,
                    row=row,
                )
        named = verdict.text_at("ensemble_id")
        if named is not None and named != ensemble.manifest.id:
            yield self.at(
                ensemble,
                verdict,
                ("ensemble_id",),
                f"the verdict is on {named[:80]!r}; by its name it is on {ensemble.manifest.id!r}",
                help,
            )
        numbers = verdict.get("gate", "per_seed_plccs")
        seeds = [s.member.seed for s in ensemble.seats]
        current = ensemble.production or any(s.sidecar for s in ensemble.seats)
        if not current or not isinstance(numbers, dict) or None in seeds:
            return
        judged, shipped = set(numbers), {str(s) for s in seeds}
        for seeds_of_one, says in (
            (shipped - judged, "the verdict has no number for the members with seed"),
            (judged - shipped, "the verdict counts seeds of which there is no member:"),
        ):
            if seeds_of_one:
                yield self.at(
                    ensemble,
                    verdict,
                    ("gate", "per_seed_plccs"),
                    f"{says} {', '.join(sorted(seeds_of_one))[:200]}",
                    help,
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

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        verdict = ensemble.verdict
        if verdict is not None and ensemble.production and verdict.verdict != "PROMOTE":
            yield self.at(
                ensemble,
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
    members the verdict must have one. A sidecar that is known to describe other bytes does not
    count.

    ## Why it matters
    A verdict about one corpus says nothing about weights that were fitted on another.

    ## Example
    `"corpus": {"sha256": null}` in the verdict.

    ## How to fix
    Run the gate with the corpus at hand, so that it records the digest.
    """

    code = "ENS514"
    slug = "corpus-differs"
    deferrable = True

    def conclude(self, case: Case, ensemble: Ensemble) -> Iterator[Finding]:
        verdict = ensemble.verdict
        if verdict is None:
            return
        recorded = verdict.text_at("corpus", "sha256") or verdict.text_at("corpus_sha256")
        corpora = {corpus_of(s.sidecar)[1] for s in ensemble.seats if s.sidecar is not None}
        corpora.discard(None)
        if not is_sha256(recorded) and ensemble.production:
            yield self.at(
                ensemble,
                verdict,
                ("corpus", "sha256"),
                "the verdict names no corpus digest"
                + (f"; the sidecars have {_digests(corpora)}" if corpora else ""),
                "Run the gate with the corpus at hand, so that it records the digest.",
            )
        elif recorded is not None and corpora - {recorded}:
            yield self.at(
                ensemble,
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
        if verdict.verdict != "HOLD":  # which needs no evidence
            yield (
                ("verdict",),
                f"the verdict is {_shown(verdict.verdict)}, and it records no `per_seed_plccs`",
            )
        return
    seeds = verdict.value.get("seeds")
    if isinstance(seeds, list) and sorted(map(str, seeds)) != sorted(numbers):
        yield ("seeds",), f"`seeds` is {_shown(seeds)}; `per_seed_plccs` has {sorted(numbers)}"
    by_seed = {seed: _plcc(value) for seed, value in numbers.items()}
    values = [v for v in by_seed.values() if v is not None]
    mean = spread = None
    if len(values) == len(by_seed):
        mean, spread = math.fsum(values) / len(values), max(values) - min(values)
        unit = max(map(_unit, values))
        for name, value, slack in (("mean_plcc", mean, unit), ("plcc_spread", spread, 2 * unit)):
            found = gate.get(name)
            if found is not None and not _close(found, value, slack):
                yield ("gate", name), f"`{name}` is {_shown(found)}; its numbers give {value!r}"
    lowest = _number(gate.get("per_seed_min"))
    failing = sorted(
        seed for seed, v in by_seed.items() if v is None or lowest is None or v < lowest
    )
    listed = gate.get("failing_seeds")
    if lowest is not None and isinstance(listed, list) and sorted(map(str, listed)) != failing:
        yield ("gate", "failing_seeds"), f"`failing_seeds` is {_shown(listed)}; they are {failing}"
    holds: list[str] = []
    certain = True
    for flag, name, limit_name, reached in (
        (
            "mean_plcc_pass",
            "the mean",
            "mean_plcc_threshold",
            _reaches(mean, _number(gate.get("mean_plcc_threshold"))),
        ),
        ("per_seed_pass", f"each seed ({', '.join(failing)})", "per_seed_min", not failing),
        (
            "plcc_spread_pass",
            "the spread",
            "plcc_spread_max",
            _reaches(_number(gate.get("plcc_spread_max")), spread),
        ),
    ):
        found = gate.get(flag)
        unlimited = _number(gate.get(limit_name)) is None
        known = not unlimited and (mean is not None or flag == "per_seed_pass")
        # On the threshold itself, the order of a sum decides: the record does then.
        passed = found if reached is None and isinstance(found, bool) else reached
        if passed is None:
            certain = False
        elif found is not None and known and found is not passed:
            yield ("gate", flag), f"`{flag}` is {_shown(found)}; its numbers give {passed}"
        if passed is False or not known:
            why = f"`{limit_name}` is no number" if unlimited else f"{name} fails `{limit_name}`"
            holds.append(why if known or unlimited else f"a seed has no number for `{limit_name}`")
    word = "HOLD" if holds else "PROMOTE"
    claims = gate.get("passed")
    if claims is not None and claims is not (verdict.verdict == "PROMOTE"):
        says = f"`passed` is {_shown(claims)}; the verdict is {_shown(verdict.verdict)}"
        yield ("gate", "passed"), says
    if verdict.verdict != word and (certain or holds or verdict.verdict != "HOLD"):
        why = f": {'; '.join(holds)}" if holds else ""
        says = f"the verdict is {_shown(verdict.verdict)}; its numbers give {word}{why}"
        yield ("verdict",), says[:400]


def wrong_sidecar_gate(document: Document) -> Iterator[tuple[tuple[str, ...], str]]:
    """What does not follow from the numbers of the gate that a sidecar or a manifest repeats.

    A sidecar has only its own seed's number: it can refute a pass, and never a failure. What it
    does not repeat is for the verdict file to show.
    """
    gate = document.get("gate")
    if not isinstance(gate, dict):
        return
    failed = []
    for name, limit_name, at_least in (
        ("mean_plcc", "mean_plcc_threshold", True),
        ("this_seed_loso_plcc", "per_seed_min_threshold", True),
        ("plcc_spread", "plcc_spread_max", False),
    ):
        if limit_name not in gate and (name not in gate or _plcc(gate[name]) is not None):
            continue
        if name not in gate and isinstance(document, Manifest):
            continue  # a manifest is of no single seed
        value = _number(gate.get(name)) if name == "plcc_spread" else _plcc(gate.get(name))
        limit = _number(gate.get(limit_name))
        if value is None or limit is None:
            failed.append(f"`{name}` or `{limit_name}` is not a number")
        elif _reaches(*((value, limit) if at_least else (limit, value))) is False:
            failed.append(f"`{name}` {value!r} fails `{limit_name}` {limit!r}")
    word, passed = gate.get("verdict"), gate.get("passed")
    where = ("gate", "verdict") if "verdict" in gate else ("gate", "passed")
    if failed and (word == "PROMOTE" or passed is True):
        says = "PROMOTE" if word == "PROMOTE" else "passed"
        yield where, f"the gate says {says}; {'; '.join(failed)}"
    elif isinstance(word, str) and isinstance(passed, bool) and (word == "PROMOTE") is not passed:
        yield where, f"`verdict` is {_shown(word)} and `passed` is {passed}"


def _recorded(verdict: GateVerdict, seed: int | None) -> Iterator[tuple[str, Any]]:
    """What a verdict says of each field of the gate that a sidecar repeats; None where nothing."""
    yield "verdict", verdict.verdict
    for field in ("passed", "mean_plcc", "mean_plcc_threshold", "plcc_spread", "plcc_spread_max"):
        yield field, verdict.get("gate", field)
    yield "per_seed_min_threshold", verdict.get("gate", "per_seed_min")
    if seed is not None:
        yield "this_seed_loso_plcc", verdict.get("gate", "per_seed_plccs", str(seed))


def _number(value: object) -> float | None:
    """A finite number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON's integers have no end
        return None
    return number if math.isfinite(number) else None


def _plcc(value: object) -> float | None:
    """A number that a correlation can be, None for anything else."""
    number = _number(value)
    return number if number is not None and abs(number) <= 1 + TOLERANCE else None


def _reaches(value: float | None, limit: float | None) -> bool | None:
    """Whether `value` is at least `limit`; None where the two cannot be told apart."""
    if value is None or limit is None:
        return False
    return None if 0 < abs(value - limit) <= TOLERANCE else value >= limit


def _unit(number: float) -> float:
    """Half a unit in the last decimal of a number, where that may have been rounded."""
    exponent = Decimal(repr(number)).as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else ROUNDED_TO
    return float(0.5 * 10.0 ** -max(decimals, ROUNDED_TO))


def _close(found: object, value: float, slack: float = 0.0) -> bool:
    """Whether a recorded number is `value`, give or take how exactly both were written."""
    number = _number(found)
    return number is not None and abs(number - value) <= TOLERANCE + _unit(number) + slack


def _same(found: object, expected: object) -> bool:
    number = _number(expected)
    return found == expected if number is None else _close(found, number, _unit(number))


def _width_at(seat: Seat, at: int) -> int | None:
    """The width of the input that holds the features (0) or the codec block (1)."""
    facts = seat.row.onnx.facts if seat.row and seat.row.onnx else None
    if facts is None:
        return None
    names = seat.sidecar.input_names if seat.sidecar else ()
    if at < len(names):
        named = [spec for spec in facts.inputs if spec.name == names[at]]
        return input_width(named[0]) if named else None
    return input_width(facts.inputs[at]) if at < len(facts.inputs) else None


def _onehot(seat: Seat, at: int, width: int) -> int:
    """How many columns of the codec block are the one-hot; all, where no layout says otherwise."""
    layout = seat.sidecar.get("codec_block_layout") if seat.sidecar and at == 1 else None
    encoders = seat.sidecar.layout_encoders if seat.sidecar else None
    whole = isinstance(layout, list) and len(layout) == width
    return len(encoders) if whole and encoders else width


def _opset(seat: Seat) -> int | None:
    facts = seat.row.onnx.facts if seat.row and seat.row.onnx else None
    return None if facts is None else facts.opsets.get("", facts.opsets.get("ai.onnx"))


def _spread(ensemble: Ensemble, values: Mapping[int, int | None]) -> str:
    """Which members have which value."""
    by_value: dict[int, list[str]] = {}
    for seat in ensemble.seats:
        value = values[seat.index]
        if value is not None:
            by_value.setdefault(value, []).append(seat.label)
    if len(by_value) == 1:
        return f"all members have {next(iter(by_value))}"
    return "; ".join(f"{value}: {', '.join(labels)}" for value, labels in by_value.items())[:300]


def _first_difference(found: list[Any], expected: list[Any]) -> str:
    for i, (mine, theirs) in enumerate(zip(found, expected, strict=False)):
        if mine != theirs:
            return f": entry {i} is {_shown(mine)} here and {_shown(theirs)} there"
    return f": {len(found)} entries here and {len(expected)} there"


def _shown(value: object) -> str:
    """A value of a document in a message: short, whatever it is."""
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"


def _existing(document: Document, where: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """As much of a path as there is in the document."""
    here: Any = document.value
    for n, step in enumerate(where):
        in_object = isinstance(here, dict) and step in here
        in_list = isinstance(here, list) and isinstance(step, int) and step < len(here)
        if not in_object and not in_list:
            return where[:n]
        here = here[step]
    return where


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
