# SPDX-License-Identifier: Apache-2.0
"""Read the facts of one `.onnx` file: IR version, opsets, inputs, outputs, external data.

The file is read once, in order. Every byte is hashed, fields that the facts do not need are skipped
(`provenance.artifacts.onnx_wire`), and protobuf parses the rest with ONNX's own message
definitions. Memory does not grow with the model, and the facts are those of the hashed bytes.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Final, TypeVar

from provenance.artifacts import limits
from provenance.artifacts.digest import Digest, HashingReader, SeekingReader, of_bytes
from provenance.artifacts.onnx_wire import SMALL, MalformedMessageError, tensors, without_weights
from provenance.artifacts.paths import is_pointer
from provenance.frozen import dataclass

_V = TypeVar("_V")


class NotOnnxError(ValueError):
    """The bytes are not an ONNX model. The message says why; `digest` is that of the whole file."""

    def __init__(self, message: str, digest: Digest) -> None:
        super().__init__(message)
        self.digest = digest


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output of a model.

    A dimension is a size, a symbol, or None if it is unknown. `shape` is None if the model declares
    none.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.name}: {self.dtype}"
        dims = ", ".join("?" if d is None else str(d) for d in self.shape)
        return f"{self.name}: {self.dtype} [{dims}]"


@dataclass(frozen=True, slots=True)
class CutTensor:
    """A tensor whose external data is cut off: `length` bytes, but `size` by shape and type."""

    name: str
    size: int
    length: int


@dataclass(frozen=True, slots=True)
class ExternalReference:
    """A file with external data of a model.

    Attributes:
        location: The path of the file, as the model gives it.
        end: The number of bytes that the file must have at least.
        tensor: The tensor that needs the last of these bytes.
        cut: The first tensor whose declared `length` is too short for it, or None.
    """

    location: str
    end: int
    tensor: str
    cut: CutTensor | None = None


@dataclass(frozen=True, slots=True)
class OnnxFacts:
    """What the gate needs to know about a model.

    Attributes:
        opsets: The imported versions by domain. ONNX's own domain is always "", even if the model
            calls it `ai.onnx`.
        weight_dtypes: The element types of the initializers, sorted, without repetitions.
    """

    ir_version: int
    opsets: Mapping[str, int]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    external: tuple[ExternalReference, ...]
    weight_dtypes: tuple[str, ...] = ()

    @property
    def opset(self) -> int | None:
        """The version of ONNX's own operators, or None if the model does not import them."""
        return self.opsets.get("")


def read_onnx(
    stream: BinaryIO, size: int, algorithms: Collection[str] = ()
) -> tuple[Digest, OnnxFacts]:
    """Return the digest and facts of the model in `stream`, an unbuffered file of `size` bytes.

    The digest has those of further `algorithms`, too.

    Raises:
        NotOnnxError: If the bytes are not an ONNX model.
        OSError: If the file cannot be read.
    """
    reader = HashingReader(stream, size, algorithms)
    reason, skeleton = "", b""
    try:
        skeleton = _skeleton(reader, size)
    except MalformedMessageError as e:
        reason = str(e)
    reader.drain()
    return _concluded(reader.digest(), skeleton, reason)


def parse_onnx(data: bytes, algorithms: Collection[str] = ()) -> tuple[Digest, OnnxFacts]:
    """Return the same for a model in memory of at most `WHOLE` bytes. Raises NotOnnxError."""
    return _concluded(of_bytes(data, algorithms), data, "" if data else _EMPTY)


def _concluded(digest: Digest, skeleton: bytes, reason: str) -> tuple[Digest, OnnxFacts]:
    """Return digest and facts, or raise NotOnnxError if there is a `reason` to."""
    if is_pointer(skeleton):
        reason = "a Git LFS pointer, not the model; run `git lfs pull`"
    if not reason:
        try:
            return digest, _facts(_model(skeleton))
        except MalformedMessageError as e:
            reason = str(e)
    raise NotOnnxError(reason, digest)


def read_facts(stream: BinaryIO, size: int) -> OnnxFacts:
    """Return the facts of the model in `stream`, a file of `size` bytes, without hashing it.

    Raises:
        MalformedMessageError: If the bytes are not an ONNX model.
        OSError: If the file cannot be read.
    """
    return _facts(_model(_skeleton(SeekingReader(stream, size), size)))


WHOLE: Final = 64 * 1024
"""Bytes of the largest file that protobuf parses directly, which is faster for small files."""

_EMPTY: Final = "the file is empty"


def _skeleton(reader: HashingReader, size: int) -> bytes:
    if size > limits.ONNX:
        raise MalformedMessageError(
            f"{size:,} bytes are more than an ONNX file can hold ({limits.ONNX:,})"
        )
    if size == 0:
        raise MalformedMessageError(_EMPTY)
    try:
        if size <= WHOLE:
            return reader.read(size)
        return without_weights(reader, size, load_messages().ModelProto.DESCRIPTOR)
    except EOFError as e:
        raise MalformedMessageError("it ends in the middle of a field: truncated?") from e


