# SPDX-License-Identifier: Apache-2.0
"""Compare the records of one gate: the verdict file, the manifest and the sidecars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from provenance.artifacts.ensemble import GateVerdict
from provenance.artifacts.sidecar import Document, Sidecar
from provenance.config.gates import PLCC_NAMES as NAMES
from provenance.evidence.ensembles import Ensemble, current_sidecar
from provenance.evidence.recorded import number, same
from provenance.frozen import dataclass
from provenance.gate.rules.base import shown
from provenance.gate.rules.ensembles.base import Agreement, Claim
from provenance.gate.rules.ensembles.verdicts import not_passed, wrong_gate, wrong_verdict
from provenance.gate.rules.forms import Place

_REPEATED: Final[tuple[tuple[Place, Place], ...]] = (
    (("gate", "verdict"), ("verdict",)),
    (("verdict",), ("verdict",)),
    (("gate", "passed"), ("gate", "passed")),
    (("gate_passed",), ("gate", "passed")),
    (("gate", NAMES.mean), ("gate", NAMES.mean)),
    ((NAMES.flat_mean,), ("gate", NAMES.mean)),
    (("gate", NAMES.threshold), ("gate", NAMES.threshold)),
    (("gate", NAMES.own_least), ("gate", NAMES.least)),
    (("gate", NAMES.spread), ("gate", NAMES.spread)),
    (("gate", NAMES.most), ("gate", NAMES.most)),
)
"""The fields that a sidecar or a manifest may repeat, each with its path in the verdict file."""

_OWN_MEAN: Final = (NAMES.flat_mean,)
_OWN_NUMBER: Final = ("gate", NAMES.own)
_NUMBERS: Final = ("gate", NAMES.values)


@dataclass(frozen=True)
class Disagreement:
    """A field of a document that differs from the other records of the gate."""

    document: Document
    row: str | None
    where: Place
    message: str


def disagreements(ensemble: Ensemble) -> Iterator[Disagreement]:
    """Yield the documents that differ from the other records of the gate, each once.

    A record that contradicts itself is not compared: ENS511 reports it.
    """
    found: dict[str, dict[Place, Disagreement]] = {}
    for difference in (*_repeated(ensemble), *_of_each_seed(ensemble)):
        found.setdefault(difference.document.path, {}).setdefault(difference.where, difference)
    for differences in found.values():
        first = next(iter(differences.values()))
        message = "; ".join(each.message for each in differences.values())
        yield replace(first, message=message[:400])


def is_of_another_run(ensemble: Ensemble) -> bool:
    """Return whether the verdict's numbers differ from those of all sidecars (see ENS512)."""
    verdict = ensemble.verdict
    return any(d.document is verdict and d.where == _NUMBERS for d in _of_each_seed(ensemble))


def seeds_of_another(ensemble: Ensemble, verdict: GateVerdict) -> Iterator[str]:
    """Yield how the seeds of a verdict differ from those of the shipped members."""
    judged = verdict.get(*_NUMBERS)
    current = ensemble.offered or ensemble.described
    if not current or not isinstance(judged, dict) or _sound(ensemble, verdict) is None:
        return
    # ENS506 reports a seed that differs between manifest and sidecar. ENS501 or ENS503 reports a
    # member that is missing in the registry or in the manifest, or is not an object.
    shipped = [s.seeds for s in ensemble.members if s.row is not None and s.seeds]
    sidecars = (current_sidecar(r.onnx, r.sidecar) for r in ensemble.unlisted)
    unlisted = [sidecar.seed for sidecar in sidecars if sidecar is not None]
    known = {str(seed) for s in ensemble.members for seed in s.seeds} | set(map(str, unlisted))
    missing = [min(seeds) for seeds in shipped if not any(str(s) in judged for s in seeds)]
    if missing:
        yield f"the verdict has no number for the members with seed {_joined(map(str, missing))}"
    are_objects = all(isinstance(m, dict) for m in ensemble.manifest.value["members"])
    all_known = are_objects and all(s.seeds for s in ensemble.members)
    extra = sorted(judged.keys() - known)
    if extra and all_known and known:
        yield f"the verdict has numbers for seeds without a member: {_joined(extra)}"


