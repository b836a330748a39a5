# SPDX-License-Identifier: Apache-2.0
"""The forms of the fields of sidecars, manifests and verdicts that rules compare.

A rule names the form that it can compare. A field that has another form is a finding of that rule:
otherwise "agrees" and "was not compared" would look the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from provenance.artifacts.forms import WHOLE, Form, is_names, is_whole
from provenance.artifacts.sidecar import Document

Place = tuple[str, ...]
"""The path of a member through the objects of a document."""


Forms = Mapping[Place, Form[Any]]


def misfits(document: Document, forms: Forms) -> Iterator[tuple[Place, str, Form[Any]]]:
    """The members that are there in another form, each with what is said. null is not there."""
    top = document.value
    for place, form in forms.items():
        if place[0] not in top:
            continue
        value = document.get(*place)
        if value is not None and not form.has(value):
            yield place, form.refused(".".join(place), value), form


NAMES: Final = Form[list[str]]("a list of names", is_names)
NAMES_OR_COUNT: Final = Form[Any](
    "a list of names, or how many there are", lambda value: is_names(value) or is_whole(value)
)

WIDTHS: Final[dict[Place, Form[Any]]] = {
    (field,): NAMES_OR_COUNT
    for field in (
        *("feature_order", "features", "in_features"),
        *("codec_block_layout", "codec_vocab", "encoder_vocab", "num_codecs"),
    )
}
"""What declares the width of an input, in sidecars and manifests."""

INTERFACE: Final[Forms] = WIDTHS | {("opset",): WHOLE}
"""What a manifest says of the interface of its members."""
