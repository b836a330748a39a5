# SPDX-License-Identifier: Apache-2.0
"""Handles a model of 2 GiB in one way: `python -m tests.benchmarks.consuming HOW DIR [PRIVATE]`.

HOW is `make` or one of `WAYS`. Private copies are made in PRIVATE, by default in DIR. Prints the
seconds without imports. The model adds each of its 256 tensors to the input: every byte is used,
and onnxruntime maps the file of external data.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

NAME: Final = "model.onnx"
DATA: Final = f"{NAME}.data"
TENSORS: Final = 256
TENSOR_BYTES: Final = 8 << 20
SIZE: Final = TENSORS * TENSOR_BYTES


def make(root: Path) -> None:
    """A registry with the one model, released; the files lie as a consumer has them."""
    from onnx import TensorProto, helper

    from tests.benchmarks.registries import write_registry

    nodes, weights = [], []
    for i in range(TENSORS):
        tensor = TensorProto(name=f"w{i}", data_type=TensorProto.FLOAT, dims=[TENSOR_BYTES // 4])
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (
            ("location", DATA),
            ("offset", i * TENSOR_BYTES),
            ("length", TENSOR_BYTES),
        ):
            tensor.external_data.add(key=key, value=str(value))
        weights.append(tensor)
        nodes += [
            helper.make_node("Add", ["x", f"w{i}"], [f"s{i}"]),
            helper.make_node("ReduceMax", [f"s{i}"], [f"m{i}"], keepdims=1),
        ]
    nodes.append(helper.make_node("Max", [f"m{i}" for i in range(TENSORS)], ["y"]))
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in ("x", "y"))
    graph = helper.make_graph(nodes, "benchmark", [x], [y], weights)
    proto = helper.make_model(
        graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)], producer_name="bench"
    )
    folder = root / "model"
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(proto.SerializeToString())
    # Floats between one and two: no NaN, and no denormal number, which would be slow.
    block = bytearray(random.Random(7).randbytes(TENSOR_BYTES))
    block[3::4] = b"\x3f" * (TENSOR_BYTES // 4)
    block[2::4] = bytes(b | 0x80 for b in block[2::4])
    with (folder / DATA).open("wb") as stream:
        for _ in range(TENSORS):
            stream.write(block)
    write_registry(root, ["model"])


def hash_alone(root: Path, _: Path) -> None:
    from provenance.artifacts import digest

    with (root / "model" / DATA).open("rb", buffering=0) as stream:
        digest.of_stream(stream)


def plain(root: Path, _: Path) -> None:
    import onnxruntime

    _run(onnxruntime.InferenceSession(root / "model" / NAME))


def open_only(root: Path, private: Path) -> None:
    with _opened(root, private) as model:
        assert model.files[DATA].size == SIZE


def verified(root: Path, private: Path) -> None:
    with _opened(root, private) as model:
        session = model.session()
    _run(session)


def _opened(root: Path, private: Path) -> Any:
    import provenance

    trust = provenance.trust_from_keys([root / "release.pub"])
    bundle = root / "bundles" / f"{NAME}.sigstore.json"
    return provenance.open_model(root / "model" / NAME, trust, bundle=bundle, folder=private)


def _run(session: Any) -> None:
    import numpy

    (found,) = session.run(None, {"x": numpy.zeros(1, numpy.float32)})
    assert 1 < found[0] < 2, found


WAYS: Final[Mapping[str, Callable[[Path, Path], None]]] = {
    "hash": hash_alone,
    "plain": plain,
    "open": open_only,
    "verified": verified,
}


def main(how: str, root: Path, private: Path) -> None:
    """Do it, and print the seconds."""
    if how == "make":
        make(root)
        return
    if how in ("plain", "verified"):
        import numpy  # noqa: F401
        import onnxruntime  # noqa: F401
    if how in ("open", "verified"):
        from provenance import open_model  # noqa: F401
    began = time.perf_counter()
    WAYS[how](root, private)
    sys.stdout.write(f"{time.perf_counter() - began}\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[-1]))
