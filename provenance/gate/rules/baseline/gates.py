# SPDX-License-Identifier: Apache-2.0
"""BAS816: gates that became easier to pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import translate
from functools import lru_cache
from typing import Final

from provenance.artifacts import limits
from provenance.artifacts.ensemble import Documents
from provenance.config import is_pattern
from provenance.config.gates import BUILT_IN, EVERY_ROW, PLCC, Direction, Gate, Gates, plain
from provenance.evidence.ensembles import Outline, outlines
from provenance.evidence.evaluation import evaluate, looser_limits
from provenance.evidence.evidence import BaselineEvidence
from provenance.frozen import dataclass
from provenance.gate.finding import Finding
from provenance.gate.rules.base import some
from provenance.gate.rules.baseline.base import BaselineRule
from provenance.gate.rules.case import Case
from provenance.gate.rules.declaration import Scope


class GateLoosened(BaselineRule):
    """A gate became easier to pass since the baseline.

    ## What it does
    Compares the `[[gate]]` tables with those of the baseline. Each row or ensemble that a gate
    covered there must be covered by a gate that is as strict: the same metric, `direction` and
    paths, a `threshold` and a `member_threshold` that are not looser, and a `spread` that is not
    wider. Reports

    - a gate that was removed, or whose `rows` no longer cover an entry of the former ones,
    - a limit that was loosened or removed, and another `direction`,
    - a path that was changed or removed,
    - a `[[gate]]` that is looser than the built-in gate that it replaces for a row or an ensemble,
    - a gate verdict or the sidecar of a production model that records looser limits than before,
      where the built-in gate decides.

    The order of the tables does not matter, and neither does a stricter limit or an added path.

    ## Why it matters
    A gate is a promise about every production model. A pull request that lowers the limit passes
    its own check, so only the comparison shows it.

    ## Example
    `threshold` is 0.95 at the baseline and 0.9 now.

    ## How to fix
    Put the former value back. If the change is intended, declare it with a `[[deferral]]` that has
    the path of the configuration in `rows`, and refer to the decision. For a recorded limit, `rows`
    has the path of the gate verdict, or the id of the row.
    """

    code = "BAS816"
    slug = "gate-loosened"
    scopes = (Scope.DOCUMENT,)
    deferrable = True
    needs_whole = True
    about_rows = False

    def conclude(self, case: Case, baseline: BaselineEvidence) -> Iterator[Finding]:
        found = outlines([row.claimant for row in case.facts], case.evidence.documents)
        ensembles = list(found)
        yield from self._recorded(case, baseline, ensembles)
        if baseline.gates is None:
            return
        for key, gate, message in loosened(baseline.gates, case.config.gates):
            help = "Put the former value back."
            yield self._changed(case, baseline, gate, key, message, help)
        replaced: dict[Gate, list[str]] = {}
        for name, gates in _newly_gated(case, baseline, ensembles):
            if all(any(_looser_than_built_in(gate)) for gate in gates):
                replaced.setdefault(gates[0], []).append(name)
        for gate, names in replaced.items():
            key, message = next(_looser_than_built_in(gate))
            says = f"{gate.name} replaces {PLCC.name} for {some(names, 5)}, but {message}"
            help = (
                f"Add a gate by {PLCC.metric} that is as strict, or change the `rows` of this one."
            )
            yield self._changed(case, baseline, gate, key, says, help)

    def _changed(
        self,
        case: Case,
        baseline: BaselineEvidence,
        gate: Gate | None,
        key: str | None,
        message: str,
        help: str,
    ) -> Finding:
        path = case.config.path
        index = None if gate is None else gate.index
        return self.finding(
            message.replace(_BASELINE, baseline.name),
            f"{help} {self.declare(path, 'the gate was changed')}",
            path=path,
            position=case.config.gate_position(index, key),
        )

    def _recorded(
        self, case: Case, baseline: BaselineEvidence, ensembles: Sequence[Outline]
    ) -> Iterator[Finding]:
        """Yield the looser limits in documents to which the built-in gate applies."""
        known = _former_verdicts(baseline)
        for outline in ensembles:
            if case.config.gates.of_ensemble(outline.names):
                continue
            for verdict in outline.verdicts:
                then = baseline.verdicts.get(verdict.path) or known.verdict_on(outline.name)
                for where, limit, former in looser_limits(then, verdict) if then else ():
                    yield self.at(
                        verdict,
                        where,
                        _both(where[-1], limit, former).replace(_BASELINE, baseline.name),
                        self._put_limit_back(verdict.path),
                    )
        for record in baseline.records:
            yield self.finding(
                _both(record.name, record.now, record.then).replace(_BASELINE, baseline.name),
                self._put_limit_back(record.row),
                path=record.path,
                row=record.row,
                position=record.position,
            )

    def _put_limit_back(self, subject: str) -> str:
        declare = self.declare(subject, "the limit was changed")
        return f"Put the former limit back, and run the gate again. {declare}"


_BASELINE: Final = "\0"
"""Stands for the name of the baseline in messages."""

Loosened = tuple[str | None, Gate | None, str]
"""The key of the present gate, that gate or None if it was removed, and the message."""


@dataclass(frozen=True)
class _Difference:
    """A key of a gate by which it is looser than a former one."""

    key: str
    message: str


def loosened(then: Gates, now: Gates) -> Iterator[Loosened]:
    """Yield how the gates of the configuration are looser than the former ones."""
    for former in then.declared:
        yield from _loosened(former, now.declared)


def _loosened(former: Gate, now: Sequence[Gate]) -> Iterator[Loosened]:
    """Yield how the present gates are looser than a former one, once for each kind of change."""
    same = [gate for gate in now if gate.metric == former.metric]
    uncovered: list[str] = []
    told: set[tuple[int | None, str]] = set()
    for entry in former.rows:
        covering = [gate for gate in same if any(_covers(one, entry) for one in gate.rows)]
        if not covering:
            uncovered.append(entry)
            continue
        differences = [(list(_differences(former, gate)), gate) for gate in covering]
        fewest, gate = min(differences, key=lambda pair: len(pair[0]))
        for each in fewest:
            if (gate.index, each.key) not in told:
                told.add((gate.index, each.key))
                yield each.key, gate, f"{gate.name}: {each.message}"
    if uncovered and not same:
        every = "" if former.rows == EVERY_ROW else f" for {some(former.rows, 3)}"
        says = f"no gate by {former.metric}; {_BASELINE} requires {former.limit}{every}"
        yield None, None, says
    elif uncovered:
        was = "all rows" if former.rows == EVERY_ROW else some(uncovered, 3)
        rows = some(list(dict.fromkeys(r for gate in same for r in gate.rows)), 3)
        says = (
            f"the gates by {former.metric} apply to {rows}, and no longer to {was}, as at "
            f"{_BASELINE}"
        )
        yield "rows", same[0], says


def _differences(former: Gate, now: Gate) -> Iterator[_Difference]:
    """Yield the keys by which a gate is looser than a former one by the same metric."""
    if now.direction is not former.direction:
        says = f"`direction` is {now.direction.value!r}; {_BASELINE} has {former.direction.value!r}"
        yield _Difference("direction", says)
        return
    for key in ("threshold", "member_threshold"):
        was, found = getattr(former, key), getattr(now, key)
        if was is not None and (found is None or _is_looser(now, found, was)):
            yield _Difference(key, _both(key, found, was))
    if former.spread is not None and (now.spread is None or now.spread > former.spread):
        yield _Difference("spread", _both("spread", now.spread, former.spread))
    for key in ("verdict", "members", "sidecar"):
        was, found = getattr(former, key), getattr(now, key)
        if was is not None and (found is None or found.text != was.text):
            there = "missing" if found is None else repr(found.text)
            says = f"`{key}` is {there}; {_BASELINE} has {was.text!r}"
            yield _Difference(key, says)


def _is_looser(gate: Gate, limit: float, former: float) -> bool:
    return limit < former if gate.direction is Direction.HIGHER else limit > former


def _both(key: str, now: float | None, then: float | None) -> str:
    found, former = ("missing" if value is None else plain(value) for value in (now, then))
    return f"`{key}` is {found}; {_BASELINE} has {former}"


def _covers(entry: str, former: str) -> bool:
    """Return whether an entry of `rows` matches everything that a former entry matches.

    Between two patterns, this is only known if the present one has no other mark than `*`.
    """
    if entry == former:
        return True
    if not is_pattern(entry) or (is_pattern(former) and ("?" in entry or "[" in entry)):
        return False
    return _matcher(entry)(former) is not None


@lru_cache(maxsize=limits.PATTERNS)
def _matcher(entry: str) -> Callable[[str], object]:
    return re.compile(translate(entry)).match


def _former_verdicts(baseline: BaselineEvidence) -> Documents:
    return Documents((*baseline.documents, *baseline.verdicts.values()))


def _newly_gated(
    case: Case, baseline: BaselineEvidence, ensembles: Sequence[Outline]
) -> Iterator[tuple[str, tuple[Gate, ...]]]:
    """Yield the ensembles and rows to which only the built-in gate applied, with their new gates.

    These were production at the baseline. Imported models are left out: they have no gate.
    """
    then, now = baseline.gates, case.config.gates
    if then is None or not now.declared:
        return
    production = {row.text("id") for row in baseline.comparison.then.rows if row.claims_production}
    records = _former_verdicts(baseline)
    for outline in ensembles:
        names = outline.names
        labels = [row.label for _, _, row in outline.members if row is not None]
        gates = now.of_ensemble(names)
        was_production = not production.isdisjoint(labels) and not then.of_ensemble(names)
        if gates and was_production and any(map(evaluate, records.verdicts_on(outline.name))):
            yield outline.manifest.id or outline.manifest.path, gates
    for row in case.facts:
        has_record = not row.is_seed and row.origin is None and bool(row.sidecars)
        if has_record and row.label in production and not then.of_row(row.label):
            gates = now.of_row(row.label)
            if gates:
                yield row.label, gates


def _looser_than_built_in(gate: Gate) -> Iterator[tuple[str | None, str]]:
    """Yield how a gate is looser than the built-in one, which documents can hold it to as well."""
    (built_in,) = BUILT_IN
    if gate.metric != built_in.metric:
        yield "metric", f"its metric is not {built_in.metric}"
    elif gate.direction is not built_in.direction:
        yield "direction", f"its `direction` is {gate.direction.value!r}"
    elif _is_looser(gate, gate.threshold, built_in.threshold):
        says = f"its `threshold` is {plain(gate.threshold)}, not {plain(built_in.threshold)}"
        yield "threshold", says