def _model(skeleton: bytes) -> Any:
    from google.protobuf.message import DecodeError

    try:
        model = load_messages().ModelProto.FromString(skeleton)
    except DecodeError as e:
        raise MalformedMessageError("protobuf cannot decode it: truncated?") from e
    # Empty and short strings often decode as a protobuf message. Every model has these three.
    if model.ir_version <= 0:
        raise MalformedMessageError("it has no ir_version")
    if not model.HasField("graph"):
        raise MalformedMessageError("it has no graph")
    if not model.opset_import:
        raise MalformedMessageError("it imports no opset")
    return model


def _facts(model: Any) -> OnnxFacts:
    weights = {t.name for t in model.graph.initializer}
    dtypes = {t.data_type for t in model.graph.initializer}
    return OnnxFacts(
        ir_version=int(model.ir_version),
        opsets=_opsets(tuple((_text(o.domain), int(o.version)) for o in model.opset_import)),
        inputs=_shared(tuple(_spec(v) for v in model.graph.input if v.name not in weights)),
        outputs=_shared(tuple(_spec(v) for v in model.graph.output)),
        external=tuple(_external(model)),
        weight_dtypes=tuple(sorted(map(_dtype, dtypes))),
    )


def _spec(value: Any) -> TensorSpec:
    data = value.SerializePartialToString()
    return _known_spec(data) if len(data) <= _SHORT else _parsed_spec(value)


@lru_cache(maxsize=256)
def _known_spec(data: bytes) -> TensorSpec:
    return _parsed_spec(load_messages().ValueInfoProto.FromString(data))


_SHORT: Final = 256
"""Bytes of the largest input or output that is cached. Models of a registry often share them."""


def _parsed_spec(value: Any) -> TensorSpec:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        return TensorSpec(_text(value.name), kind or "unknown", None)
    tensor = value.type.tensor_type
    dtype = _dtype(tensor.elem_type)
    if not tensor.HasField("shape"):
        return TensorSpec(_text(value.name), dtype, None)
    return TensorSpec(_text(value.name), dtype, tuple(_dim(d) for d in tensor.shape.dim))


def _dtype(number: int) -> str:
    return _dtypes().get(number) or f"type {number}"


@cache
def _dtypes() -> Mapping[int, str]:
    """Return the names of ONNX's element types by their numbers."""
    types = load_messages().TensorProto.DataType
    return {number: name.lower() for name, number in types.items()}


@lru_cache(maxsize=256)
def _shared(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """Return an equal tuple of another model, if there was one, to save 1 KB of memory each."""
    return specs


@lru_cache(maxsize=256)
def _opsets(pairs: tuple[tuple[str, int], ...]) -> Mapping[str, int]:
    """Return versions by domain, shared by all models that import the same ones."""
    own = (("" if domain == _OWN_DOMAIN else domain, version) for domain, version in pairs)
    return _agreed("opset", tuple(own))


_OWN_DOMAIN: Final = "ai.onnx"
"""The other name of ONNX's own operators (onnx.proto, OperatorSetIdProto)."""


def is_memory_address(location: str) -> bool:
    """Return whether a runtime may take a location of external data for an address in its memory.

    onnxruntime marks tensors in memory with the location `*/_ORT_MEM_ADDR_/*`, since 1.23 also with
    `*/_ORT_NATIVE_ENDIAN_MEM_ADDR_/*` (onnxruntime/core/framework/tensorprotoutils.h). OpenVINO
    knows the first of them. `offset` is then an address. Versions differ in whether they accept
    such a mark from a file, and in whether they compare it as a string or as a path. No honest file
    has such a name in any spelling.
    """
    return _MEMORY_ADDRESS.search(location) is not None


_MEMORY_ADDRESS: Final = re.compile(r"_ORT_\w*MEM_ADDR_", re.IGNORECASE)


def plain_dtype(name: str) -> str | None:
    """Return the name of an element type as in `TensorSpec.dtype`, or None if it is not known.

    ONNX, ONNX Runtime, NumPy and PyTorch spell the same type differently: FLOAT, tensor(float),
    float32, torch.float32.
    """
    inner = _TENSOR_OF.fullmatch(name.casefold().strip())
    plain = (inner[1] if inner else name.casefold().strip()).rpartition(".")[2]
    plain = _DTYPE_ALIASES.get(plain, plain).replace("_", "")
    return plain if plain in _dtypes().values() and plain != "undefined" else None


_TENSOR_OF: Final = re.compile(r"tensor\((.+)\)")
_DTYPE_ALIASES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("float32", "fp32", "f32", "single"), "float"),
    **dict.fromkeys(("float64", "fp64", "f64"), "double"),
    **dict.fromkeys(("fp16", "f16", "half"), "float16"),
    **dict.fromkeys(("bf16",), "bfloat16"),
    **dict.fromkeys(("boolean", "bool_"), "bool"),
    **dict.fromkeys(("long",), "int64"),
    **dict.fromkeys(("str",), "string"),
    "float4_e2m1fn": "float4e2m1",  # the spelling of ml_dtypes and PyTorch
    "float8_e8m0fnu": "float8e8m0",
    **{f"float6_{kind}fn": f"float6{kind}" for kind in ("e2m3", "e3m2")},
}


