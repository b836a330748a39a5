# SPDX-License-Identifier: Apache-2.0
"""registry.json: written whole for the reference state, and otherwise only its digests renewed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from companions import Companion
from documents import Document, seed_id, sha256, to_json
from ensemble import ExportError
from graphs import OPSET

REGISTRY_NAME: Final = "registry.json"

# Row id -> key of a digest in that row -> the new digest. The key is "sha256", "int8_sha256", or
# the name of an external-data file.
Digests = Mapping[str, Mapping[str, str]]


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


def _row_span(text: str, identifier: str) -> tuple[int, int]:
    """Where the object of one row stands in the text."""
    decoder = json.JSONDecoder()
    named = re.compile(r'"id"\s*:\s*' + re.escape(json.dumps(identifier)))
    spans: set[tuple[int, int]] = set()
    for match in named.finditer(text):
        start = text.rfind("{", 0, match.start())
        while start >= 0:
            try:
                value, end = decoder.raw_decode(text, start)
            except json.JSONDecodeError:
                value, end = None, start
            # A nested object may open between the row's brace and its id: it has closed again.
            if isinstance(value, dict) and end > match.start():
                if value.get("id") == identifier:
                    spans.add((start, end))
                break
            start = text.rfind("{", 0, start)
    if len(spans) != 1:
        raise ExportError(
            f"{REGISTRY_NAME}: found {len(spans)} rows with the id {identifier!r}, expected one; "
            "add the row or remove the duplicate, then run again (nothing was written)"
        )
    return spans.pop()


def require_rows(text: str, identifiers: Iterable[str]) -> None:
    """Fail before the training and not after it when the registry has no row to renew.

    Raises:
        ExportError: the registry is not JSON, or a row is absent or there twice.
    """
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise ExportError(
            f"{REGISTRY_NAME}: not valid JSON ({error}); repair it, then run again"
        ) from error
    for identifier in identifiers:
        _row_span(text, identifier)


def refresh_digests(text: str, digests: Digests) -> str:
    """The registry's text with new digests in the given rows and every other byte as it was.

    Raises:
        ExportError: a row or one of its digests is not there to be renewed.
    """
    for identifier, renewed in digests.items():
        start, end = _row_span(text, identifier)
        row = text[start:end]
        for key, digest in renewed.items():
            field = re.compile(r"(" + re.escape(json.dumps(key)) + r'\s*:\s*")[^"\\]*(")')
            row, count = field.subn(rf"\g<1>{digest}\g<2>", row)
            if count != 1:
                raise ExportError(
                    f"{REGISTRY_NAME}: the row {identifier!r} has {count} values named {key!r}, "
                    "expected one digest; put it there, then run again (nothing was written)"
                )
        text = text[:start] + row + text[end:]
    return text
