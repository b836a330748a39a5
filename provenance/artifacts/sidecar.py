# SPDX-License-Identifier: Apache-2.0
"""The sidecar: `<stem>.json` beside a model, with its inference contract and training record.

Everything in a sidecar is a claim. The properties return a claim that has the expected type, and
None otherwise. The rules decide which claims must agree with the model's bytes.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import cached_property, lru_cache, wraps
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from provenance.artifacts.digest import Digest, canonical
from provenance.artifacts.documents.source_map import SourceMap
from provenance.artifacts.documents.strict_json import START, JsonPath, Position
from provenance.artifacts.forms import is_names, is_whole
from provenance.artifacts.packed import PackedObject, kept
from provenance.frozen import dataclass

INT8_SIDECAR_SUFFIX: Final = ".int8.json"
"""The end of the file name of an int8 variant's sidecar."""

_ONEHOT = re.compile(r"encoder_onehot\[(.+)\]")


class _Unpacked:
    def __get__(self, document: Document, _owner: object) -> Mapping[str, Any]:
        kept = document._kept
        return kept.unpacked if type(kept) is PackedObject else kept


@dataclass(frozen=True, init=False)
class Document:
    """A JSON object in a file. `path` is relative to the root; `digest` is that of `text`.

    `value` is the object. It may be shared and must not be changed.
    """

    path: str
    digest: Digest
    _data: bytes
    _kept: Mapping[str, Any] = field(compare=False)

    def __init__(self, path: str, digest: Digest, text: str, value: Mapping[str, Any]) -> None:
        data = text.encode("utf-8")
        self.__dict__.update(path=path, digest=digest, _data=data, _kept=kept(value, data))
        if self._kept is value:
            self.__dict__["value"] = value

    value = _Unpacked()

    @property
    def text(self) -> str:
        """The text of the file."""
        return self._data.decode("utf-8")

    def locate(self, *path: str | int) -> Position:
        """Return the position of the value at `path`, or the start of the file if it is missing."""
        source = _source(self._data)
        member = source.find(path)
        return source.position(member.start) if member else START

    def get(self, *path: str) -> Any:
        """Return the value at `path` in nested objects, or None."""
        value: Any = self.value
        for step in path:
            if not isinstance(value, dict):
                return None
            value = value.get(step)
        return value

    def text_at(self, *path: str) -> str | None:
        """Return the value at `path` if it is a string, or None."""
        value = self.get(*path)
        return value if isinstance(value, str) else None


D = TypeVar("D", bound=Document)
P = ParamSpec("P")
T = TypeVar("T")


def once(function: Callable[Concatenate[D, P], T]) -> Callable[Concatenate[D, P], T]:
    """Cache the last result of a function of a document in that document.

    The result is computed again if the other arguments are not the same objects as before.
    """
    key = f"{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def known(document: D, /, *about: P.args, **named: P.kwargs) -> T:
        kept: tuple[tuple[object, ...], T] | None = document.__dict__.get(key)
        if kept is None or (about and any(map(operator.is_not, kept[0], about))):
            kept = document.__dict__[key] = about, function(document, *about, **named)
        return kept[1]

    return known


@lru_cache(maxsize=4)
def _source(data: bytes) -> SourceMap:
    """Return the positions in a document. Cached: there are often several findings in one."""
    return SourceMap(data.decode("utf-8"))


class WidthClaim(NamedTuple):
    """A width that a sidecar declares for one model input.

    Attributes:
        member: The path of the member that declares it.
        width: The size of the input's last dimension.
        at: The index of the input.
        input: The name of the input, or None if the sidecar declares no names.
        of_all: Whether the width may also be that of all inputs together.
    """

    member: JsonPath
    width: int
    at: int
    input: str | None
    of_all: bool = False


@dataclass(frozen=True, init=False)
class Sidecar(Document):
    """A sidecar. A width is the size of an input's last dimension."""

    @cached_property
    def claimed_sha256(self) -> str | None:
        """The digest of the `.onnx` file that the sidecar describes, in lower-case hex.

        A string that is not a SHA-256 is returned as it is written.
        """
        claimed = self.value.get("sha256")
        return canonical(claimed) if isinstance(claimed, str) else None

    @property
    def seed(self) -> int | None:
        """The seed of an ensemble member."""
        value = self.value.get("seed")
        return value if is_whole(value) else None

    @cached_property
    def input_names(self) -> Sequence[str]:
        """Declared input names, in order: `input_names`, or the single `input_name`."""
        names = self.value.get("input_names")
        if is_names(names):
            return tuple(names)
        name = self.value.get("input_name")
        return (name,) if isinstance(name, str) else ()

    @cached_property
    def width_claims(self) -> tuple[WidthClaim, ...]:
        """All widths that the sidecar declares.

        `feature_order`, `features` and `in_features` declare the width of the first input. The
        width of the second input, the codec block, is declared by:

        - `codec_block_layout`;
        - `num_codecs`, unless it counts only the encoders of that layout;
        - `codec_vocab` or `encoder_vocab`, if there is no `codec_block_layout`, which could list
          more entries than the one-hot ones.
        """
        names = self.input_names
        encoders = self.layout_encoders
        claims: list[WidthClaim] = []

        def claim(at: int, value: object, *member: str, of_all: bool = False) -> None:
            width = len(value) if isinstance(value, list) else value
            if is_whole(width):
                name = names[at] if at < len(names) else None
                claims.append(WidthClaim(member, width, at, name, of_all))

        top, recipe = self.value, self.value.get("training_recipe")
        claim(0, top.get("feature_order"), "feature_order")
        claim(0, top.get("features"), "features")
        claim(1, top.get("codec_block_layout"), "codec_block_layout")
        for place, record in (((), top), (("training_recipe",), recipe)):
            if isinstance(record, dict):
                claim(0, record.get("in_features"), *place, "in_features", of_all=True)
                if not encoders or record.get("num_codecs") != len(encoders):
                    claim(1, record.get("num_codecs"), *place, "num_codecs")
        if top.get("codec_block_layout") is None:
            claim(1, top.get("codec_vocab"), "codec_vocab")
            claim(1, top.get("encoder_vocab"), "encoder_vocab")
        return tuple(claims)

    @cached_property
    def layout_encoders(self) -> tuple[str, ...] | None:
        """The encoders of `codec_block_layout`'s `encoder_onehot[NAME]` entries, in order."""
        layout = self.value.get("codec_block_layout")
        if not isinstance(layout, list):
            return None
        matches = map(_ONEHOT.fullmatch, filter(lambda entry: isinstance(entry, str), layout))
        return tuple([m[1] for m in matches if m is not None])


def sidecar_of(model: str) -> str:
    """Return the name of the sidecar of the model file `model`."""
    return f"{model.removesuffix('.onnx')}.json"


def is_sidecar(value: Mapping[str, Any]) -> bool:
    """Return whether a JSON object describes a model: its file, its digest or its inputs."""
    onnx = value.get("onnx")
    names_file = isinstance(onnx, str) and onnx.endswith(".onnx")
    is_contract = "onnx_opset" in value and ("input_name" in value or "input_names" in value)
    return names_file or is_contract or ("sha256" in value and ("id" in value or "name" in value))


def says_how_to_run(value: Mapping[str, Any]) -> bool:
    """Return whether a JSON object about a model says how to run it, as a sidecar does.

    Other documents about a model record results, such as an evaluation or a benchmark.
    """
    return not _INTERFACE.isdisjoint(value)


_INTERFACE: Final = frozenset(
    (
        *("opset", "onnx_opset", "feature_order", "features", "feature_mean", "feature_std"),
        *(f"{side}_{what}" for side in ("input", "output") for what in ("name", "names")),
        *(f"{side}_{what}" for side in ("input", "output") for what in ("shape", "shapes")),
        *("input_mean", "input_std", "codec_block_layout", "encoder_vocab", "codec_vocab"),
    )
)
