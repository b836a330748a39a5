# SPDX-License-Identifier: Apache-2.0
"""registry.json: written whole for the reference state, and otherwise only its digests renewed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from companions import Companion
from documents import Document, seed_id, sha256, to_json
from ensemble import ExportError
from graphs import OPSET

from provenance.artifacts.documents.json_edit import Edit, Insert, Set
from provenance.errors import InputError
from provenance.registry import reading
from provenance.registry.registry import Registry
from provenance.registry.rows import Row

REGISTRY_NAME: Final = "registry.json"


def _row(identifier: str, notes: str, digest: str, extra: Document, *, smoke: bool) -> Document:
    """One row. ``onnx`` stays ahead of ``sigstore_bundle``: consumers that scan text need that."""
    return {
        "id": identifier,
        "kind": "fr",
        "license": "Apache-2.0",
        "license_url": "https://www.apache.org/licenses/LICENSE-2.0",
        "notes": notes,
        "onnx": f"{identifier}.onnx",
        "opset": OPSET,
        "sha256": digest,
        **extra,
        "sigstore_bundle": f"../bundles/{identifier}.onnx.sigstore.json",
        "smoke": smoke,
    }


def reference_registry(smoke_weights: Mapping[int, bytes], companions: list[Companion]) -> bytes:
    """The registry of the reference state: smoke seeds that say so, and the companions."""
    rows = [
        _row(
            seed_id(seed),
            f"Smoke placeholder for ensemble seed {seed}: one epoch on a synthetic corpus at the "
            "current vocabulary of 6 codecs, not a production fit. Pending the one-shot "
            "production re-export (ADR-1105); until then the sidecar beside it describes the "
            "former production weights.",
            sha256(content),
            {},
            smoke=True,
        )
        for seed, content in sorted(smoke_weights.items())
    ]
    rows += [
        _row(each.identifier, each.notes, sha256(each.onnx), each.extra, smoke=False)
        for each in companions
    ]
    return to_json({"schema_version": 1, "models": rows}, sort_keys=False)


def read_rows(data: bytes, identifiers: Iterable[str]) -> tuple[Registry, dict[str, Row]]:
    """A registry and its rows by id, read before the training: it fails first, not last.

    Raises:
        ExportError: it is no registry, or a row is absent or there twice.
    """
    try:
        registry = reading.parse_bytes(data, REGISTRY_NAME)
    except InputError as error:
        raise ExportError(f"{error}; repair it, then run again") from error
    rows: dict[str, Row] = {}
    for identifier in identifiers:
        found = [row for row in registry.rows if row.label == identifier]
        if len(found) != 1:
            raise ExportError(
                f"{REGISTRY_NAME}: found {len(found)} rows with the id {identifier!r}, expected "
                "one; add the row or remove the duplicate, then run again (nothing was written)"
            )
        rows[identifier] = found[0]
    return registry, rows


def renew_digests(registry: Registry, rows: Mapping[str, Row], digests: Mapping[str, str]) -> bytes:
    """The registry with a new `sha256` in each of the rows, and every other byte as it was."""
    edits: list[Edit] = []
    for identifier, digest in digests.items():
        path = rows[identifier].place("sha256")
        declared = "sha256" in rows[identifier].fields
        edits.append(Set(path, digest) if declared else Insert(path, digest, after="onnx"))
    return registry.files[0].edited(edits).encode("utf-8")