def _repeated(ensemble: Ensemble) -> Iterator[Disagreement]:
    verdict = _sound(ensemble, ensemble.verdict)
    records = list(_records(ensemble))
    for where, in_verdict in _REPEATED:
        stated = [
            Claim(document, row, where, value)
            for document, row in records
            if (value := document.get(*where)) is not None
            and not (where == _OWN_MEAN and _is_of_its_own(document, value))
        ]
        value = verdict.get(*in_verdict) if verdict else None
        if verdict is not None and value is not None:
            stated.insert(0, Claim(verdict, None, in_verdict, value))
        yield from _dissent(stated)


def _dissent(stated: Sequence[Claim[Any]]) -> Iterator[Disagreement]:
    """Yield the claims that differ from the most frequent value."""
    agreed = Agreement.of(stated, same)
    for one in agreed.others:
        says = f"`{one.name}` is {shown(one.value)}, but {shown(agreed.value)} in {agreed.whose}"
        yield Disagreement(one.document, one.row, one.where, says)


def _is_of_its_own(document: Document, mean: object) -> bool:
    """Return whether a mean is that of a single seed, or not a number (which ENS516 reports).

    Some exporters record the mean of the single seed under the same name.
    """
    return number(mean) is None or same(mean, document.get(*_OWN_NUMBER))


def _of_each_seed(ensemble: Ensemble) -> Iterator[Disagreement]:
    """Yield the differences in the numbers of single seeds.

    If the numbers of all seeds differ, the verdict is of another run, and only that is reported.
    """
    verdict = _sound(ensemble, ensemble.verdict)
    if verdict is None:
        return
    compared: list[tuple[Sidecar, list[Claim[Any]]]] = []
    for member, sidecar in ensemble.described:
        recorded = (*_NUMBERS, str(sidecar.seed))
        expected, found = verdict.get(*recorded), sidecar.get(*_OWN_NUMBER)
        # If a member has two seeds (ENS506), it is unknown which seed this number belongs to.
        if expected is None or found is None or len(member.seeds) != 1 or any(wrong_gate(sidecar)):
            continue
        own = Claim(sidecar, member.row_label, _OWN_NUMBER, found)
        compared.append((sidecar, [Claim(verdict, None, recorded, expected), own]))
    wrong = [list(_dissent(pair)) for _, pair in compared]
    if len(compared) > 1 and all(wrong):
        sidecar, (expected, found) = compared[0]
        seed = (
            f"seed {sidecar.seed} has {shown(expected.value)}, but {shown(found.value)} in "
            f"{sidecar.path}"
        )
        says = f"the numbers of the verdict are not those of the sidecars: {seed}"
        yield Disagreement(verdict, None, _NUMBERS, says)
        return
    for found_wrong in wrong:
        yield from found_wrong


def _sound(ensemble: Ensemble, verdict: GateVerdict | None) -> GateVerdict | None:
    if verdict is None or any(wrong_verdict(verdict, bool(ensemble.gates))):
        return None
    return verdict


def _records(ensemble: Ensemble) -> Iterator[tuple[Document, str | None]]:
    """Yield the documents that repeat the gate without contradicting themselves.

    Each comes with the label of its row if it is a sidecar. The verdict file is left out.
    """
    verdict, manifest = ensemble.verdict, ensemble.manifest
    own = verdict is not None and verdict.path == manifest.path
    if ensemble.claims and not own and not any(wrong_gate(manifest)):
        yield manifest, None
    for member, sidecar in ensemble.described:
        offered = member.row is not None and not member.row.entry.smoke
        held = verdict is None and offered and not_passed(sidecar) is not None
        if not held and not any(wrong_gate(sidecar)):  # ENS517, ENS511
            yield sidecar, member.row_label


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(texts)[:200]
