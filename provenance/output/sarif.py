# SPDX-License-Identifier: Apache-2.0
"""A report as SARIF 2.1.0 (OASIS, with errata 01), for services that show findings in code.

A deferred finding is a result of level `note` with an accepted suppression. Services without
support for suppressions show it, but do not fail because of it. Paths are relative to the root of
the repository. `primaryLocationLineHash` is left out: GitHub computes it and warns about any other
value.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote

from provenance.gate.finding import Finding, Report, Verdict
from provenance.gate.rules import CATALOGUE, Rule
from provenance.output import catalogue, machine
from provenance.output.text import explained, printable
from provenance.version import __version__

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
TOOL: Final = "onnx-provenance"
FINGERPRINT: Final = "provenance/v1"

_ROOT: Final = "%SRCROOT%"
_INDEX: Final = {rule.code: index for index, rule in enumerate(CATALOGUE)}
_DESCRIPTION: Final = 1024
"""The number of characters of a description that GitHub shows."""

_CHANGES: Final = re.compile(
    r"\b[0-9a-f]{12}…|\b[0-9a-f]{64}\b"  # digests
    r"|(?<![\w.])[0-9][0-9,]*(?![\w])"  # lines, sizes, numbers of rows
)


def render(report: Report, folder: str = "") -> str:
    """Return the report. `folder` is the path of the tree in its repository."""
    marks = fingerprints(report.findings)
    run = {
        "tool": {
            "driver": {
                "name": TOOL,
                "semanticVersion": __version__,
                "rules": [_rule(rule) for rule in CATALOGUE],
            }
        },
        # Uploads for different registries of a repository must not replace each other.
        "automationDetails": {"id": f"{TOOL}/{_path(report.registry, folder)}/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        "invocations": [
            {
                "executionSuccessful": report.verdict is not Verdict.NOTHING,
                "exitCode": report.exit_code,
                "toolExecutionNotifications": list(_notifications(report)),
            }
        ],
        "results": [
            _result(finding, mark, folder)
            for finding, mark in zip(report.findings, marks, strict=True)
        ],
    }
    return machine.render({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _notifications(report: Report) -> Iterator[dict[str, Any]]:
    texts = [("note", f"Not judged: {text}.") for text in report.not_judged]
    texts += [("note", note) for note in report.notes]
    if report.verdict is Verdict.NOTHING:
        texts.append(("error", "There was nothing to verify."))
    for level, text in texts:
        yield {"level": level, "message": {"text": _plain(text)}}


def _result(finding: Finding, mark: str, folder: str) -> dict[str, Any]:
    about = f"{finding.row}: " if finding.row else ""
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": _INDEX[finding.code],
        "level": finding.severity.value if finding.deferred is None else "note",
        "message": {"text": _plain(f"{about}{finding.message}. Next: {finding.help}")},
        "locations": [_location(finding, folder)],
        "partialFingerprints": {FINGERPRINT: mark},
        "suppressions": [],
    }
    if finding.deferred is not None:
        reason = printable(explained(finding.deferred))
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": reason}
        ]
    if finding.about != finding.path:
        result["relatedLocations"] = [
            {
                "physicalLocation": {"artifactLocation": _artifact(finding.about, folder)},
                "message": {"text": "The file that the finding is about."},
            }
        ]
    return result


def _location(finding: Finding, folder: str) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": _artifact(finding.path, folder)}
    if finding.position is not None:
        physical["region"] = {
            "startLine": finding.position.line,
            "startColumn": finding.position.column,
        }
    named = [("row", finding.row), ("ensemble", finding.ensemble)]
    logical = [
        {"name": name, "fullyQualifiedName": f"{kind}/{name}", "kind": kind}
        for kind, name in named
        if name
    ]
    return {"physicalLocation": physical} | ({"logicalLocations": logical} if logical else {})


def _artifact(path: str, folder: str) -> dict[str, str]:
    # A file name need not be valid UTF-8; its bytes are percent-encoded unchanged.
    if path.startswith("/"):
        return {"uri": f"file://{quote(path, errors='surrogateescape')}"}
    return {"uri": quote(_path(path, folder), errors="surrogateescape"), "uriBaseId": _ROOT}


def _path(path: str, folder: str) -> str:
    return f"{folder}/{path}" if folder else path


def _rule(rule: Rule) -> dict[str, Any]:
    level = rule.severity.value
    does = catalogue.section(rule, "What it does")
    return {
        "id": rule.code,
        "name": rule.slug,
        "shortDescription": {"text": catalogue.summary(rule)},
        "fullDescription": {"text": does[:_DESCRIPTION]},
        "help": {"text": catalogue.text_of(rule), "markdown": catalogue.page(rule)},
        "defaultConfiguration": {"level": level},
        "properties": {
            "deferrable": rule.deferrable,
            "precision": "very-high",
            "problem.severity": level,
            "tags": ["supply-chain", catalogue.family(rule)],
        },
    }


def fingerprints(findings: Iterable[Finding]) -> list[str]:
    """Return a distinct hex digest for each finding, made of its rule, subject, files and message.

    The digest is the same in every run: lines, digests and numbers in the message are left out.
    """
    seen: Counter[str] = Counter()
    digests = []
    for finding in findings:
        stable = _CHANGES.sub("", finding.message)
        parts = [finding.code, finding.row, finding.ensemble, finding.path, finding.about, stable]
        key = json.dumps(parts)
        digests.append(hashlib.sha256(f"{key}{seen[key]}".encode()).hexdigest())
        seen[key] += 1
    return digests


def _plain(text: str) -> str:
    """Return text for a message. `[…](…)` is escaped: it would be a link (SARIF 3.11.6)."""
    shown = printable(text)
    return shown.replace("[", "\\[").replace("]", "\\]") if "](" in shown else shown
