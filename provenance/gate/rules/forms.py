# SPDX-License-Identifier: Apache-2.0
"""The required forms of fields in sidecars, manifests and verdicts.

Each rule declares the form of the fields that it compares, and reports a field with another form.
Otherwise a field that agrees and a field that was not compared would look the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from provenance.artifacts.forms import WHOLE, Form, is_names, is_whole
from provenance.artifacts.sidecar import Document

Place = tuple[str, ...]
"""The path of a field through the objects of a document."""


Forms = Mapping[Place, Form[Any]]


def misfits(document: Document, forms: Forms) -> Iterator[tuple[Place, str, Form[Any]]]:
    """Yield the fields with another form, each with a message and the required form.

    A field that is null counts as missing.
    """
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
"""The fields of sidecars and manifests that declare the width of an input."""

INTERFACE: Final[Forms] = WIDTHS | {("opset",): WHOLE}
"""The fields of a manifest that describe the interface of its members."""
