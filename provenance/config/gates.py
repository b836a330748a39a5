# SPDX-License-Identifier: Apache-2.0
"""Gates: which metric a model has to reach, and where its documents record the values.

A gate is a `[[gate]]` table of the configuration. `BUILT_IN` has the gates of ensembles and models
to which no table applies.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from fnmatch import translate
from functools import cached_property
from typing import Final

from provenance.artifacts import limits
from provenance.artifacts.documents.toml_tables import Table
from provenance.artifacts.forms import Form, is_filled, is_names
from provenance.frozen import dataclass
from provenance.registry.json_path import JsonPathError, Path
from provenance.registry.json_path import parse as parse_path

MAX_METRIC: Final = 100
"""Maximum length of the name of a metric, in characters."""

EVERY_ROW: Final = ("*",)
"""The `rows` of a gate that applies to all rows and ensembles."""


class Direction(StrEnum):
    """Which values of a metric are better."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class RecordNames:
    """The names under which documents record an evaluation together with its limits.

    A gate verdict has them in `gate`, and so has the sidecar of a member. A single model may have a
    flat record of its folds instead.

    Attributes:
        mean, spread, values: The mean of all members, their spread, and the value of each.
        own: The value of the member that a sidecar describes.
        threshold, least, most: The limits of the mean, of each member, and of the spread.
        own_least: The limit of each member, in a sidecar.
        mean_holds, least_holds, spread_holds: Whether each condition holds.
        failing: The members that do not reach `least`.
        folds, fold: The list of folds in a flat record, and the value in each.
        flat_mean, flat_threshold: The mean of the folds, and its limit.
    """

    mean: str
    spread: str
    values: str
    own: str
    threshold: str
    least: str
    most: str
    own_least: str
    mean_holds: str
    least_holds: str
    spread_holds: str
    failing: str
    folds: str
    fold: str
    flat_mean: str
    flat_threshold: str


@dataclass(frozen=True)
class Gate:
    """A limit on a metric that a production model or ensemble has to reach.

    Attributes:
        metric: The name of the metric.
        threshold: The limit of the value. Of an ensemble, this is the value of the whole.
        direction: Whether higher or lower values are better.
        spread: The largest difference between the values of two members of an ensemble, or None.
        member_threshold: The limit of the value of each member of an ensemble, or None.
        rows: Ids of rows or ensembles, or patterns, to which the gate applies.
        verdict: The path of an ensemble's value in its gate verdict. If it is None, the value is
            the mean of the values of the members.
        members: The path of the members' values in the gate verdict.
        sidecar: The path of the value of a single model in its sidecar.
        index: The place of the table in the configuration, counted from 0, or None for a gate in
            `BUILT_IN`.
        recorded_as: The names under which documents record the evaluation with limits of their own,
            which then count in place of these; or None if only these limits count.
    """

    metric: str
    threshold: float
    direction: Direction = Direction.HIGHER
    spread: float | None = None
    member_threshold: float | None = None
    rows: tuple[str, ...] = EVERY_ROW
    verdict: Path | None = None
    members: Path | None = None
    sidecar: Path | None = None
    index: int | None = None
    recorded_as: RecordNames | None = None

    @property
    def name(self) -> str:
        """The gate as messages call it."""
        if self.index is None:
            return f"the built-in gate by {self.metric}"
        return f"[[gate]] {self.index + 1} ({self.metric})"

    @property
    def of_ensembles(self) -> bool:
        """Whether it says where the value of an ensemble is."""
        return self.verdict is not None or self.members is not None

    @property
    def of_models(self) -> bool:
        """Whether it says where the value of a single model is."""
        return self.sidecar is not None

    @property
    def limit(self) -> str:
        """The threshold as a clause of a message."""
        return f"{self.bound} {plain(self.threshold)}"

    @property
    def bound(self) -> str:
        """The comparison with a limit, in words."""
        return "at least" if self.direction is Direction.HIGHER else "at most"

    def applies_to(self, names: Iterable[str]) -> bool:
        """Return whether one of the names of a row or an ensemble matches `rows`."""
        return self.rows == EVERY_ROW or any(map(self._pattern.match, names))

    def only(self, entry: str) -> Gate:
        """Return the same gate for one entry of `rows`."""
        return replace(self, rows=(entry,))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(f"(?:{translate(entry)})" for entry in self.rows))


@dataclass(frozen=True)
class Gates:
    """The gates that a configuration declares."""

    declared: tuple[Gate, ...] = ()

    def of_row(self, label: str) -> tuple[Gate, ...]:
        """Return the gates that apply to a single model, by the label of its row."""
        return tuple(g for g in self.declared if g.of_models and g.applies_to((label,)))

    def of_ensemble(self, names: Iterable[str]) -> tuple[Gate, ...]:
        """Return the gates that apply to an ensemble, by its ids and those of its members."""
        names = tuple(names) if self.declared else ()
        return tuple(g for g in self.declared if g.of_ensembles and g.applies_to(names))


