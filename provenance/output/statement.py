# SPDX-License-Identifier: Apache-2.0
"""What a bundle says, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from provenance.artifacts.documents.strict_json import parse_object
from provenance.attestations import predicates
from provenance.attestations.bundle import Envelope, MessageSignature
from provenance.attestations.signed_row import REGISTRY_ROW
from provenance.attestations.statement import Statement
from provenance.operations.inspect import Inspection
from provenance.output import evidence
from provenance.output.text import Style, count, printable

_KINDS = {
    REGISTRY_ROW: "a registry row, with all of its model files",
    predicates.SLSA_PROVENANCE: "how it was built (SLSA provenance)",
    predicates.SLSA_SUMMARY: "a release summary (SLSA verification summary)",
}


def render(result: Inspection, style: Style) -> str:
    """The bundle in words."""
    lines = [style.strong(printable(result.path)), f"  {result.bundle.media_type}"]
    lines.append(f"  {_signer(result)}; the signature is not judged here")
    content = result.bundle.content
    if isinstance(content, MessageSignature):
        lines.append(f"  signs the bytes of a file (sha256 {content.sha256 or 'not stated'})")
        lines.append("  binds no name, license, external data or sidecar")
    lines += evidence.render(result, style)
    if result.statement is not None:
        lines += _statement(result.statement, style)
    return "\n".join(lines) + "\n"


def as_json(result: Inspection) -> dict[str, Any]:
    """The bundle as JSON, version 1."""
    content = result.bundle.content
    return {
        "version": 1,
        "path": result.path,
        "mediaType": result.bundle.media_type,
        "hint": result.bundle.hint,
        "keySha256": result.bundle.key_sha256,
        "messageSha256": content.sha256 if isinstance(content, MessageSignature) else None,
        **evidence.as_json(result),
        # As it was signed, whatever else is in it.
        "statement": parse_object(content.payload) if isinstance(content, Envelope) else None,
    }


def _signer(result: Inspection) -> str:
    if result.bundle.hint is None:
        return "signed with a certificate"
    if not result.bundle.hint:
        return "signed with a key; no hint which"
    if result.bundle.key_sha256 is not None:
        return f"signed with a key; its hint: sha256 {result.bundle.key_sha256}"
    return f"signed with a key; its hint: {printable(result.bundle.hint)[:80]!r}"


def _statement(statement: Statement, style: Style) -> Iterator[str]:
    kind = _KINDS.get(statement.predicate_type, statement.predicate_type)
    if predicates.is_seed(statement):
        kind = "how an ensemble seed came to be (SLSA provenance)"
    yield ""
    yield f"{style.strong('says')}: {printable(kind)}"
    files = len(statement.subjects) + len(statement.others)
    yield f"{style.strong('of')}: {count(files, 'file')}"
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
        yield f"{style.strong('as')}: {printable(str(definition.get('buildType')))}"
        builder = dict(_items(details.get("builder"))).get("id")
        yield f"{style.strong('by')}: {printable(str(builder))}"
    for label, found in (
        ("made from", definition.get("resolvedDependencies")),
        ("with", details.get("byproducts")),
    ):
        for entry in _list(found):
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
