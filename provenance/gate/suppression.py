# SPDX-License-Identifier: Apache-2.0
"""One cause, one finding: a finding is suppressed if another finding names its cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from provenance.gate.finding import Finding, Suppressed
from provenance.gate.rules.declaration import Declaration


def split(
    findings: Sequence[Finding], rules: Mapping[str, Declaration], registry: str
) -> tuple[tuple[Finding, ...], tuple[Suppressed, ...]]:
    """Return the findings that remain and those that are suppressed, both in order.

    A finding is suppressed by a failing finding of a rule that its own rule yields to, if both are
    about the same row, or name the same file and are not about different rows. The `registry` does
    not count as such a file, because findings about all rows point at it. A finding that represents
    many neither suppresses nor is suppressed, unless the many are about the same thing.
    """
    yielded_to = {code for f in findings for code in rules[f.code].yields_to}
    by_row: dict[tuple[str, str], Finding] = {}
    by_file: dict[tuple[str, str, bool], Finding] = {}
    for finding in findings:
        represents_many, yields = bool(finding.others), bool(rules[finding.code].yields_to)
        if finding.code not in yielded_to or represents_many or yields or not finding.fails:
            continue
        if finding.row is not None:
            by_row.setdefault((finding.code, finding.row), finding)
        for file in _files(finding, registry):
            by_file.setdefault((finding.code, file, finding.row is None), finding)

    def suppressors(finding: Finding) -> Iterator[Finding | None]:
        for code in rules[finding.code].yields_to if not finding.more else ():
            if finding.row is not None:
                yield by_row.get((code, finding.row))
            for file in _files(finding, registry):
                yield by_file.get((code, file, True))
                if finding.row is None:
                    yield by_file.get((code, file, False))

    remaining: list[Finding] = []
    suppressed: list[Suppressed] = []
    for finding in findings:
        by = next(filter(None, suppressors(finding)), None)
        if by is None:
            remaining.append(finding)
        else:
            suppressed.append(Suppressed(finding, by))
    return tuple(remaining), tuple(suppressed)


def _files(finding: Finding, registry: str) -> list[str]:
    """Return the files that a finding names, without the registry if it is about a row."""
    return sorted(finding.files if finding.row is None else finding.files - {registry})