def _agreed(what: str, pairs: Sequence[tuple[str, _V]]) -> dict[str, _V]:
    """Return a mapping of pairs. The same pair may occur several times.

    Raises:
        MalformedMessageError: If two pairs contradict each other. Readers differ in which one they
            use.
    """
    found: dict[str, _V] = {}
    for key, value in pairs:
        if found.setdefault(key, value) != value:
            raise MalformedMessageError(
                f"it contradicts itself: {what} {key[:40]!r} is {str(found[key])[:40]!r} and "
                f"{str(value)[:40]!r}"
            )
    return found


def _text(value: object) -> str:
    """Return a string of the model. protobuf does not check strings of proto2, which ONNX uses."""
    if not isinstance(value, str):
        raise MalformedMessageError("a name in it is not UTF-8")
    if len(value) > SMALL:
        raise MalformedMessageError(f"a name in it has {len(value):,} characters")
    return value


def _dim(dim: Any) -> int | str | None:
    return int(dim.dim_value) if dim.HasField("dim_value") else _text(dim.dim_param) or None


def _external(model: Any) -> Iterator[ExternalReference]:
    """Yield one reference for each file, with the last byte that any tensor needs."""
    found: dict[str, ExternalReference] = {}
    for tensor in tensors(model, only_external=True):
        pairs = [(_text(e.key), _text(e.value)) for e in tensor.external_data]
        entries = _agreed("external data", pairs)
        location = entries.get("location", "")
        # Readers treat a `length` of 0 as missing and read as much as the tensor needs.
        size, length = _size(tensor), _count(entries, "length", tensor)
        end = _count(entries, "offset", tensor) + (length or size)
        known = found.get(location)
        cut = known.cut if known else None
        if cut is None and 0 < length < size:
            cut = CutTensor(_text(tensor.name), size, length)
        if known is None or end > known.end:
            found[location] = ExternalReference(location, end, _text(tensor.name), cut)
        elif cut is not known.cut:
            found[location] = replace(known, cut=cut)
        if len(found) > limits.EXTERNAL_FILES:
            raise MalformedMessageError(
                f"it names more than {limits.EXTERNAL_FILES:,} external files"
            )
    yield from found.values()


def _size(tensor: Any) -> int:
    """Return the size of a tensor in bytes by its shape and type; 0 if that is not known."""
    size = _bits(_dtype(tensor.data_type))
    if any(dim <= 0 for dim in tensor.dims):
        return 0
    for dim in tensor.dims:
        size = min(size * dim, _MOST_BITS)
    return (size + 7) // 8


@cache
def _bits(dtype: str) -> int:
    """Return the bits of one element as ONNX packs it; 0 for strings, which cannot be external."""
    if dtype in _WIDTHS:
        return _WIDTHS[dtype]
    width = _WIDTH.match(dtype)
    return int(width[1]) if width else 0


_WIDTHS: Final[Mapping[str, int]] = {"float": 32, "double": 64, "bool": 8}
"""The widths of element types whose names do not contain it."""

_WIDTH: Final = re.compile(r"(?:bfloat|complex|float|u?int)([0-9]{1,3})(?![0-9])")
"""The width in all other names of `TensorProto.DataType`: `int4`, `float8e4m3fn`, `complex64`."""

_MOST_BITS: Final = 1 << 66
"""Eight exabytes: larger than any file, and fast to multiply."""


def _count(entries: Mapping[str, str], key: str, tensor: Any) -> int:
    text = entries.get(key, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise MalformedMessageError(
            f"external data of tensor {tensor.name!r}: {key} {text[:40]!r} is not a byte count"
        )
    return int(text)


@cache
def load_messages() -> ModuleType:
    """Import ONNX's generated protobuf messages, without the rest of the `onnx` package.

    `import onnx` also loads numpy, ml_dtypes and the C++ checker, which are not needed and multiply
    the start-up time of `provenance check` by five. Loading the generated module from its file is
    the only use of an undocumented name of `onnx`. If the file moves, the documented package is
    imported instead, and tests/artifacts/test_onnx_model.py fails.
    """
    loaded = sys.modules.get("onnx.onnx_ml_pb2")
    if loaded is not None:
        return loaded
    package = importlib.util.find_spec("onnx")
    folders = package.submodule_search_locations if package is not None else None
    for folder in folders or ():
        path = Path(folder) / "onnx_ml_pb2.py"
        spec = importlib.util.spec_from_file_location("provenance_onnx_ml_pb2", path)
        if path.is_file() and spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    import onnx

    return onnx
