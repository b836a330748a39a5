# SPDX-License-Identifier: Apache-2.0
"""Match deferrals and findings by lookup, because there may be thousands of both."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from fnmatch import translate
from typing import Any

from provenance.config import Deferral, is_pattern
from provenance.gate.finding import Finding


class Deferrals:
    """The declared deferrals, by their rules and the literal ids in their `rows`."""

    def __init__(self, declared: Iterable[Deferral]) -> None:
        self._named: dict[tuple[str, str], Deferral] = {}
        self._patterns: dict[str, list[tuple[Deferral, re.Pattern[str]]]] = {}
        for deferral in declared:
            for id in deferral.rows:
                if not is_pattern(id):
                    self._named.setdefault((deferral.rule, id), deferral)
            pattern = _pattern(deferral)
            if pattern is not None:
                self._patterns.setdefault(deferral.rule, []).append((deferral, pattern))

    def covering(self, rule: str, subject: str) -> Deferral | None:
        """Return the first deferral of `rule` that matches a subject, or None."""
        named = self._named.get((rule, subject))
        for deferral, pattern in self._patterns.get(rule, ()):
            if named is not None and named.index < deferral.index:
                break
            if pattern.match(subject):
                return deferral
        return named


def matched(deferral: Deferral, ids: Mapping[str, int]) -> list[str]:
    """Return the ids that a deferral matches. `ids` maps each id to its place in the order."""
    found = ids.keys() & {id for id in deferral.rows if not is_pattern(id)}
    pattern = _pattern(deferral)
    if pattern is not None:
        found |= {id for id in ids if pattern.match(id)}
    return sorted(found, key=ids.__getitem__)


def unmatched(deferral: Deferral, ids: Collection[str]) -> list[str]:
    """Return the `rows` of a deferral that match none of `ids`, which should be a set."""
    return [p for p in deferral.rows if not _matches_any(p, ids)]


def _matches_any(pattern: str, ids: Collection[str]) -> bool:
    if not is_pattern(pattern):
        return pattern in ids
    return any(map(re.compile(translate(pattern)).match, ids))


def _pattern(deferral: Deferral) -> re.Pattern[str] | None:
    """Return all patterns of a deferral as one, or None if its `rows` are only literal ids."""
    marked = [f"(?:{translate(p)})" for p in deferral.rows if is_pattern(p)]
    return re.compile("|".join(marked)) if marked else None


class InForce:
    """The deferrals that cover findings, by the rows and ensembles of these findings."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._by_row: dict[str, dict[int, Deferral]] = {}
        self._by_ensemble: dict[str, dict[int, Deferral]] = {}
        for finding in findings:
            deferral = finding.deferred
            if deferral is None:
                continue
            if finding.row is not None:
                for row in finding.rows:
                    self._by_row.setdefault(row, {})[deferral.index] = deferral
            elif finding.ensemble:
                for ensemble in finding.subjects:
                    self._by_ensemble.setdefault(ensemble, {})[deferral.index] = deferral

    def of(self, row: str, ensemble: str | None) -> list[dict[str, Any]]:
        """Return the deferrals that cover findings about `row`, each once, as they are signed.

        A deferral for an ensemble is in force for each of its members.
        """
        used = self._by_row.get(row, {})
        if ensemble:
            used = used | self._by_ensemble.get(ensemble, {})
        return [used[index].as_json() for index in sorted(used)]
