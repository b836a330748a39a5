# SPDX-License-Identifier: Apache-2.0
"""Today's findings as deferrals: so that only new ones fail from the day on which a gate begins."""

from __future__ import annotations

import glob
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from provenance.frozen import dataclass
from provenance.gate.finding import Finding
from provenance.gate.rules import BY_CODE

REASON: Final = "TODO: why is this shipped all the same?"
REFERENCE: Final = "TODO"
_NUMBERED: Final = re.compile(r"(.*\D)\d+", re.DOTALL)
_MANY: Final = 3
"""So many names that differ only in a number at their end are written as one pattern."""


@dataclass(frozen=True)
class Recorded:
    """A deferral that is yet to be explained, and how many findings it covers."""

    rule: str
    rows: tuple[str, ...]
    findings: int

    @property
    def slug(self) -> str:
        """The name of the rule."""
        return BY_CODE[self.rule].slug


def record(findings: Iterable[Finding], labels: Sequence[str]) -> tuple[Recorded, ...]:
    """A deferral for each rule that fails and can be deferred, over what it fails for.

    What `check --fix` makes go away needs none. `labels` are the ids of all rows.
    """
    by_rule: dict[str, list[str]] = {}
    for finding in findings:
        rule = BY_CODE[finding.code]
        matched = finding.row is not None or not rule.about_rows
        if finding.fails and rule.deferrable and matched and not finding.fixes:
            by_rule.setdefault(finding.code, []).extend(finding.subjects)
    return tuple(
        Recorded(code, tuple(_patterns(dict.fromkeys(subjects), labels)), len(subjects))
        for code, subjects in sorted(by_rule.items())
    )


def _patterns(subjects: Mapping[str, None], labels: Sequence[str]) -> Iterator[str]:
    """Patterns that match the subjects and, of what there is, nothing else."""
    names = sorted({*labels, *subjects})
    families: dict[str, list[str]] = {}
    for subject in subjects:
        match = _NUMBERED.fullmatch(subject)
        families.setdefault(match[1] if match else subject, []).append(subject)
    for stem, members in families.items():
        first = bisect_left(names, stem)
        behind = first + len(members)
        alone = behind == len(names) or not names[behind].startswith(stem)
        if len(members) >= _MANY and alone:
            yield f"{glob.escape(stem)}*"
        else:
            yield from map(glob.escape, members)
