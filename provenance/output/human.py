# SPDX-License-Identifier: Apache-2.0
"""A report for people: the findings of each row, the next steps, and a complete summary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from provenance.evidence.facts import SignatureResult
from provenance.gate.finding import Finding, Report, RowResult, TrustResult, Verdict
from provenance.output import grouping
from provenance.output.grouping import Block, Entry, Kind
from provenance.output.text import Style, count, diff_lines, explained, joined, printable, some

_FEW: Final = 3
"""If signatures are verified, up to so many rows are shown even without --verbose.

A consumer wants to see who signed what.
"""

_CODE: Final = 6
"""The width of a rule's code, in columns."""


def render(report: Report, style: Style, *, verbose: bool = False) -> str:
    """Return the whole report, ending in a newline."""
    page = _Page(report, style, verbose)
    parts = [
        page.heading(),
        page.difference(),
        page.section(report.failing, "error", style.error),
        page.section(report.warnings, "warning", style.warning),
        page.deferred(),
        page.next_steps(),
        page.rows(),
        page.outcome(),
    ]
    return "\n".join(part for part in parts if part)


class _Page:
    """Renders the parts of a report. Each part is "" or ends in a newline."""

    def __init__(self, report: Report, style: Style, verbose: bool) -> None:
        self._report = report
        self._style = style
        self._verbose = verbose
        self._files = {row.id: row.path for row in report.rows}
        shown = report.findings if verbose else (*report.failing, *report.warnings)
        self._column = max((len(_position(f)) for f in shown), default=0)

    def heading(self) -> str:
        """Return the name of the registry, and the numbers of its rows and model files."""
        report = self._report
        files = sum(len(r.model_files) for r in report.rows)
        size = f"{count(len(report.rows), 'row')}, {count(files, 'model file')}"
        against = "" if report.baseline is None else f", compared with {report.baseline}"
        title = self._style.strong(printable(f"{report.registry}: {size}"))
        return title + self._style.quiet(printable(against)) + "\n"

    def difference(self) -> str:
        """Return the changes of `check --fix`."""
        lines = diff_lines(self._report.diff, self._style)
        return "\n".join(lines) + "\n" if lines else ""

    def section(self, findings: Sequence[Finding], noun: str, paint: Callable[[str], str]) -> str:
        """Return the findings of one severity, in blocks."""
        if not findings:
            return ""
        blocks = grouping.blocks(findings, self._report.rows, fold=not self._verbose)
        title = f"{paint(count(len(findings), noun))}\n"
        return title + "\n".join(self._block(block, paint) for block in blocks)

    def deferred(self) -> str:
        """Return the deferrals with their rows and reasons; with `verbose`, also each finding."""
        findings = self._report.deferred
        if not findings:
            return ""
        style = self._style
        text = f"{style.strong(f'{len(findings):,} deferred')}\n"
        for deferral, covered in grouping.by_deferral(findings):
            subjects = joined(dict.fromkeys(printable(f.subject) for f in covered))
            text += self._hang(f"  {style.strong(deferral.rule)}  ", _CODE + 4, [subjects])
            text += self._quiet(printable(explained(deferral)), _CODE + 4)
        if self._verbose:
            blocks = grouping.blocks(findings, self._report.rows, fold=False)
            text += "\n" + "\n".join(self._block(block, style.strong) for block in blocks)
        return text

    def next_steps(self) -> str:
        """Return the next steps, each only once for all findings that need it."""
        likeness = grouping.likeness_in(self._report.rows)
        steps: dict[tuple[str, str], list[Finding]] = {}
        for finding in (*self._report.failing, *self._report.warnings):
            like = likeness(finding)
            steps.setdefault((like.code, like.help), []).append(finding)
        if not steps:
            return ""
        # Merge equal steps again: they differ in likeness if the id of a row is a word of the step.
        by_help: dict[tuple[str, str], list[Finding]] = {}
        for (code, _), found in steps.items():
            by_help.setdefault((code, found[0].help), []).extend(found)
        steps = by_help
        times = max(len(found) for found in steps.values())
        aside = self._style.quiet("provenance rules CODE explains a rule")
        text = f"{self._style.strong('next steps')}  {aside}\n"
        for (code, _), found in sorted(steps.items(), key=lambda step: step[0][0]):
            number = f"{len(found):>{len(f'{times:,}')},} ×  " if times > 1 else ""
            others = dict.fromkeys(f.subject for f in found if f.help != found[0].help)
            words = [printable(found[0].help)]
            if others:
                words.append(f"Likewise for {joined(map(printable, others))}.")
            lead = f"  {self._style.strong(code)}  {self._style.quiet(number)}"
            text += self._hang(lead, _CODE + 4 + len(number), words)
        return text

    def rows(self) -> str:
        """Return a line for each row, if `verbose` or if signatures of a few rows are verified."""
        report, style = self._report, self._style
        many = report.trust is None or len(report.rows) > _FEW
        if not report.rows or (many and not self._verbose):
            return ""
        width = max((len(printable(r.id)) for r in report.rows), default=0)
        lines = [style.strong("rows")]
        for row in report.rows:
            mark = style.error("fail")
            if row.verdict is not Verdict.FAILED:
                mark = style.quiet("away") if row.absent else style.good("ok  ")
            detail = printable(_detail(row))
            lines.append(f"  {mark} {printable(row.id).ljust(width)}  {style.quiet(detail)}")
            for signature in row.signatures:
                if signature.issuer is not None or signature.times:
                    lines += style.wrapped(printable(_signed(signature)), 8)
            for deferral in row.deferrals:
                until = f", until {deferral['expires']}" if deferral.get("expires") else ""
                reason, reference = deferral.get("reason"), deferral.get("reference")
                text = f"deferred {deferral.get('rule')}: {reason} ({reference}{until})"
                lines += style.wrapped(printable(text), 8)
        return "\n".join(lines) + "\n"

    def outcome(self) -> str:
        """Return the trust, the notes, what was written, what was not judged, and the verdict."""
        report, style = self._report, self._style
        lines = [] if report.trust is None else list(_trust(report.trust))
        if report.release is not None:
            lines.append(f"release: {printable(str(report.release))}")
        for note in report.notes if report.verdict is not Verdict.NOTHING else ():
            lines += style.wrapped(f"note: {printable(note)}", 0, 6)
        for state, names in grouping.by_state(report.rows) if not self._verbose else ():
            lines += style.wrapped(f"{state}: {joined(map(printable, names))}", 0, 2)
        if report.suppressed and self._verbose:
            codes = joined(sorted({s.finding.code for s in report.suppressed}))
            number = count(len(report.suppressed), "finding")
            lines.append(f"suppressed: {number} ({codes}) whose cause is already reported")
        if report.not_judged:
            lines += style.wrapped(f"not judged: {printable('; '.join(report.not_judged))}", 0, 12)
        if report.written or report.kept:
            lines.append(
                f"{count(len(report.written), 'bundle')} written, "
                f"{len(report.kept)} already signed over the same statement"
            )
        if report.fixed:
            codes = joined(sorted({f.code for f in report.fixed}))
            lines.append(f"{style.good('FIXED')}: {count(len(report.fixed), 'finding')} ({codes})")
        paint = style.good if report.verdict is Verdict.VERIFIED else style.error
        first, *more = style.wrapped(printable(grouping.summary(report)), 0, 2)
        word, _, rest = first.partition(":")
        return "\n".join([*lines, f"{paint(word)}:{rest}", *more]) + "\n"

    def _block(self, block: Block, paint: Callable[[str], str]) -> str:
        text = self._title(block)
        path = self._report.registry if block.kind is Kind.ROWS else ""
        for entry in sorted(block.entries, key=self._reading_order):
            paths = joined(dict.fromkeys(printable(f.path) for f in entry.findings))
            is_title = block.kind is Kind.FILES and entry.first.path in block.subjects
            if paths != path and not is_title:
                text += self._quiet(paths, 4)
            path = paths
            text += self._entry(entry, paint)
        return text

    def _reading_order(self, entry: Entry) -> tuple[bool, str, str]:
        first = entry.first
        return first.path != self._report.registry, first.path, first.code

    def _title(self, block: Block) -> str:
        style, many = self._style, len(block.subjects) > 1
        shown = [printable(s) for s in block.subjects]
        if not many:
            file = self._files.get(block.subjects[0], "") if block.kind is Kind.ROWS else ""
            plain = file.rpartition("/")[2] == f"{block.subjects[0]}.onnx"
            aside = "" if plain else printable(file)
            kind = f"{block.kind.value} " if block.kind is Kind.ENSEMBLES else ""
            title = f"  {kind}{style.strong(shown[0])}"
            return f"{title}  {style.quiet(aside)}\n" if aside else f"{title}\n"
        names = joined(shown)
        total = count(len(shown), block.kind.value)
        if len(names) + len(total) + 6 <= style.width and ", " not in names:
            return f"  {style.strong(names)}  {style.quiet(total)}\n"
        return self._hang(f"  {style.strong(total)}  ", len(total) + 4, [names])

    def _entry(self, entry: Entry, paint: Callable[[str], str]) -> str:
        first = entry.first
        lead = f"  {_position(first):>{self._column + 2}}  {paint(first.code)}  "
        indent = self._column + _CODE + 8
        text = self._hang(lead, indent, [printable(first.message)])
        others = _others(entry)
        return text + (self._quiet(others, indent) if others else "")

    def _hang(self, lead: str, indent: int, paragraphs: Iterable[str]) -> str:
        """Return plain text to the right of `lead`, which is `indent` columns wide."""
        lines = [line for text in paragraphs for line in self._style.wrapped(text, indent)]
        return "\n".join([lead + lines[0][indent:], *lines[1:]]) + "\n"

    def _quiet(self, text: str, indent: int) -> str:
        return "".join(
            f"{' ' * indent}{self._style.quiet(line[indent:])}\n"
            for line in self._style.wrapped(text, indent)
        )


