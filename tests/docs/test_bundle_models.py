# SPDX-License-Identifier: Apache-2.0
"""The table of docs/adr/0005-reading-bundles.md, measured."""

from __future__ import annotations

import base64
import copy
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


def without_log_entries(bundle: Bundle) -> str:
    del bundle["verificationMaterial"]["tlogEntries"]
    return json.dumps(bundle)


def payload_not_canonical(bundle: Bundle) -> str:
    bundle["dsseEnvelope"]["payload"] = not_canonical(bundle["dsseEnvelope"]["payload"])
    return json.dumps(bundle)


def signature_not_canonical(bundle: Bundle) -> str:
    signature = bundle["dsseEnvelope"]["signatures"][0]
    signature["sig"] = not_canonical(signature["sig"])
    return json.dumps(bundle)


def line_break_in_base64(bundle: Bundle) -> str:
    signature = bundle["dsseEnvelope"]["signatures"][0]
    signature["sig"] = f"{signature['sig'][:8]}\n{signature['sig'][8:]}"
    return json.dumps(bundle)


def foreign_character_in_base64(bundle: Bundle) -> str:
    signature = bundle["dsseEnvelope"]["signatures"][0]
    signature["sig"] = f"{signature['sig'][:8]}!{signature['sig'][8:]}"
    return json.dumps(bundle)


def two_signatures(bundle: Bundle) -> str:
    bundle["dsseEnvelope"]["signatures"] *= 2
    return json.dumps(bundle)


def key_twice(bundle: Bundle) -> str:
    text = json.dumps(bundle)
    return text.replace('"mediaType"', '"mediaType": "something else", "mediaType"')


def unknown_field(bundle: Bundle) -> str:
    return json.dumps(bundle | {"comment": "hello"})


def models_accept(text: str) -> bool:
    try:
        Model.from_json(text)
    except ValidationError:
        return False
    return True


def we_accept(text: str) -> bool:
    try:
        ours.decode(text.encode("utf-8"))
    except ours.BundleError:
        return False
    return True


@pytest.mark.parametrize(
    ("change", "by_models", "by_us"),
    [
        (json.dumps, True, True),
        (without_log_entries, False, True),
        (payload_not_canonical, True, False),
        (signature_not_canonical, True, False),
        (line_break_in_base64, True, False),
        (foreign_character_in_base64, True, False),
        (two_signatures, True, False),
        (key_twice, True, False),
        (unknown_field, False, False),
    ],
)
def test_what_the_models_accept_and_what_we_do(
    change: Callable[[Bundle], str], by_models: bool, by_us: bool
) -> None:
    text = change(copy.deepcopy(json.loads(COMMITTED.read_text("utf-8"))))
    assert (models_accept(text), we_accept(text)) == (by_models, by_us)
