# SPDX-License-Identifier: Apache-2.0
"""Findings and reports to write in each format."""

from __future__ import annotations

import json
from typing import Any

from provenance.artifacts.documents.strict_json import Position
from provenance.gate.finding import Finding, Report, RowResult, Severity, Verdict
from provenance.registry.rows import Classification
from tests.support.models import model
from tests.support.repository import Repository

REASON = "until the retrain"
STALE = {"sha256": "0" * 64}


def finding(**fields: Any) -> Finding:
    """Return a finding of LIC201 about the row `m`, with other fields where given."""
    known: dict[str, Any] = {
        "code": "LIC201",
        "slug": "license-missing",
        "severity": Severity.ERROR,
        "row": "m",
        "path": "model/registry.json",
        "position": Position(4, 5),
        "message": "no `license`",
        "help": "Add it.",
        "about": "model/registry.json",
    }
    return Finding(**(known | fields))


def report_of(*findings: Finding, rows: tuple[RowResult, ...] = ()) -> Report:
    """Return a report of findings that were made up."""
    return Report(findings[0].path, rows, findings)


def failed_row(id: str, path: str = "") -> RowResult:
    """Return the result of a smoke row that failed."""
    return RowResult(id, path or f"{id}.onnx", 1, Classification.SMOKE, "MIT", Verdict.FAILED, ())


def with_error(repository: Repository) -> Report:
    """Report the row `m` with another opset than its model has."""
    repository.add(opset=18)
    return _checked(repository)


def with_warning(repository: Repository) -> Report:
    """Report the row `m` with a sidecar that has no digest."""
    repository.add_sidecar(repository.add_unclaimed(), sha256=None)
    return _checked(repository)


def with_deferral(repository: Repository) -> Report:
    """Report the row `m` with a stale sidecar, which is deferred."""
    repository.add_sidecar(repository.add(), **STALE)
    repository.defer("SID402", ["m"], reason=REASON)
    return _checked(repository)


def with_stray(repository: Repository) -> Report:
    """Report a model that no row names."""
    repository.write("left.onnx", model(salt=9))
    repository.add()
    return _checked(repository)


def with_ensemble_error(repository: Repository) -> Report:
    """Report the ensemble `ens` with a wrong size."""
    repository.add_ensemble(smoke=False)
    manifest = json.loads(repository.path("ens.json").read_text())
    repository.write("ens.json", manifest | {"ensemble_size": 9})
    return _checked(repository)


def with_everything(repository: Repository) -> Report:
    """Report rows with errors of several kinds, one of them without an id."""
    repository.add_sidecar(repository.add(license=5, opset=18), **STALE)
    repository.rows.append({"own": 1})
    repository.write("left over.onnx", model(salt=9))
    return _checked(repository)


def verified(repository: Repository) -> Report:
    """Report a released ensemble."""
    repository.add_ensemble()
    report: Report = repository.released().verify()
    return report


def unsigned(repository: Repository) -> Report:
    """Report a repository that was not released."""
    repository.add()
    report: Report = repository.save().verify()
    return report


def empty(repository: Repository) -> Report:
    """Report a registry without rows."""
    return _checked(repository)


REPORTS = (
    *(with_everything, with_warning, with_deferral, with_stray, with_ensemble_error),
    *(verified, unsigned, empty),
)


def _checked(repository: Repository) -> Report:
    report: Report = repository.save().check()
    return report
