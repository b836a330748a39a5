# SPDX-License-Identifier: Apache-2.0
"""Which deferral covers which finding: looked up, because there may be thousands of both."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from fnmatch import translate
from typing import Any

from provenance.config import Deferral, is_pattern
from provenance.gate.finding import Finding


class Deferrals:
    """The declared deferrals, by their rules and the ids that their `rows` spell out."""

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
        """The first deferral of `rule` that matches a subject."""
        named = self._named.get((rule, subject))
        for deferral, pattern in self._patterns.get(rule, ()):
            if named is not None and named.index < deferral.index:
                break
            if pattern.match(subject):
                return deferral
        return named


def matched(deferral: Deferral, ids: Mapping[str, int]) -> list[str]:
    """The ids that a deferral matches, in their order, which is what they are mapped to."""
    found = ids.keys() & {id for id in deferral.rows if not is_pattern(id)}
    pattern = _pattern(deferral)
    if pattern is not None:
        found |= {id for id in ids if pattern.match(id)}
    return sorted(found, key=ids.__getitem__)


def unmatched(deferral: Deferral, ids: Collection[str]) -> list[str]:
    """What of a deferral's `rows` matches none of `ids`. Ids are looked up: let it be a set."""
    return [p for p in deferral.rows if not _matches_any(p, ids)]


def _matches_any(pattern: str, ids: Collection[str]) -> bool:
    if not is_pattern(pattern):
        return pattern in ids
    return any(map(re.compile(translate(pattern)).match, ids))


def _pattern(deferral: Deferral) -> re.Pattern[str] | None:
    """All patterns of a deferral in one, None where its `rows` are ids alone."""
    marked = [f"(?:{translate(p)})" for p in deferral.rows if is_pattern(p)]
    return re.compile("|".join(marked)) if marked else None


class InForce:
    """The deferrals that cover findings, by what these are about."""

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
        """The deferrals that cover findings about `row`, each once, as they are signed.

        What is deferred for an ensemble is in force for each of its members.
        """
        used = self._by_row.get(row, {})
        if ensemble:
            used = used | self._by_ensemble.get(ensemble, {})
        return [used[index].as_json() for index in sorted(used)]