PLCC_NAMES: Final = RecordNames(
    mean="mean_plcc",
    spread="plcc_spread",
    values="per_seed_plccs",
    own="this_seed_loso_plcc",
    threshold="mean_plcc_threshold",
    least="per_seed_min",
    most="plcc_spread_max",
    own_least="per_seed_min_threshold",
    mean_holds="mean_plcc_pass",
    least_holds="per_seed_pass",
    spread_holds="plcc_spread_pass",
    failing="failing_seeds",
    folds="loso_folds",
    fold="plcc",
    flat_mean="loso_mean_plcc",
    flat_threshold="ship_gate_mean_plcc",
)

PLCC: Final = Gate(
    metric="PLCC",
    threshold=0.95,
    spread=0.005,
    member_threshold=0.95,
    verdict=parse_path(f"$.gate.{PLCC_NAMES.mean}"),
    members=parse_path(f"$.gate.{PLCC_NAMES.values}.*"),
    sidecar=parse_path(f"$.gate.{PLCC_NAMES.mean}"),
    recorded_as=PLCC_NAMES,
)
"""The gate of ADR-1105."""

BUILT_IN: Final = (PLCC,)
"""The gates of ensembles and models to which no `[[gate]]` applies."""


def plain(value: float) -> str:
    """Return a number for a message: a whole one without decimals."""
    return repr(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)


_EXACT: Final = 2**53


def parse(table: Table) -> Gates:
    """Return the gates in the `[[gate]]` tables of a configuration.

    Raises:
        InputError: If a table is not valid, or there are too many.
    """
    found = tuple(_gate(one, index) for index, one in enumerate(table.tables("gate", _KEYS)))
    patterns = sum(len(gate.rows) for gate in found)
    for limit, number, what in (
        (limits.GATES, len(found), "gates"),
        (limits.PATTERNS, patterns, "entries in `rows`"),
    ):
        if number > limit:
            raise table.error(f"[[gate]]: {number:,} {what}; at most {limit:,} are read")
    return Gates(found)


def _gate(table: Table, index: int) -> Gate:
    spread = table.get("spread", _SPREAD, None)
    least = table.get("member_threshold", _NUMBER, None)
    gate = Gate(
        metric=table.need("metric", _METRIC),
        threshold=float(table.need("threshold", _THRESHOLD)),
        direction=Direction(table.get("direction", _DIRECTION, Direction.HIGHER.value)),
        spread=None if spread is None else float(spread),
        member_threshold=None if least is None else float(least),
        rows=tuple(dict.fromkeys(table.get("rows", _ROWS, list(EVERY_ROW)))),
        verdict=_path(table, "verdict"),
        members=_path(table, "members"),
        sidecar=_path(table, "sidecar"),
        index=index,
    )
    if not gate.of_ensembles and not gate.of_models:
        raise table.error(
            "`verdict`, `members` and `sidecar` are missing; expected where the values are",
            help='For example: sidecar = "$.evaluation.value" for single models, '
            'verdict = "$.gate.value" for ensembles.',
        )
    for key in ("spread", "member_threshold"):
        if getattr(gate, key) is not None and gate.members is None:
            raise table.error(
                f"`{key}` limits the values of members, but `members` is missing",
                help='For example: members = "$.gate.per_seed.*"',
            )
    return gate


def _path(table: Table, key: str) -> Path | None:
    text = table.optional(key, _PATH)
    if text is None:
        return None
    try:
        return parse_path(text)
    except JsonPathError as e:
        raise table.error(f"`{key}` {e}", e.help) from e


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and type(value) is not bool and math.isfinite(value)


_KEYS: Final = {
    *("metric", "threshold", "direction", "spread", "member_threshold", "rows"),
    *("verdict", "members", "sidecar"),
}
_METRIC: Final = Form[str](
    f"the name of a metric, at most {MAX_METRIC} printable characters",
    lambda value: is_filled(value) and len(value) <= MAX_METRIC and value.isprintable(),
    'metric = "PLCC"',
)
_THRESHOLD: Final = Form[float]("a finite number", _is_number, "threshold = 0.95")
_NUMBER: Final = Form[float]("a finite number", _is_number, "member_threshold = 0.9")
_SPREAD: Final = Form[float](
    "a finite number of at least 0",
    lambda value: isinstance(value, (int, float)) and _is_number(value) and value >= 0,
    "spread = 0.005",
)
_DIRECTION: Final = Form[str](
    '"higher" or "lower"',
    lambda value: isinstance(value, str) and value in tuple(Direction),
    'direction = "lower" for a metric such as an error, where lower values are better',
)
_ROWS: Final = Form[list[str]](
    "a list of ids of rows or ensembles, in which * and ? match",
    lambda value: is_names(value) and bool(value) and all(map(is_filled, value)),
    'rows = ["my_ensemble"]',
)
_PATH: Final = Form[str]("the path of a value", is_filled, 'sidecar = "$.evaluation.value"')
