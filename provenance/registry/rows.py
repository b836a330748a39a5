# SPDX-License-Identifier: Apache-2.0
"""Rows: the entries of models in a registry, as this project understands them.

A value of the wrong type does not stop the reading: the row keeps it, the typed property is None,
and rule REG101 reports the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any, Final

from provenance.artifacts import digest
from provenance.artifacts.documents.strict_json import START, JsonPath, Position
from provenance.frozen import dataclass

FIELDS: Final = (
    "id",
    "kind",
    "onnx",
    "sha256",
    "int8_sha256",
    "external_data_sha256",
    "opset",
    "smoke",
    "quant_mode",
    "license",
    "license_url",
    "sigstore_bundle",
    "notes",
    "description",
    "url",
    "size",
    "files",
)
"""The fields that this project reads. Other fields are ignored, but signed verbatim."""

INT8_MODES: Final = ("dynamic", "qat", "static")
"""Values of `quant_mode` for which the runtime opens `<stem>.int8.onnx` instead."""

OTHER_MODES: Final = ("fp32", "fp16", "bf16", "none")
"""Values of `quant_mode` for which the runtime opens the `.onnx` file itself."""

INT8_SUFFIX: Final = ".int8.onnx"
"""The end of the file name of an int8 variant."""

MAX_ID: Final = 128
"""Characters of an id. It is part of every message about its row."""

DIGEST_FIELDS: Final = ("sha256", "int8_sha256", "external_data_sha256")


MODEL_SUFFIX: Final = ".onnx"


def is_blank(value: object) -> bool:
    """Return whether a value is a string without a letter or digit: it names nothing."""
    return isinstance(value, str) and not any(map(str.isalnum, value))


class Classification(StrEnum):
    """What a row claims about its model.

    PRODUCTION is a claim that needs evidence (SID417). An UNCLAIMED row claims nothing: evidence
    may be missing, but evidence that exists must agree.
    """

    PRODUCTION = "production"
    SMOKE = "smoke"
    UNCLAIMED = "unclaimed"

    @property
    def said(self) -> str:
        """The classification as a clause of a message."""
        if self is Classification.UNCLAIMED:
            return "the row says neither smoke nor production"
        return f"the row says {self.value}"


@dataclass(frozen=True, slots=True)
class DeclaredDigest:
    """A digest of a file as an index declares it.

    Attributes:
        algorithm: The name in lower case without separators, such as `sha256` or `md5`.
        hex: The value in lower-case hex.
        place: Where it is in its index file, or None if it was made of a template.
    """

    algorithm: str
    hex: str
    place: JsonPath | None = None


@dataclass(frozen=True, slots=True)
class DeclaredFile:
    """A file that a row names beside its model, or in place of it.

    Attributes:
        name: The path relative to the registry's folder, or None if it only has an address.
        url: The address, or None.
        digests: The declared digests.
        size: The declared size in bytes, or None.
        place: Where its name is in its index file, or None if it was made of a template.
        size_place: Where its size is, or None.
    """

    name: str | None
    url: str | None = None
    digests: tuple[DeclaredDigest, ...] = ()
    size: int | None = None
    place: JsonPath | None = None
    size_place: JsonPath | None = None

    @property
    def is_model(self) -> bool:
        """Whether it is an ONNX model. Other files are hashed and signed, but not parsed."""
        return self.name is not None and self.name.endswith(MODEL_SUFFIX)

    def digest(self, algorithm: str) -> str | None:
        """Return the declared digest of an algorithm in lower-case hex, or None."""
        return next((d.hex for d in self.digests if d.algorithm == algorithm), None)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A value of a row that the mapping cannot read (REG110).

    Attributes:
        field: The field, or `files`.
        message: What was found.
        help: How to correct it.
        place: Where it is in its index file, or None.
    """

    field: str
    message: str
    help: str
    place: JsonPath | None = None


