# SPDX-License-Identifier: Apache-2.0
"""Evaluate the gates of the configuration on verdict files and sidecars.

The configuration says where the values are and what they have to reach. So a document cannot lower
the limits that it is judged by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from provenance.artifacts import limits
from provenance.artifacts.documents.strict_json import JsonPath
from provenance.artifacts.ensemble import GateVerdict, Manifest
from provenance.artifacts.forms import shown
from provenance.artifacts.sidecar import Document, once
from provenance.config.gates import Direction, Gate, plain
from provenance.evidence.evaluation import (
    Evaluation,
    difference,
    first_values,
    stated_outcomes,
)
from provenance.evidence.recorded import number, reaches
from provenance.frozen import dataclass
from provenance.registry.json_path import Names, Node, Path, Step


@dataclass(frozen=True)
class Fault:
    """A value that a gate needs and that is missing, or a condition that does not hold.

    Attributes:
        where: The path of the value in the document.
        message: What was found.
    """

    where: JsonPath
    message: str


@dataclass(frozen=True)
class GateResult:
    """A gate, evaluated on one document.

    Attributes:
        gate: The gate.
        evaluation: The evaluation, or None if a value is missing.
        missing: The values that are missing or cannot be used.
        failed: The conditions that do not hold.
    """

    gate: Gate
    evaluation: Evaluation | None
    missing: tuple[Fault, ...] = ()
    failed: tuple[Fault, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all values are there and all conditions hold."""
        return self.evaluation is not None and self.evaluation.passed and not self.missing


@once
def of_model(sidecar: Document, gates: tuple[Gate, ...]) -> tuple[GateResult, ...]:
    """Evaluate the gates of a single model on its sidecar."""
    work = _Work()
    return tuple(_of_model(sidecar, gate, work) for gate in gates if gate.sidecar is not None)


@once
def of_ensemble(
    verdict: GateVerdict, manifest: Manifest, gates: tuple[Gate, ...]
) -> tuple[GateResult, ...]:
    """Evaluate the gates of an ensemble on its verdict file."""
    work = _Work()
    return tuple(_of_ensemble(verdict, manifest, gate, work) for gate in gates if gate.of_ensembles)


def selects(gates: Sequence[Gate], value: Mapping[str, object]) -> bool:
    """Return whether a JSON object has a value where one of the gates expects that of an ensemble.

    Only such an object is a gate verdict without a `verdict` and a `gate` of its own.
    """
    work = _Work()
    paths = (path for gate in gates for path in (gate.verdict, gate.members) if path is not None)
    return any(
        number(node.value) is not None
        for path in dict.fromkeys(paths)
        for node in work.select(path, value, limits.MEMBERS) or ()
    )


class _Work:
    """Follows paths in one document, and stops if they visit too many values together."""

    def __init__(self) -> None:
        self._left = limits.GATE_VALUES

    def select(self, path: Path, value: Mapping[str, object], most: int) -> list[Node] | None:
        """Return the first `most` nodes that a path selects, or None if that is too much work."""
        try:
            return list(islice(self._below(path.steps, Node((), value)), most))
        except _TooMuchError:
            return None

    def _below(self, steps: Sequence[Step], node: Node) -> Iterator[Node]:
        if not steps:
            yield node
            return
        first, *others = steps
        is_container = isinstance(node.value, (dict, list))
        self._left -= 1 if isinstance(first, Names) or not is_container else len(node.value)
        if self._left < 0:
            raise _TooMuchError
        for child in first.below(node):
            yield from self._below(others, child)


class _TooMuchError(Exception):
    """The paths visit more than `limits.GATE_VALUES` values."""


_TOO_MUCH: Final = f"the gates visit more than {limits.GATE_VALUES:,} values of the document"


def _of_model(sidecar: Document, gate: Gate, work: _Work) -> GateResult:
    assert gate.sidecar is not None
    found = _single(sidecar, gate.sidecar, work)
    if isinstance(found, Fault):
        return GateResult(gate, None, (found,))
    where, value = found
    return _concluded(sidecar, gate, where, value, {})