def _detail(row: RowResult) -> str:
    kind = row.classification.value if row.classification else "of unknown kind"
    kind += f", imported from {row.origin['source']}" if row.origin else ""
    by_keys = [s.signer for s in row.signatures if s.issuer is None and not s.times]
    signer = f" · signed by {' and '.join(by_keys)}" if by_keys else ""
    return f"{kind} · {row.license or 'license not known'}{signer}"


def _signed(signature: SignatureResult) -> str:
    """Return who signed, when a log or timestamp authority saw it, and which entry trusts it."""
    times = ", ".join(
        f"{time:%Y-%m-%d %H:%M:%S} UTC ({source})" for time, source in signature.times
    )
    return f"signed by {signature.signer} at {times}; trusted as {signature.entry}"


def _trust(trust: TrustResult) -> Iterator[str]:
    yield f"trust: {printable(trust.source)}"
    for entry in (*trust.workflows, *trust.identities):
        yield f"  {printable(str(entry))}"
    for path, sha256 in trust.keys:
        yield f"  key {printable(path)} (sha256 {sha256})"
    if trust.signatures > 1:
        yield f"  {trust.signatures} signers are required"
    if trust.root is not None:
        yield f"  trusted root {printable(trust.root[0])} (sha256 {trust.root[1]})"


def _others(entry: Entry) -> str:
    """Return the places of all findings of an entry except the first, or "" if all are equal."""
    same = all(f.message == entry.first.message for f in entry.findings)
    word = "also" if same else "likewise"
    places = {f.position for f in entry.findings if f.position is not None}
    others = [f.position for f in entry.findings[1:] if f.position is not None]
    if len(places) < 2:
        return "" if same else "likewise for the others"
    if len({place.column for place in places}) == 1:
        lines = "line" if len(others) == 1 else "lines"
        return f"{word} at {lines} {some(str(place.line) for place in others)}"
    return f"{word} at {some(f'{place.line}:{place.column}' for place in others)}"


def _position(finding: Finding) -> str:
    position = finding.position
    return f"{position.line}:{position.column}" if position else ""
