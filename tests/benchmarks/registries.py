# SPDX-License-Identifier: Apache-2.0
"""Writes the registries of the benchmarks: `python -m tests.benchmarks.registries DIR`.

It is a process of its own: the peak memory of a child includes what its parent held at its start.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from onnx import ModelProto, TensorProto, helper

SMALL_ROWS: Final = 24
SMALL_WEIGHTS: Final = 50_000
"""Floats in a small model: 24 of them are the 4.8 MB of a real registry of that length."""

LARGE_ROWS: Final = 2
LARGE_BYTES: Final = 1 << 31
BLOCK: Final = 1 << 20

CONFIGURATION: Final = 'registry = "model/registry.json"\n[[trust.key]]\npath = "release.pub"\n'


def small(root: Path) -> None:
    """24 rows; every third one keeps its weights in external data."""
    model = root / "model"
    model.mkdir(parents=True)
    rows = []
    for i in range(SMALL_ROWS):
        name = f"model_{i:02}"
        weights = random.Random(i).randbytes(4 * SMALL_WEIGHTS)
        external = i % 3 == 0
        proto = _proto(name, SMALL_WEIGHTS, None if external else weights)
        (model / f"{name}.onnx").write_bytes(proto.SerializeToString())
        if external:
            (model / f"{name}.onnx.data").write_bytes(weights)
        rows.append(_row(model, name, external=external))
    _registry(root, rows)


def large(root: Path) -> None:
    """Two rows of 2 GiB external data each."""
    model = root / "model"
    model.mkdir(parents=True)
    rows = []
    for i in range(LARGE_ROWS):
        name = f"large_{i}"
        proto = _proto(name, LARGE_BYTES // 4, None)
        (model / f"{name}.onnx").write_bytes(proto.SerializeToString())
        block = random.Random(i).randbytes(BLOCK)
        with (model / f"{name}.onnx.data").open("wb") as stream:
            for _ in range(LARGE_BYTES // BLOCK):
                stream.write(block)
        rows.append(_row(model, name, external=True))
    _registry(root, rows)


def write_registry(root: Path, names: Sequence[str]) -> None:
    """Release the models that lie in `root`, each with external data."""
    _registry(root, [_row(root / "model", name, external=True) for name in names])


def _proto(name: str, size: int, raw: bytes | None) -> ModelProto:
    """A model that adds a vector of `size` floats: inline where `raw` is given."""
    weight = TensorProto(name="weight", data_type=TensorProto.FLOAT, dims=[size])
    if raw is not None:
        weight.raw_data = raw
    else:
        weight.data_location = TensorProto.EXTERNAL
        for key, text in (("location", f"{name}.onnx.data"), ("length", str(4 * size))):
            weight.external_data.add(key=key, value=text)
    operand = helper.make_tensor_value_info("x", TensorProto.FLOAT, [size])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [size])
    node = helper.make_node("Add", ["x", "weight"], ["y"])
    graph = helper.make_graph([node], name, [operand], [result], [weight])
    return helper.make_model(
        graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)], producer_name="benchmark"
    )


def _row(model: Path, name: str, *, external: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": name,
        "kind": "fr",
        "license": "Apache-2.0",
        "license_url": "https://www.apache.org/licenses/LICENSE-2.0",
        "onnx": f"{name}.onnx",
        "opset": 17,
        "sha256": _sha256(model / f"{name}.onnx"),
    }
    if external:
        data = f"{name}.onnx.data"
        row["external_data_sha256"] = {data: _sha256(model / data)}
    sidecar: dict[str, Any] = {k: row[k] for k in ("id", "kind", "onnx", "opset", "sha256")}
    sidecar["gate"] = {"mean_plcc": 0.99, "mean_plcc_threshold": 0.95, "passed": True}
    (model / f"{name}.json").write_text(json.dumps(sidecar, indent=2) + "\n", "utf-8")
    return row | {"sigstore_bundle": f"../bundles/{name}.onnx.sigstore.json", "smoke": False}


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _registry(root: Path, rows: Sequence[dict[str, Any]]) -> None:
    registry = {"schema_version": 1, "models": rows}
    text = json.dumps(registry, indent=2) + "\n"
    (root / "model" / "registry.json").write_text(text, "utf-8")
    (root / "provenance.toml").write_text(CONFIGURATION, "utf-8")
    tool = Path(sys.executable).with_name("provenance")
    for arguments in (
        ["keygen", "release", "--quiet"],
        ["release", "--signer", "file:release.key"],
    ):
        subprocess.run([tool, *arguments], cwd=root, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    small(Path(sys.argv[1]) / "small")
    large(Path(sys.argv[1]) / "large")