def _of_ensemble(verdict: GateVerdict, manifest: Manifest, gate: Gate, work: _Work) -> GateResult:
    values: dict[str, float] = {}
    missing: list[Fault] = []
    if gate.members is not None:
        missing += _members(verdict, manifest, gate.members, values, work)
    where: JsonPath = () if gate.members is None else _place(gate.members)
    value = None
    if gate.verdict is not None:
        found = _single(verdict, gate.verdict, work)
        if isinstance(found, Fault):
            missing.append(found)
        else:
            where, value = found
    elif values and not missing:
        value = math.fsum(values.values()) / len(values)
    if missing or value is None:
        return GateResult(gate, None, tuple(missing))
    return _concluded(verdict, gate, where, value, values)


def _concluded(
    document: Document, gate: Gate, where: JsonPath, value: float, values: Mapping[str, float]
) -> GateResult:
    """Return the result of a gate whose values are all there."""
    spread = difference(values) if values else None
    outcomes = [passed for _, passed in stated_outcomes(document)]
    failed = []
    for each in _conditions(gate, where, value, values, spread):
        holds = each.holds
        if holds is None:  # equal within rounding
            holds = all(outcomes) if outcomes else each.exactly()
        if not holds:
            failed.append(each.fault)
    evaluation = Evaluation(
        threshold=gate.threshold,
        value=value,
        values=first_values(values),
        count=len(values),
        member_limit=gate.member_threshold,
        spread=spread,
        spread_limit=gate.spread,
        passed=not failed,
        metric=gate.metric,
        direction=gate.direction,
    )
    return GateResult(gate, evaluation, failed=tuple(failed))


@dataclass(frozen=True)
class _Condition:
    """A condition of a gate.

    Attributes:
        holds: Whether it holds, or None if both numbers are equal within rounding. Then the outcome
            in the document decides.
        exactly: Returns whether it holds for the decimals as they are written. This decides if the
            document records no outcome.
        fault: What to report if it does not hold.
    """

    holds: bool | None
    exactly: Callable[[], bool]
    fault: Fault


def _conditions(
    gate: Gate,
    where: JsonPath,
    value: float,
    values: Mapping[str, float],
    spread: float | None,
) -> Iterator[_Condition]:
    says = f"{gate.metric} is {plain(value)}; {gate.name} requires {gate.limit}"
    yield _Condition(
        _reaches(gate, value, gate.threshold),
        lambda: _reaches_exactly(gate, value, values),
        Fault(where, says),
    )
    place = () if gate.members is None else _place(gate.members)
    if gate.member_threshold is not None:
        limit = gate.member_threshold
        below = [name for name, one in values.items() if not _is_within(gate, one, limit)]
        if below:
            first = f"{gate.metric} of {below[0][:60]!r} is {plain(values[below[0]])}"
            more = f" (and of {len(below) - 1} more)" if below[1:] else ""
            says = f"{first}{more}; {gate.name} requires {gate.bound} {plain(limit)} of each member"
            yield _Condition(False, lambda: False, Fault(place, says))
    if gate.spread is not None and spread is not None:
        limit = gate.spread
        shortened = plain(float(f"{spread:.12g}"))  # without the rounding error of the difference
        says = f"the spread of {gate.metric} is {shortened}; {gate.name} allows {plain(limit)}"
        yield _Condition(
            reaches(limit, spread),
            lambda: _is_spread_exactly(values, limit),
            Fault(place, says),
        )


def _reaches_exactly(gate: Gate, value: float, values: Mapping[str, float]) -> bool:
    """Return whether a value reaches its threshold, as the decimals are written.

    If it is the mean of the members' values, their sum is compared.
    """
    from decimal import Decimal  # rarely needed

    found, limit = Decimal(repr(value)), Decimal(repr(gate.threshold))
    if gate.verdict is None and values:
        found = sum((Decimal(repr(one)) for one in values.values()), Decimal())
        limit *= len(values)
    return found >= limit if gate.direction is Direction.HIGHER else found <= limit


