# SPDX-License-Identifier: Apache-2.0
"""The forms that claims are written in, so that none is passed over for being of another type.

A rule that compares a member of a document says here which form it can compare. What is there and
has another form is a finding of that rule: nobody could tell "agrees" from "was not looked at".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeGuard

from provenance.artifacts.sidecar import Document
from provenance.gate.rules.base import shown

Place = tuple[str, ...]
"""The path of a member through the objects of a document."""


@dataclass(frozen=True)
class Form:
    """What a value must be to be compared. `name` goes into messages: "a whole number"."""

    name: str
    has: Callable[[object], bool]

    def refused(self, field: str, value: object) -> str:
        """What is said of a value that is of another form."""
        return f"`{field}` is {shown(value)}, not {self.name}"


Forms = Mapping[Place, Form]


def misfits(document: Document, forms: Forms) -> Iterator[tuple[Place, str, Form]]:
    """The members that are there in another form, each with what is said. null is not there."""
    for place, form in forms.items():
        value = document.get(*place)
        if value is not None and not form.has(value):
            yield place, form.refused(".".join(place), value), form


def is_whole(value: object) -> TypeGuard[int]:
    """A JSON number without a fraction; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_names(value: object) -> TypeGuard[list[str]]:
    """A list of texts."""
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


TEXT: Final = Form("a text", lambda value: isinstance(value, str))
FLAG: Final = Form("true or false", lambda value: isinstance(value, bool))
OBJECT: Final = Form("an object", lambda value: isinstance(value, dict))
WHOLE: Final = Form("a whole number", is_whole)
NAMES: Final = Form("a list of names", is_names)
NAMES_OR_COUNT: Final = Form(
    "a list of names, or how many there are", lambda value: is_names(value) or is_whole(value)
)

WIDTHS: Final[dict[Place, Form]] = {
    (field,): NAMES_OR_COUNT
    for field in (
        *("feature_order", "features", "in_features"),
        *("codec_block_layout", "codec_vocab", "encoder_vocab", "num_codecs"),
    )
}
"""What declares the width of an input, in sidecars and manifests."""

INTERFACE: Final[Forms] = WIDTHS | {("opset",): WHOLE}
"""What a manifest says of the interface of its members."""
