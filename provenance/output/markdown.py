# SPDX-License-Identifier: Apache-2.0
"""A report in Markdown, for GitHub to show on the page of a run or in a comment.

All untrusted text is escaped. The size of the page is limited, because GitHub drops pages larger
than 1 MiB.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from provenance.gate.finding import Finding, Report, RowResult, Verdict
from provenance.output.grouping import Block, Entry, blocks, by_deferral, summary
from provenance.output.text import count, explained, joined, place, printable

LIMIT: Final = 1 << 18
"""The approximate limit of a page in bytes. Several runs fit into the summary of one step."""

_MARKUP: Final = re.compile(r"[^\w .,;'\"()/=+%…×-]|_|(?<=www)\.", re.IGNORECASE)
_CODE: Final = re.compile("&#96;(.+?)&#96;")


def render(report: Report) -> str:
    """Return the page."""
    return "\n\n".join(_Page(report).parts()) + "\n"


class _Page:
    def __init__(self, report: Report) -> None:
        self._report = report
        self._room = LIMIT

    def parts(self) -> Iterator[str]:
        """Yield the parts of the page. Tables are cut if the page would become too large."""
        report = self._report
        word, _, numbers = summary(report).partition(": ")
        mark = "✅" if report.verdict is Verdict.VERIFIED else "❌"
        yield f"### {mark} onnx-provenance: {word}"
        yield f"{code(report.registry)}: {escaped(numbers)}."
        yield from self._release()
        if report.not_judged:
            yield f"Not judged: {escaped('; '.join(report.not_judged))}."
        if report.failing:
            yield self._findings(report.failing)
        if report.warnings:
            title = f"{count(len(report.warnings), 'warning')} (not failures)"
            yield from _folded(title, self._findings(report.warnings))
        if report.deferred:
            title = f"{len(report.deferred):,} deferred, with their reasons"
            yield from _folded(title, self._deferred())
        for note in report.notes:
            yield f"Note: {escaped(note)}."
        if report.trust is not None:
            yield f"Trust: {escaped(report.trust.source)}."

    def _release(self) -> Iterator[str]:
        """Yield the description of the release, if it is verified."""
        release, rows = self._report.release, self._report.rows
        if release is None or self._report.verdict is not Verdict.VERIFIED:
            return
        called = "" if release.version is None else f" {code(release.version)}"
        follows = "" if release.previous is None else f" It follows {code(release.previous)}."
        yield (
            f"Release{called} of {code(release.registry)}, made at {escaped(release.time)}. Its "
            f"summary is {code(release.sha256)}.{follows}"
        )
        yield self._table(("model", "kind", "license", "signed by"), list(map(_model, rows)))
        digests = {f.path: f.sha256 for row in rows for f in row.model_files}
        files = [_line(code(path), code(sha256 or "not read")) for path, sha256 in digests.items()]
        title = f"{count(len(files), 'model file')}, with their digests"
        yield from _folded(title, self._table(("file", "SHA-256"), files))

    def _findings(self, findings: Sequence[Finding]) -> str:
        lines = [
            _line(_who(block), entry.first.code, _what(entry), escaped(entry.first.help))
            for block in blocks(findings, self._report.rows)
            for entry in block.entries
        ]
        return self._table(("where", "rule", "finding", "next step"), lines)

    def _deferred(self) -> str:
        lines = [
            _line(
                deferral.rule,
                code(joined(dict.fromkeys(f.subject for f in covered))),
                escaped(explained(deferral)),
            )
            for deferral, covered in by_deferral(self._report.deferred)
        ]
        return self._table(("rule", "where", "reason"), lines)

    def _table(self, head: Sequence[str], lines: Sequence[str]) -> str:
        shown = [_line(*head), _line(*("---" for _ in head))]
        for number, line in enumerate(lines):
            self._room -= len(line.encode()) + 1
            if self._room < 0:
                left = f"and {len(lines) - number:,} more lines, see the log"
                shown.append(_line(left, *("" for _ in head[1:])))
                break
            shown.append(line)
        return "\n".join(shown)


def _folded(title: str, table: str) -> Iterable[str]:
    return f"<details><summary>{title}</summary>", table, "</details>"


def _model(row: RowResult) -> str:
    kind = row.classification.value if row.classification else "unknown"
    kind += ", imported" if row.origin else ""
    signers = ", ".join(dict.fromkeys(s.signer for s in row.signatures))
    return _line(code(row.id), kind, escaped(row.license or "unknown"), escaped(signers))


def _who(block: Block) -> str:
    many = len(block.subjects)
    total = f" ({count(many, block.kind.value)})" if many > 1 else ""
    return f"{code(joined(block.subjects))}{total}"


def _what(entry: Entry) -> str:
    others = len(entry.findings) - 1
    more = f" and {others:,} more" if others else ""
    return f"{escaped(entry.first.message)}<br><sub>{escaped(place(entry.first))}{more}</sub>"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def escaped(text: str) -> str:
    """Return `text` escaped for Markdown, for use in a line or a table cell.

    Text between backticks, such as a field name in a message, is shown as code.
    """
    plain = _MARKUP.sub(lambda match: f"&#{ord(match[0])};", printable(text))
    return _CODE.sub(r"<code>\1</code>", plain)


def code(text: str) -> str:
    """Return `text` as code, for use in a line or a table cell."""
    return f"<code>{escaped(text.replace('`', ' '))}</code>"