_QUOTED: Final = re.compile(r"([\"`])(\w+)\1", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """The entry of one model in the registry.

    Attributes:
        index: The number of the row in the registry, over all of its index files.
        fields: The fields under this project's names.
        verbatim: The row as it is in its index file.
        position: The position of the row in its index file.
        source: The number of the index file.
        at: The location of the row in it, or None for that of this project's own shape.
        places: For a mapped row, the location of each field; a field that was made of a template,
            a key or a default has none. None for a row in this project's own shape.
        digests: Further digests of the model, of other algorithms than SHA-256.
        files: The files beside the model, or in place of it.
        unreadable: What the mapping could not read.
        supplied: The fields that come from `defaults` or `values` of the mapping.
        label: The id, or `#INDEX` if the id is missing or too long to be shown.
        onnx: The model's file, relative to the registry's folder.
        sigstore_bundle: The row bundle, relative to the registry's folder.
    """

    index: int
    fields: Mapping[str, Any]
    verbatim: Mapping[str, Any]
    position: Position = START
    source: int = 0
    at: JsonPath | None = None
    places: Mapping[str, JsonPath] | None = None
    digests: tuple[DeclaredDigest, ...] = ()
    files: tuple[DeclaredFile, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    supplied: frozenset[str] = frozenset()
    label: str = field(init=False, repr=False, compare=False)
    onnx: str | None = field(init=False, repr=False, compare=False)
    sigstore_bundle: str | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compute the values that every finding, result and rule about the row needs."""
        id = self.text("id")
        label = id if id is not None and len(id) <= MAX_ID else f"#{self.index}"
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "onnx", self.text("onnx"))
        object.__setattr__(self, "sigstore_bundle", self.text("sigstore_bundle"))

    @property
    def location(self) -> JsonPath:
        """The location of the row in its index file."""
        return ("models", self.index) if self.at is None else self.at

    def place(self, field: str, *below: str) -> JsonPath:
        """Return the location of a field, or of a value below it, in the row's index file.

        A mapped field that has no place gets a location at which nothing is.
        """
        if self.places is None:
            return (*self.location, field, *below)
        return (*self.places.get(field, (*self.location, "", field)), *below)

    def called(self, field: str) -> str:
        """Return the name of a field in the index, for messages."""
        found = None if self.places is None else self.places.get(field)
        return str(found[-1]) if found else field

    def worded(self, text: str) -> str:
        """Return `text` with the names of the index for the quoted fields in it."""
        if self.places is None:
            return text
        return _QUOTED.sub(lambda m: f"{m[1]}{self.called(m[2])}{m[1]}", text)

    def text(self, field: str) -> str | None:
        """Return the value of `field` if it is a string with a letter or digit, or None."""
        value = self.fields.get(field)
        if not isinstance(value, str):
            return None
        return value if value[:1].isalnum() or not is_blank(value) else None

    def digest(self, field: str) -> str | None:
        """Return the digest in `field` in a form to compare, or None.

        A SHA-256 of any spelling is returned in lower-case hex, any other string unchanged.
        """
        value = self.text(field)
        return None if value is None else digest.canonical(value)

    @property
    def smoke(self) -> bool:
        """Whether the row says that its model is a placeholder."""
        return self.fields.get("smoke") is True

    @property
    def classification(self) -> Classification:
        """What the row claims in `smoke`. A value that is not a boolean claims nothing (REG101)."""
        if self.smoke:
            return Classification.SMOKE
        return Classification.PRODUCTION if self.claims_production else Classification.UNCLAIMED

    @property
    def claims_production(self) -> bool:
        """Whether the row says that its model is for production."""
        return self.fields.get("smoke") is False

    @property
    def external_data_sha256(self) -> Mapping[str, Any]:
        """Declared digests of external-data files, by name relative to the registry's folder."""
        value = self.fields.get("external_data_sha256")
        return value if isinstance(value, dict) else {}

    @property
    def names(self) -> Iterator[str]:
        """The names of all files that the row names: models, external data, further files."""
        if self.onnx is not None:
            yield self.onnx
        yield from self.external_data_sha256
        yield from (file.name for file in self.files if file.name is not None)

    @property
    def quantized(self) -> bool:
        """Whether the row tells the runtime to open an int8 variant beside the model."""
        has_int8 = self.text("quant_mode") in INT8_MODES or "int8_sha256" in self.fields
        return has_int8 and not self.is_variant

    @property
    def is_variant(self) -> bool:
        """Whether the row's model is itself an int8 variant. Another row may have the same file."""
        return self.onnx is not None and self.onnx.endswith(INT8_SUFFIX)


def int8_of(model: str) -> str:
    """Return the name of the int8 variant of the model file `model`."""
    return model.removesuffix(".onnx") + INT8_SUFFIX
