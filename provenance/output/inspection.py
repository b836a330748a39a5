# SPDX-License-Identifier: Apache-2.0
"""The contents of a bundle, its signer and its timestamps, for people and as JSON."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from provenance.artifacts.documents.strict_json import parse_object
from provenance.attestations import predicates
from provenance.attestations.bundle import Envelope, MessageSignature
from provenance.attestations.log_entry import LogEntry
from provenance.attestations.signed_row import REGISTRY_ROW
from provenance.attestations.statement import Statement
from provenance.operations.inspect import Inspection
from provenance.output.text import Style, count, printable

if TYPE_CHECKING:
    from provenance.signing.description import CertificateDescription

_KINDS = {
    REGISTRY_ROW: "a registry row, with all its model files",
    predicates.SLSA_PROVENANCE: "how a file was built (SLSA provenance)",
    predicates.SLSA_SUMMARY: "a release summary (SLSA verification summary)",
}


def render(result: Inspection, style: Style) -> str:
    """Return the bundle as text for people."""
    lines = [style.strong(printable(result.path)), f"  {result.bundle.media_type}"]
    lines.append(f"  {_signer(result)}; the signature is not verified")
    content = result.bundle.content
    if isinstance(content, MessageSignature):
        lines.append(f"  signs the bytes of a file (sha256 {content.sha256 or 'not stated'})")
        lines.append("  binds no name, license, external data or sidecar")
    lines += _evidence(result, style)
    if result.statement is not None:
        lines += _statement(result.statement, style)
    return "\n".join(lines) + "\n"


def as_json(result: Inspection) -> dict[str, Any]:
    """Return the bundle as JSON, version 1."""
    content = result.bundle.content
    return {
        "version": 1,
        "path": result.path,
        "mediaType": result.bundle.media_type,
        "hint": result.bundle.hint,
        "keySha256": result.bundle.key_sha256,
        "messageSha256": content.sha256 if isinstance(content, MessageSignature) else None,
        "certificate": None
        if result.certificate is None
        else _certificate_json(result.certificate),
        "logEntry": None if result.bundle.entry is None else _entry_json(result.bundle.entry),
        "timestamps": [
            {
                "time": None if t.time is None else _iso(t.time),
                "policy": t.policy or None,
                "serialNumber": t.serial_number or None,
                "problem": t.problem,
            }
            for t in result.timestamps
        ],
        # The whole statement as it was signed, including unknown fields.
        "statement": parse_object(content.payload) if isinstance(content, Envelope) else None,
    }


def _signer(result: Inspection) -> str:
    if result.bundle.hint is None:
        return "signed with a certificate"
    if not result.bundle.hint:
        return "signed with a key; no key hint"
    if result.bundle.key_sha256 is not None:
        return f"signed with a key; key hint: sha256 {result.bundle.key_sha256}"
    return f"signed with a key; key hint: {printable(result.bundle.hint)[:80]!r}"


def _evidence(result: Inspection, style: Style) -> Iterator[str]:
    """Yield the certificate, the log entry and the timestamps, as far as the bundle has them."""
    if result.certificate is not None:
        yield from _certificate(result.certificate, style)
    if result.bundle.entry is not None:
        yield from _entry(result.bundle.entry, style)
    for timestamp in result.timestamps:
        yield ""
        if timestamp.time is None:
            yield f"{style.strong('timestamp')}: {printable(timestamp.problem or '')}"
        else:
            yield f"{style.strong('timestamp')}: {_moment(timestamp.time)}"
            yield f"  policy: {timestamp.policy}"
            yield f"  serial number: {timestamp.serial_number}"


def _certificate(certificate: CertificateDescription, style: Style) -> Iterator[str]:
    names = ", ".join(certificate.names) or "no subject"
    yield ""
    yield f"{style.strong('certificate')}: for {printable(names)}"
    yield f"  valid: {_moment(certificate.not_before)} to {_moment(certificate.not_after)}"
    yield f"  by: {printable(certificate.authority)}"
    yield f"  serial number: {certificate.serial_number}"
    yield f"  sha256: {certificate.sha256}"
    for claim in certificate.claims:
        yield f"  {claim.name}: {printable(claim.value)}"
    if certificate.problem is not None:
        problem = printable(certificate.problem)
        yield f"  {style.warning('not a valid signing certificate')}: {problem}"


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
    yield ""
    yield f"{style.strong('log entry')}: {entry.log_index}, {entry.kind} {entry.version}"
    yield f"  log: {entry.log_id.hex()}"
    if entry.integrated_time is not None:
        time = datetime.datetime.fromtimestamp(entry.integrated_time, datetime.UTC)
        signed = "promised by the log" if entry.promise is not None else "not signed by the log"
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


def _statement(statement: Statement, style: Style) -> Iterator[str]:
    kind = _KINDS.get(statement.predicate_type, statement.predicate_type)
    if predicates.is_seed(statement):
        kind = "how an ensemble seed was trained (SLSA provenance)"
    yield ""
    yield f"{style.strong('statement')}: {printable(kind)}"
    files = len(statement.subjects) + len(statement.others)
    yield f"{style.strong('about')}: {count(files, 'file')}"
    for subject in statement.subjects:
        yield f"  {subject.sha256}  {printable(subject.name) or '(no name)'}"
    for other in statement.others:
        by = ", ".join(other.algorithms) or "no digest"
        yield f"  (not supported: {printable(by)[:80]})  {printable(other.name) or '(no name)'}"
    match statement.predicate_type:
        case predicates.SLSA_PROVENANCE:
            yield from _provenance(statement, style)
        case predicates.SLSA_SUMMARY:
            yield from _summary(statement.predicate, style)
        case _ if statement.predicate_type == REGISTRY_ROW:
            yield from _row(statement.predicate, style)


def _row(predicate: Mapping[str, Any], style: Style) -> Iterator[str]:
    source = dict(_items(predicate.get("source")))
    at = f"{source.get('location')} in {source.get('index')}"
    yield f"{style.strong('row')}: {printable(at)}"
    for key, value in _items(predicate.get("row")):
        yield f"  {printable(key)}: {printable(str(value))}"
    for file in _list(predicate.get("files")):
        role, name = str(file.get("role")), str(file.get("name"))
        yield f"{style.strong(printable(role))}: {printable(name)}"
    for sidecar in _list(predicate.get("sidecars")):
        yield f"{style.strong('sidecar')}: {printable(str(sidecar.get('name')))}"
        yield f"  describes: {printable(str(sidecar.get('describes') or 'not stated'))}"
    for deferral in _list(predicate.get("deferrals")):
        text = f"{deferral.get('rule')}: {deferral.get('reason')} ({deferral.get('reference')})"
        yield f"{style.warning('deferred')} {printable(text)}"


def _provenance(statement: Statement, style: Style) -> Iterator[str]:
    definition = dict(_items(statement.predicate.get("buildDefinition")))
    details = dict(_items(statement.predicate.get("runDetails")))
    parameters = dict(_items(definition.get("externalParameters")))
    if predicates.is_seed(statement):
        yield f"{style.strong('seed')}: {printable(str(parameters.get('seed')))}"
        for key, value in _items(parameters.get("trainingRecipe")):
            yield f"  {printable(key)}: {printable(str(value))}"
    else:
        yield f"{style.strong('build type')}: {printable(str(definition.get('buildType')))}"
        builder = dict(_items(details.get("builder"))).get("id")
        yield f"{style.strong('builder')}: {printable(str(builder))}"
    for label, artifacts in (
        ("made from", definition.get("resolvedDependencies")),
        ("with", details.get("byproducts")),
    ):
        for entry in _list(artifacts):
            named = entry.get("name") or entry.get("uri")
            yield f"{style.strong(label)}: {printable(str(named))}"


def _summary(predicate: Mapping[str, Any], style: Style) -> Iterator[str]:
    yield f"{style.strong('verified')}: {printable(str(predicate.get('timeVerified')))}"
    yield f"{style.strong('project')}: {printable(str(predicate.get('resourceUri')))}"
    yield f"{style.strong('result')}: {printable(str(predicate.get('verificationResult')))}"
    if predicates.DEFERRALS_FIELD in predicate:
        deferrals = dict(_items(predicate[predicates.DEFERRALS_FIELD])).get("count")
        yield f"{style.strong('deferred findings')}: {printable(str(deferrals))}"
    inputs = _list(predicate.get("inputAttestations"))
    yield f"{style.strong('from')}: {count(len(inputs), 'bundle')}"


def _items(value: object) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _list(value: object) -> list[Mapping[str, Any]]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []
