# SPDX-License-Identifier: Apache-2.0
"""The sidecar: `<stem>.json` beside a model, its inference contract and its training record.

Everything in it is a claim. The properties give a claim where it has the expected type and None
otherwise; which claims must agree with the model's bytes is for the rules to say.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, wraps
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from provenance.artifacts.digest import Digest, canonical
from provenance.artifacts.documents.source_map import SourceMap
from provenance.artifacts.documents.strict_json import START, JsonPath, Position
from provenance.artifacts.forms import is_names, is_whole
from provenance.artifacts.packed import PackedObject, kept

INT8_SIDECAR_SUFFIX: Final = ".int8.json"
"""How the sidecar of an int8 variant ends."""

_ONEHOT = re.compile(r"encoder_onehot\[(.+)\]")


class _Unpacked:
    def __get__(self, document: Document, _owner: object) -> Mapping[str, Any]:
        kept = document._kept
        return kept.unpacked if type(kept) is PackedObject else kept


@dataclass(frozen=True, init=False)
class Document:
    """A JSON object on disk. `path` is relative to the root; `text` is what was hashed.

    `value` is the object in the file. It is shared and must not be changed.
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
        """Where the value at `path` stands, or the start of the file."""
        source = _source(self._data)
        member = source.find(path)
        return source.position(member.start) if member else START

    def get(self, *path: str) -> Any:
        """Return the value at `path` through nested objects, or None."""
        here: Any = self.value
        for step in path:
            if not isinstance(here, dict):
                return None
            here = here.get(step)
        return here

    def text_at(self, *path: str) -> str | None:
        """Return the value at `path` if it is a string, or None."""
        value = self.get(*path)
        return value if isinstance(value, str) else None


D = TypeVar("D", bound=Document)
P = ParamSpec("P")
T = TypeVar("T")


def once(function: Callable[Concatenate[D, P], T]) -> Callable[Concatenate[D, P], T]:
    """Let a function of a document keep its last result with that document.

    It is computed again where the other arguments are not the very same objects.
    """
    key = f"{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def known(document: D, /, *about: P.args, **named: P.kwargs) -> T:
        kept: tuple[tuple[object, ...], T] | None = document.__dict__.get(key)
        if kept is None or any(map(operator.is_not, kept[0], about)):
            kept = document.__dict__[key] = about, function(document, *about, **named)
        return kept[1]

    return known


@lru_cache(maxsize=4)
def _source(data: bytes) -> SourceMap:
    """Return where the values of a document are. Findings come several for one document."""
    return SourceMap(data.decode("utf-8"))


class WidthClaim(NamedTuple):
    """A width that a sidecar declares for one model input, and the member that declares it.

    `at` is the input's place, `input` its name where the sidecar declares names. `of_all` says that
    it may also be the width of all inputs together.
    """

    member: JsonPath
    width: int
    at: int
    input: str | None
    of_all: bool = False


@dataclass(frozen=True, init=False)
class Sidecar(Document):
    """A sidecar. All widths are the size of an input's last dimension."""

    @cached_property
    def claimed_sha256(self) -> str | None:
        """The digest of the `.onnx` that it says it describes, in lower-case hex.

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
        """Every width that the sidecar declares.

        `feature_order` (or `features`) declares that of the first input, as does `in_features`. The
        codec block, the second input, is declared by `codec_block_layout`, by `num_codecs` unless
        that counts the encoders of the layout alone, and, where no layout says that more than the
        one-hot is in it, by `codec_vocab` or `encoder_vocab`.
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
    """The name of the sidecar of the model with this name."""
    return f"{model.removesuffix('.onnx')}.json"


def is_sidecar(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object speaks of a model, whatever its name: of its file, digest or inputs."""
    onnx = value.get("onnx")
    names_file = isinstance(onnx, str) and onnx.endswith(".onnx")
    is_contract = "onnx_opset" in value and ("input_name" in value or "input_names" in value)
    return names_file or is_contract or ("sha256" in value and ("id" in value or "name" in value))


def says_how_to_run(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object that speaks of a model says how to run it, as a sidecar does.

    Others record what came of it: an evaluation, a benchmark.
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
