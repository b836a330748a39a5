# SPDX-License-Identifier: Apache-2.0
"""Results as JSON. The format of the report is frozen in provenance/schemas/report.schema.json."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import Any, Final

from provenance.evidence.facts import SignatureResult
from provenance.gate.finding import Finding, Report, RowResult, TrustResult
from provenance.operations.hashing import Hashes
from provenance.operations.restore import Restoration


def render(value: dict[str, Any]) -> str:
    """Return JSON that ends in a newline. It is ASCII only, so that no terminal or log changes it.

    `##` could start a command for a CI runner that reads the log, so its second `#` is escaped.
    """
    text = io.StringIO()  # `dumps` would need three times the memory for its list of tokens
    for token in json.JSONEncoder(indent=2, ensure_ascii=True).iterencode(value):
        text.write(token)
    text.write("\n")
    return text.getvalue().replace("##", "#\\u0023")


def report(result: Report) -> dict[str, Any]:
    """Return a report as JSON, version 1."""
    trust = result.trust
    return {
        "version": 1,
        "verdict": result.verdict.value,
        "registry": result.registry,
        "baseline": result.baseline,
        "rows": [_row(r) for r in result.rows],
        "findings": [_finding(f) for f in result.findings],
        "trust": None if trust is None else _trust(trust),
        "written": list(result.written),
        "kept": list(result.kept),
        "notes": list(result.notes),
        "suppressed": [_finding(s.finding) | {"by": s.by.code} for s in result.suppressed],
        "fixed": [_finding(f) for f in result.fixed],
        "diff": result.diff,
        "not_judged": list(result.not_judged),
        "release": None if result.release is None else members(result.release, *_RELEASE),
    }


def hashes(result: Hashes) -> dict[str, Any]:
    """Return the digests of model files as JSON, version 1."""
    return {
        "version": 1,
        "verdict": result.verdict.value,
        **members(result, "registry", "written", "diff"),
        "files": [members(f, *_HASHED) for f in result.files],
    }


def restoration(result: Restoration) -> dict[str, Any]:
    """Return the result of `restore` as JSON, version 1."""
    return {
        "version": 1,
        "verdict": result.verdict.value,
        **members(result, "registry", "baseline", "written", "diff"),
        "lost": [members(lost, "row", "field", "refused") for lost in result.lost],
        "declared": list(result.declared),
        "withdrawn": list(result.withdrawn),
    }


def members(value: object, *names: str) -> dict[str, Any]:
    """Return the attributes of a result that are members of the same name in JSON."""
    return {name: getattr(value, name) for name in names}


_HASHED: Final = ("row", "path", "sha256", "size", "declared", "matches", "problem", "refused")
_RELEASE: Final = ("registry", "version", "time", "sha256", "previous")


def _row(row: RowResult) -> dict[str, Any]:
    return {
        **members(row, "id", "path", "line"),
        "verdict": row.verdict.value,
        "smoke": row.smoke,
        "classification": row.classification.value if row.classification else None,
        "origin": dict(row.origin) if row.origin else None,
        "license": row.license,
        "model_files": [members(f, "path", "sha256", "size") for f in row.model_files],
        "signer": row.signer,
        "signatures": [_signature(s) for s in row.signatures],
        "deferrals": [dict(d) for d in row.deferrals],
        "absent": list(row.absent),
    }


def _signature(signature: SignatureResult) -> dict[str, Any]:
    return {
        **members(signature, "signer", "issuer", "entry"),
        "times": [
            {"time": f"{time:%Y-%m-%dT%H:%M:%SZ}", "source": source}
            for time, source in signature.times
        ],
    }


def _trust(trust: TrustResult) -> dict[str, Any]:
    return {
        "source": trust.source,
        "keys": [{"path": path, "sha256": sha256} for path, sha256 in trust.keys],
        "identities": [dataclasses.asdict(i) for i in trust.identities],
        "github": [dataclasses.asdict(w) for w in trust.workflows],
        "signatures": trust.signatures,
        "trusted_root": None
        if trust.root is None
        else {"source": trust.root[0], "sha256": trust.root[1]},
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        **members(finding, "code", "slug"),
        "severity": finding.severity.value,
        **members(finding, "row", "ensemble", "path"),
        "line": finding.position.line if finding.position else None,
        "column": finding.position.column if finding.position else None,
        **members(finding, "about", "message", "help"),
        "deferred": finding.deferred.as_json() if finding.deferred else None,
    }