def _is_spread_exactly(values: Mapping[str, float], limit: float) -> bool:
    """Return whether the difference of the written decimals is at most `limit`."""
    from decimal import Decimal

    lowest, highest = min(values.values()), max(values.values())
    return Decimal(repr(highest)) - Decimal(repr(lowest)) <= Decimal(repr(limit))


def _reaches(gate: Gate, value: float, limit: float) -> bool | None:
    higher = gate.direction is Direction.HIGHER
    return reaches(value, limit) if higher else reaches(limit, value)


def _is_within(gate: Gate, value: float, limit: float) -> bool:
    return value >= limit if gate.direction is Direction.HIGHER else value <= limit


def _single(document: Document, path: Path, work: _Work) -> tuple[JsonPath, float] | Fault:
    """Return the number that a path selects and where it is, or why there is no such number."""
    nodes = work.select(path, document.value, 2)
    if nodes is None:
        return Fault((), _TOO_MUCH)
    if len(nodes) > 1:
        says = f"`{path.text}` selects several values, expected a single number"
        return Fault(nodes[1].location, says)
    if not nodes:
        return Fault(_place(path), f"`{path.text}` selects nothing, expected a number")
    value = number(nodes[0].value)
    if value is None:
        says = f"`{path.text}` is {shown(nodes[0].value)}, expected a number"
        return Fault(nodes[0].location, says)
    return nodes[0].location, value


def _members(
    verdict: GateVerdict,
    manifest: Manifest,
    path: Path,
    values: dict[str, float],
    work: _Work,
) -> Iterator[Fault]:
    """Put the values of the members into `values`, and yield what is missing or wrong."""
    nodes = work.select(path, verdict.value, limits.MEMBERS + 1)
    if nodes is None:
        yield Fault((), _TOO_MUCH)
        return
    if len(nodes) > limits.MEMBERS:
        says = f"`{path.text}` selects more than {limits.MEMBERS:,} values"
        yield Fault(_place(path), says)
        return
    if not nodes:
        yield Fault(
            _place(path), f"`{path.text}` selects nothing, expected a number of each member"
        )
        return
    names: list[str | int] = []
    for node in nodes:
        value, name = number(node.value), _name(path, node)
        names.append(name)
        if value is None:
            says = f"the value of {name!r:.60} is {shown(node.value)}, expected a number"
            yield Fault(node.location, says)
        else:
            key = str(name)
            values[key if key not in values else f"{key} ({len(values)})"] = value
    if len(nodes) != manifest.count:
        says = (
            f"`{path.text}` selects {len(nodes):,} values, but {manifest.path} lists "
            f"{manifest.count:,} members"
        )
        yield Fault(_place(path), says)
        return
    if not math.isfinite(sum(map(abs, values.values()))):
        yield Fault(_place(path), f"the values of `{path.text}` are too large to be compared")
    unnamed = _unnamed(names, manifest)
    if unnamed is not None:
        yield Fault(_place(path), f"`{path.text}` selects no value of the member {unnamed!r:.60}")


def _unnamed(names: Sequence[str | int], manifest: Manifest) -> str | None:
    """Return a member that the values, named by seed, id or file, do not name, or None.

    Values under other names, or in a list, are only counted.
    """
    keys = {name for name in names if isinstance(name, str)}
    members = manifest.members
    columns = (
        [str(m.seed) for m in members if m.seed is not None],
        [m.id for m in members if m.id is not None],
        [m.onnx for m in members if m.onnx is not None],
    )
    known = max(columns, key=lambda column: len(keys.intersection(column)))
    return next((m for m in known if m not in keys), None) if keys.intersection(known) else None


def _name(path: Path, node: Node) -> str | int:
    """Return the name of a member's value: the last step that a wildcard or filter chose."""
    chosen = [
        taken
        for step, taken in zip(path.steps, node.location, strict=True)
        if not isinstance(step, Names) or len(step.names) != 1
    ]
    return chosen[-1] if chosen else "$"


def _place(path: Path) -> JsonPath:
    """Return the location up to the first step that is not a single name."""
    found: list[str] = []
    for step in path.steps:
        if not isinstance(step, Names) or len(step.names) != 1:
            break
        found.append(step.names[0])
    return tuple(found)
