# SPDX-License-Identifier: Apache-2.0
"""What is fuzzed: each reader of hostile documents, with the errors that are its own."""

from __future__ import annotations

import base64
import contextlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provenance import config
from provenance.artifacts.documents import strict_json
from provenance.attestations import bundle, layout_documents, predicates, statement
from provenance.attestations.layout_documents import DocumentError
from provenance.attestations.signed_row import signed_row
from provenance.errors import InputError
from provenance.signing import certificate, description, trusted_root
from provenance.signing.certificate import CertificateError
from tests.fuzz import mutate

Mutator = Callable[[bytes, random.Random], bytes]

JSON: Final[tuple[Mutator, ...]] = (mutate.json_tree, mutate.json_tree, mutate.text, mutate.raw)
TOML: Final[tuple[Mutator, ...]] = (mutate.lines, mutate.lines, mutate.text, mutate.raw)
DER: Final[tuple[Mutator, ...]] = (mutate.raw,)


@dataclass(frozen=True)
class Target:
    """A reader, the errors that it may raise, and how its documents are made worse."""

    name: str
    read: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    mutators: tuple[Mutator, ...]


def _bundle(data: bytes) -> None:
    """A bundle, its statement and its certificate, as `verify` and `inspect` read them."""
    found = bundle.decode(data)
    if found.certificate is not None:
        with contextlib.suppress(CertificateError):  # what `inspect` says in its place
            description.of_certificate(found.certificate)
    for timestamp in found.timestamps:
        description.of_timestamp(timestamp)
    if isinstance(found.content, bundle.Envelope):
        _statement(found.content.payload)


def _statement(data: bytes) -> None:
    for foreign in (False, True):
        try:
            found = statement.decode(data, foreign=foreign)
        except statement.StatementError:
            if foreign:
                raise
            continue
        signed_row(found)
        predicates.is_seed(found)


def _trusted_root(data: bytes) -> None:
    trusted_root.of_bytes(data, "root.json")


def _configuration(data: bytes) -> None:
    root = Path("/nowhere")
    text = strict_json.decode(data)
    found = config.of_text(text, root / "provenance.toml", root)
    assert found is not None
    config.of_text(text, root / "pyproject.toml", root)


def _in_envelope(payload: bytes) -> bytes:
    """An envelope with an invalid signature: signatures are judged after the reading."""
    envelope = {
        "payload": base64.b64encode(payload or b" ").decode(),
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"keyid": "0" * 64, "sig": "AA=="}],
    }
    return json.dumps(envelope).encode()


def _layout(data: bytes) -> None:
    layout_documents.read_layout(data if b'"payloadType"' in data else _in_envelope(data))


def _link(data: bytes) -> None:
    layout_documents.read_link(_in_envelope(data))


TARGETS: Final = (
    Target("bundle", _bundle, (bundle.BundleError, statement.StatementError), JSON),
    Target("statement", _statement, (statement.StatementError,), JSON),
    Target("trusted-root", _trusted_root, (InputError,), JSON),
    Target("configuration", _configuration, (InputError, strict_json.JsonError), TOML),
    Target("layout", _layout, (DocumentError,), JSON),
    Target("link", _link, (DocumentError,), JSON),
    Target("certificate", certificate.read, (CertificateError,), DER),
)
