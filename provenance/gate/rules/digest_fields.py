# SPDX-License-Identifier: Apache-2.0
"""REG115: the spelling of digests in rows, and the help for fields without a valid digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from provenance.artifacts import digest
from provenance.artifacts.documents.json_edit import Set
from provenance.artifacts.documents.strict_json import type_name
from provenance.evidence.rows import RowEvidence
from provenance.gate.finding import Finding, Fix, Severity
from provenance.gate.rules.base import Rule, command
from provenance.gate.rules.case import Case
from provenance.registry.rows import is_blank


def is_digest(value: object) -> bool:
    """Return whether a field of a row holds a SHA-256 digest in any spelling."""
    return digest.sha256_of(value) is not None


def is_empty(value: object) -> bool:
    """Return whether a field for a digest, or for digests by file name, is empty."""
    return value is None or is_blank(value) or value in ({}, [])


def quoted(value: str) -> str:
    """Return a string quoted and shortened, for a message."""
    return f"{value[:60]!r}" + ("…" if len(value) > 60 else "")


def found_digest(value: Any) -> str:
    """Describe a value that should be a SHA-256 digest, for a message."""
    if not isinstance(value, str):
        return type_name(value)
    written = digest.parse(value)
    return quoted(value) if written is None else f"{digest.called(written)}, {quoted(value)}"


def how_to_write(row: str, value: Any, *, is_object: bool) -> str:
    """Return the help that says how to write the file's digest into a field.

    Args:
        row: The label of the row.
        value: The present value of the field.
        is_object: Whether the field is an object of digests by file name.
    """
    written = digest.parse(value)
    if written is not None:
        fill = command("hash", row, "--write")
        return f'If the field may hold a SHA-256, write "" there, then: {fill}'
    add = ("--add-external-data",) if is_object else ()
    if is_empty(value):
        return command("hash", "--write", *add)
    accept = command("hash", row, "--write", *add, "--accept", row)
    return f"If the file is the right one: {accept}"


class DigestSpelling(Rule):
    """A digest is not written as 64 lower-case hex digits.

    ## What it does
    Warns if a row spells the digest of its file in upper case, with a prefix (`sha256:`) or in
    base64. A warning does not fail the gate, because the digest itself is right. The rule applies
    only if the configuration says `consumers = ["libvmaf"]`. If the registry's schema forbids the
    spelling, REG114 reports it instead.

    ## Why it matters
    libvmaf compares `sha256` as a string of 64 lower-case hex digits. It refuses a model whose
    digest is spelled in any other way.

    ## Example
    `"sha256": "SHA256:08AB1AED…"`

    ## How to fix
    Write the same digest in lower-case hex, as `provenance check --fix` does. This changes only the
    spelling.
    """

    code = "REG115"
    slug = "digest-spelling"
    looks_around = True
    severity = Severity.WARNING

    def judge_row(self, case: Case, row: RowEvidence) -> Iterator[Finding]:
        registry = case.evidence.registry
        refused = {v.path for v in case.evidence.registry_wide.violations.get(row.index, ())}
        for where, value, sha256 in respelled(row) if case.for_libvmaf else ():
            place = row.entry.place(*where)
            if place in refused:
                continue  # REG114 reports it, with the same edit
            field, *entries = where
            of = "".join(f" of {entry[:100]!r}" for entry in entries)
            yield self.in_row(
                case,
                row,
                field,
                f"`{row.called(field)}`{of} is {quoted(value)}; libvmaf expects "
                "64 lower-case hex digits",
                SPELL,
                below=tuple(entries),
                fixes=(Fix(registry.file_of(row.entry).path, Set(place, sha256)),),
            )


SPELL: Final = "Write the same digest in lower-case hex."


def respelled(row: RowEvidence) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """Yield the digests that are not in lower-case hex: path, present spelling, and digest."""
    for where, value in _declared(row):
        sha256 = digest.sha256_of(value)
        if sha256 is not None and sha256 != value:
            yield where, value, sha256


def _declared(row: RowEvidence) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the paths and values of a row's digests, except for replaced files (ART302)."""
    for model in row.models:
        if not row.replaced(model):
            field = "int8_sha256" if model is row.int8 else "sha256"
            yield (field,), row.entry.fields.get(field)
            if model is row.onnx is row.variant and not is_another_variant(row):
                yield ("int8_sha256",), row.entry.fields.get("int8_sha256")
        for file in model.external:
            if not row.replaced(file):
                name = file.name
                yield ("external_data_sha256", name), row.entry.external_data_sha256.get(name)


def is_another_variant(row: RowEvidence) -> bool:
    """Return whether a row whose model is an int8 variant has a wrong `int8_sha256` for it."""
    model = row.onnx
    if model is None or model is not row.variant or model.sha256 is None:
        return False
    return digest.sha256_of(row.entry.fields.get("int8_sha256")) not in (None, model.sha256)


def as_declared(row: RowEvidence) -> bool:
    """Return whether the models match the row's digests, so that their values can be written."""
    models = ((row.onnx, "sha256"), (row.int8, "int8_sha256"))
    return all(m is None or m.sha256 == row.entry.digest(field) for m, field in models)


RULES: Iterable[type[Rule]] = (DigestSpelling,)
