# SPDX-License-Identifier: Apache-2.0
"""A report for people: findings by rule, each with its place and the next step, and a summary.

One defect in twenty rows is shown once, with the twenty rows: what has to be done is one thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from provenance.gate.finding import (
    Finding,
    Report,
    Severity,
    SignatureResult,
    TrustResult,
    Verdict,
)
from provenance.output.text import Style, count, printable

_FEW = 3
"""So few rows are all shown when signatures are judged: a consumer asks who signed what."""


def render(report: Report, style: Style, *, verbose: bool = False) -> str:
    """The whole report, ending in a newline."""
    parts = [_heading(report, style)]
    shown = (
        (report.failing, style.error, "error"),
        (report.warnings, style.warning, "warning"),
        (report.deferred, style.quiet, "deferred"),
    )
    for findings, paint, label in shown:
        for code, group in _by_rule(findings):
            brief = label == "deferred" and not verbose
            parts.append(_rule(code, group, paint(label), style, brief=brief))
    if verbose or (report.trust is not None and len(report.rows) <= _FEW):
        parts.append(_rows(report, style))
    parts.append(_outcome(report, style))
    return "\n".join(p for p in parts if p) + "\n"


def _heading(report: Report, style: Style) -> str:
    files = sum(len(r.model_files) for r in report.rows)
    line = f"{report.registry}: {count(len(report.rows), 'row')}, {count(files, 'model file')}"
    return style.strong(printable(line)) + "\n"


def _by_rule(findings: Iterable[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    order = sorted(findings, key=lambda f: f.code)  # stable: rows stay in the registry's order
    for code, group in groupby(order, key=lambda f: f.code):
        yield code, list(group)


def _rule(code: str, findings: Sequence[Finding], label: str, style: Style, *, brief: bool) -> str:
    rows = {f.row for f in findings if f.row is not None}
    where = f" · {count(len(rows), 'row')}" if rows else ""
    lines = [f"{label} {style.strong(code)} {findings[0].slug}{style.quiet(where)}"]
    if brief:
        names = _names([printable(f.row) for f in findings if f.row])
        lines.append(style.fill(", ".join(names), 4))
        findings_shown: Sequence[Finding] = ()
    else:
        findings_shown = findings
    by_message: dict[str, list[Finding]] = {}
    for finding in findings_shown:
        by_message.setdefault(finding.message, []).append(finding)
    path = ""
    for message, group in by_message.items():
        paths = {f.path for f in group}
        if len(paths) > 1:
            lines.append(style.fill(printable(message), 2, 4))
            lines += [style.quiet(f"    {printable(_place(f))}") for f in group]
            path = ""
            continue
        if group[0].path != path:
            path = group[0].path
            lines.append(style.quiet(f"  {printable(path)}"))
        lines += _message(message, group, style)
    for help in dict.fromkeys(f.help for f in findings if f.deferred is None):
        lines.append(style.quiet("  next: ") + printable(help))
    for deferral in dict.fromkeys(f.deferred for f in findings if f.deferred is not None):
        until = f", until {deferral.expires}" if deferral.expires else ""
        text = f"{deferral.reason} ({deferral.reference}{until})"
        lines.append(style.fill(f"because {printable(text)}", 4, 6))
    return "\n".join(lines) + "\n"


def _message(message: str, group: Sequence[Finding], style: Style) -> Iterator[str]:
    if len(group) == 1:
        finding = group[0]
        row = f"{finding.row}: " if finding.row else ""
        yield style.fill(f"{_position(finding)}{printable(row + message)}", 4, 6)
        return
    yield style.fill(printable(message), 4, 6)
    lines = ", ".join(str(f.position.line) for f in group if f.position is not None)
    if lines:
        yield style.fill(f"lines {lines}", 6)
    yield style.fill(", ".join(_names([printable(f.row) for f in group if f.row])), 6)


def _place(finding: Finding) -> str:
    position = finding.position
    return f"{finding.path}:{position.line}:{position.column}" if position else finding.path


def _position(finding: Finding) -> str:
    if finding.position is None:
        return ""
    return f"{finding.position.line}:{finding.position.column}  "


def _names(names: Sequence[str]) -> Iterator[str]:
    """Names, with runs that differ only in a last number joined: seed0…4."""
    pending: list[tuple[str, int]] = []

    def flush() -> Iterator[str]:
        if len(pending) > 2:
            yield f"{pending[0][0]}{pending[0][1]}…{pending[-1][1]}"
        else:
            yield from (f"{stem}{number}" for stem, number in pending)
        pending.clear()

    for name in names:
        match = re.fullmatch(r"(.*?)(0|[1-9]\d{0,8})", name)
        follows = match and pending and pending[-1] == (match[1], int(match[2]) - 1)
        if pending and not follows:
            yield from flush()
        if match is None:
            yield name
        else:
            pending.append((match[1], int(match[2])))
    yield from flush()


def _rows(report: Report, style: Style) -> str:
    lines = [style.strong("rows")]
    width = max((len(r.id) for r in report.rows), default=0)
    for row in report.rows:
        ok = row.verdict is Verdict.VERIFIED
        mark = style.good("ok  ") if ok else style.error("fail")
        kind = {True: "smoke", False: "production", None: "of unknown kind"}[row.smoke]
        by_keys = [s.signer for s in row.signatures if s.issuer is None and not s.times]
        signer = f" · signed by {' and '.join(by_keys)}" if by_keys else ""
        detail = f"{kind} · {row.license or 'license not known'}{signer}"
        lines.append(f"  {mark} {printable(row.id).ljust(width)}  {style.quiet(printable(detail))}")
        for signature in row.signatures:
            if signature.issuer is not None or signature.times:
                lines.append(style.fill(printable(_signed(signature)), 7, 9))
        for deferral in row.deferrals:
            until = f", until {deferral['expires']}" if deferral.get("expires") else ""
            reason, reference = deferral.get("reason"), deferral.get("reference")
            text = f"{deferral.get('rule')}: {reason} ({reference}{until})"
            lines.append(style.fill(f"deferred {printable(text)}", 7, 9))
    return "\n".join(lines) + "\n"


def _signed(signature: SignatureResult) -> str:
    """Who signed and when, as somebody else than the signer says, and why that counts."""
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
        yield f"  {trust.signatures} signers have to sign"
    if trust.root is not None:
        yield f"  trusted root {printable(trust.root[0])} (sha256 {trust.root[1]})"


def _outcome(report: Report, style: Style) -> str:
    lines: list[str] = []
    if report.trust is not None:
        lines += _trust(report.trust)
    for note in report.notes if report.verdict is not Verdict.NOTHING else ():
        lines.append(style.fill(f"note: {printable(note)}", 0, 6))
    if report.written or report.kept:
        lines.append(
            f"{count(len(report.written), 'bundle')} written, "
            f"{len(report.kept)} already signed over the same statement"
        )
    failed_rows = {f.row for f in report.failing if f.row is not None}
    errors = sum(1 for f in report.failing if f.severity is Severity.ERROR)
    extras = []
    if report.warnings:
        extras.append(count(len(report.warnings), "warning"))
    if report.deferred:
        references = sorted({f.deferred.reference for f in report.deferred if f.deferred})
        extras.append(f"{len(report.deferred)} deferred ({', '.join(map(printable, references))})")
    tail = f"; {'; '.join(extras)}" if extras else ""
    match report.verdict:
        case Verdict.VERIFIED:
            smoke = sum(1 for r in report.rows if r.smoke)
            kinds = f", {smoke} of them smoke" if smoke else ""
            if smoke and len(report.rows) == 1:
                kinds = ", smoke"
            what = "verified" if report.trust is not None else "passed, signatures not judged"
            head = style.good("OK")
            lines.append(f"{head}: {count(len(report.rows), 'row')} {what}{kinds}{tail}")
        case Verdict.NOTHING:
            nothing = report.notes[-1] if report.notes else "the registry has no rows"
            lines.append(f"{style.error('NOTHING TO VERIFY')}: {printable(nothing)}")
        case Verdict.FAILED:
            of_rows = f" in {len(failed_rows)} of {count(len(report.rows), 'row')}"
            rows = of_rows if failed_rows and report.rows else ""
            lines.append(f"{style.error('FAILED')}: {count(errors, 'error')}{rows}{tail}")
    return "\n".join(lines)
