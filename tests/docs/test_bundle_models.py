# SPDX-License-Identifier: Apache-2.0
"""The table of docs/adr/0005-reading-bundles.md, measured."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError
from sigstore_models.bundle.v1 import Bundle as Model

from provenance.attestations import bundle as ours
from tests.docs.pages import ROOT

Bundle = dict[str, Any]
COMMITTED = ROOT / "bundles" / "quality_regressor_ext_v1.onnx.sigstore.json"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def not_canonical(text: str) -> str:
    """The same bytes with an unused bit of the last digit set."""
    padded = text
    while not padded.endswith("="):  # a length without unused bits: JSON allows white space
        padded = base64.b64encode(base64.b64decode(padded) + b" ").decode()
    digits = padded.rstrip("=")
    last = ALPHABET[ALPHABET.index(digits[-1]) + 1]
    spelt = digits[:-1] + last + "=" * (len(padded) - len(digits))
    assert base64.b64decode(spelt) == base64.b64decode(padded)
    return spelt


def in_envelope(**changes: Callable[[Any], object]) -> Callable[[Bundle], Bundle]:
    """Change members of the envelope."""

    def change(bundle: Bundle) -> Bundle:
        envelope = bundle["dsseEnvelope"]
        changed = {name: edit(envelope[name]) for name, edit in changes.items()}
        return bundle | {"dsseEnvelope": envelope | changed}

    return change


def in_signature(edit: Callable[[str], str]) -> Callable[[Bundle], Bundle]:
    return in_envelope(signatures=lambda found: [found[0] | {"sig": edit(found[0]["sig"])}])


def without_log_entries(bundle: Bundle) -> Bundle:
    material = bundle["verificationMaterial"]
    kept = {name: value for name, value in material.items() if name != "tlogEntries"}
    return bundle | {"verificationMaterial": kept}


CHANGES: dict[str, tuple[Callable[[Bundle], Bundle], bool, bool]] = {
    "nothing": (dict, True, True),
    "without log entries": (without_log_entries, False, True),
    "payload not canonical": (in_envelope(payload=not_canonical), True, False),
    "signature not canonical": (in_signature(not_canonical), True, False),
    "line break in base64": (in_signature(lambda s: f"{s[:8]}\n{s[8:]}"), True, False),
    "foreign character in base64": (in_signature(lambda s: f"{s[:8]}!{s[8:]}"), True, False),
    "two signatures": (in_envelope(signatures=lambda found: found * 2), True, False),
    "key twice": (lambda bundle: {"media": "", **bundle}, True, False),
    "unknown field": (lambda bundle: bundle | {"comment": "hello"}, False, False),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_models_and_this_project_accept_what_the_table_shows(name: str) -> None:
    change, by_models, by_us = CHANGES[name]
    text = json.dumps(change(json.loads(COMMITTED.read_text("utf-8"))))
    text = text.replace('"media"', '"mediaType"')
    accepted = []
    for decode in (Model.from_json, lambda t: ours.decode(t.encode("utf-8"))):
        try:
            decode(text)
            accepted.append(True)
        except (ValidationError, ours.BundleError):
            accepted.append(False)
    assert accepted == [by_models, by_us]
