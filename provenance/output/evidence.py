# SPDX-License-Identifier: Apache-2.0
"""Who signed a bundle and what says when, for people and as JSON: certificate, log, timestamps."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from provenance.attestations.log_entry import LogEntry
from provenance.operations.inspect import Inspection
from provenance.output.text import Style, printable

if TYPE_CHECKING:
    from provenance.signing.description import CertificateDescription


def render(result: Inspection, style: Style) -> Iterator[str]:
    """The evidence in words; nothing for a key without log entry and timestamp."""
    if result.certificate is not None:
        yield ""
        yield from _certificate(result.certificate, style)
    if result.bundle.entry is not None:
        yield ""
        yield from _entry(result.bundle.entry, style)
    for timestamp in result.timestamps:
        yield ""
        if timestamp.time is None:
            yield f"{style.strong('timestamp')}: {printable(timestamp.problem or '')}"
        else:
            yield f"{style.strong('timestamp')}: {_moment(timestamp.time)}"
            yield f"  policy: {timestamp.policy}"
            yield f"  serial number: {timestamp.serial_number}"


def as_json(result: Inspection) -> dict[str, Any]:
    """The evidence as members of the JSON of `inspect`."""
    entry = result.bundle.entry
    return {
        "certificate": None
        if result.certificate is None
        else _certificate_json(result.certificate),
        "logEntry": None if entry is None else _entry_json(entry),
        "timestamps": [
            {
                "time": None if t.time is None else _iso(t.time),
                "policy": t.policy or None,
                "serialNumber": t.serial_number or None,
                "problem": t.problem,
            }
            for t in result.timestamps
        ],
    }


def _certificate(certificate: CertificateDescription, style: Style) -> Iterator[str]:
    names = ", ".join(certificate.names) or "nobody"
    yield f"{style.strong('certificate')}: for {printable(names)}"
    yield f"  valid: {_moment(certificate.not_before)} to {_moment(certificate.not_after)}"
    yield f"  by: {printable(certificate.authority)}"
    yield f"  serial number: {certificate.serial_number}"
    yield f"  sha256: {certificate.sha256}"
    for claim in certificate.claims:
        yield f"  {claim.name}: {printable(claim.value)}"
    if certificate.problem is not None:
        yield f"  {style.warning('no signature may rest on it')}: {printable(certificate.problem)}"


def _certificate_json(certificate: CertificateDescription) -> dict[str, Any]:
    return {
        "subjectAlternativeNames": list(certificate.names),
        "issuer": certificate.authority,
        "serialNumber": certificate.serial_number,
        "notBefore": _iso(certificate.not_before),
        "notAfter": _iso(certificate.not_after),
        "sha256": certificate.sha256,
        "extensions": [
            {"oid": c.oid, "name": c.name, "value": c.value} for c in certificate.claims
        ],
        "problem": certificate.problem,
    }


def _entry(entry: LogEntry, style: Style) -> Iterator[str]:
    yield f"{style.strong('log entry')}: {entry.log_index}, {entry.kind} {entry.version}"
    yield f"  log: {entry.log_id.hex()}"
    if entry.integrated_time is not None:
        time = datetime.datetime.fromtimestamp(entry.integrated_time, datetime.UTC)
        signed = "promised by the log" if entry.promise is not None else "which nobody signed"
        yield f"  time: {_moment(time)}, {signed}"
    if entry.proof is None:
        yield "  without an inclusion proof"
    else:
        checkpoint = entry.proof.checkpoint
        yield f"  proof: entry {entry.proof.log_index} of a tree of {checkpoint.tree_size}"
        yield f"  checkpoint: {printable(checkpoint.origin)}, root {checkpoint.root_hash.hex()}"


def _entry_json(entry: LogEntry) -> dict[str, Any]:
    time = None
    if entry.integrated_time is not None:
        time = _iso(datetime.datetime.fromtimestamp(entry.integrated_time, datetime.UTC))
    proof = entry.proof
    return {
        "logIndex": entry.log_index,
        "logId": entry.log_id.hex(),
        "kind": entry.kind,
        "version": entry.version,
        "integratedTime": time,
        "promised": entry.promise is not None,
        "inclusionProof": None
        if proof is None
        else {
            "logIndex": proof.log_index,
            "treeSize": proof.tree_size,
            "rootHash": proof.root_hash.hex(),
            "origin": proof.checkpoint.origin,
        },
    }


def _moment(time: datetime.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _iso(time: datetime.datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
