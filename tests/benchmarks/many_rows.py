# SPDX-License-Identifier: Apache-2.0
"""Writes a clean registry of many rows: `python -m tests.benchmarks.many_rows DIR ROWS [minimal]`.

Models are small, so that the work per row is measured and not hashing. Rows and sidecars have the
size of those of a real registry: about 0.9 KB and 3 KB, with text beyond ASCII.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.models import CODECS, External, model
from tests.support.repository import PASSED, seed_gate, sha256, verdict_gate

GROUP: Final = 25
SEEDS: Final = range(5)
EXTERNAL: Final = range(5, 8)
INT8: Final = range(8, 10)
FEATURES: Final = ("adm2", "vif_scale0", "vif_scale1", "vif_scale2", "vif_scale3", "motion2")
CORPUS: Final = {"path": "corpus/clips.jsonl", "sha256": sha256(b"corpus")}
NOTES: Final = (
    "Tiny full-reference regressor — 6 canonical features (adm2, vif_scale0..3, motion2) and a "
    "codec block of 6 columns → teacher score. Fitted on the whole corpus of 5,640 rows after "
    "nine folds, each with one source held out; their mean correlation is 0.99 ± 0.0021. "
    "Exported with its sidecar by the training script; see the model card for what it was "
    "evaluated on, for what it is not meant, and for the decision that it was shipped by."
)
PLACE: Final = "row_00000"
"""Stands in each template for the name of the row; all names have this length."""
SALT: Final = b"\x00\x00\x80\xc0"
"""A weight of the template (-4.0) whose place is taken by the row's number."""


@dataclass(frozen=True)
class Shape:
    """What the registry is made of: sidecars of 3 KB where it is realistic, else of 200 bytes."""

    rows: int
    ensembles: bool = True
    realistic: bool = True


def write(root: Path, shape: Shape) -> None:
    """Write the registry of `shape` with a configuration without trusted keys."""
    folder = root / "model"
    folder.mkdir(parents=True)
    templates = {kind: _template(kind) for kind in ("plain", "external")}
    rows = [
        row
        for group in range(0, shape.rows, GROUP)
        for row in _group(folder, group, min(GROUP, shape.rows - group), shape, templates)
    ]
    text = json.dumps({"schema_version": 1, "models": rows}, indent=2, ensure_ascii=False)
    (folder / "registry.json").write_text(f"{text}\n", "utf-8")
    (root / "provenance.toml").write_text('registry = "model/registry.json"\n', "utf-8")


def _template(kind: str) -> bytes:
    weights = External(f"{PLACE}.onnx.data") if kind == "external" else ()
    inputs = [("features", len(FEATURES)), ("codec_onehot", len(CODECS))]
    made = model(inputs=inputs, external=weights, salt=-4)
    assert kind == "external" or made.count(SALT) == 1
    return made


def _model(template: bytes, name: str, number: int) -> bytes:
    assert len(name) == len(PLACE)
    named = template.replace(PLACE.encode(), name.encode())
    return named.replace(SALT, (number + 1).to_bytes(4, "little"))


def _group(
    folder: Path, first: int, count: int, shape: Shape, templates: dict[str, bytes]
) -> Iterator[dict[str, Any]]:
    ensemble = f"ens_{first:05}"
    whole = shape.ensembles and count >= len(SEEDS)
    members = []
    for at in range(count):
        number = first + at
        name = f"row_{number:05}"
        kind = "external" if at in EXTERNAL else "plain"
        onnx = _model(templates[kind], name, number)
        row = _row(name, sha256(onnx))
        _write(folder, f"{name}.onnx", onnx)
        if at in EXTERNAL:
            weights = number.to_bytes(4, "little") * 6
            _write(folder, f"{name}.onnx.data", weights)
            row["external_data_sha256"] = {f"{name}.onnx.data": sha256(weights)}
        elif at in INT8:
            int8 = _model(templates[kind], name, number + (1 << 24))
            _write(folder, f"{name}.int8.onnx", int8)
            row |= {"quant_mode": "dynamic", "int8_sha256": sha256(int8)}
        sidecar = _sidecar(row, realistic=shape.realistic)
        if whole and at in SEEDS:
            sidecar |= {"ensemble_id": ensemble, "seed": at, "gate": seed_gate(0.99)}
            sidecar |= {"corpus": CORPUS, "training_recipe": _recipe()}
            members.append({k: row[k] for k in ("id", "onnx", "sha256")} | {"seed": at})
        _write(folder, f"{name}.json", sidecar)
        yield row
    if whole:
        _write(folder, f"{ensemble}.json", _manifest(ensemble, members))
        _write(folder, f"{ensemble}_seed_flip_PROMOTE.json", _verdict(ensemble))


def _row(name: str, digest: str) -> dict[str, Any]:
    return {
        "id": name,
        "kind": "fr",
        "license": "Apache-2.0",
        "license_url": "https://www.apache.org/licenses/LICENSE-2.0",
        "notes": NOTES,
        "onnx": f"{name}.onnx",
        "opset": 17,
        "sha256": digest,
        "sigstore_bundle": f"../bundles/{name}.onnx.sigstore.json",
        "smoke": False,
    }


def _sidecar(row: dict[str, Any], *, realistic: bool) -> dict[str, Any]:
    said: dict[str, Any] = {k: row[k] for k in ("id", "kind", "onnx", "opset", "sha256")}
    said["gate"] = PASSED
    if not realistic:
        return said
    number = int(row["id"].removeprefix("row_"))
    return said | {
        "codec_aware": True,
        "codec_block_layout": [f"encoder_onehot[{c}]" for c in CODECS],
        "codec_columns": [f"one-hot of {c}, 1.0 where the clip was encoded by it" for c in CODECS],
        "encoder_vocab": list(CODECS),
        "encoder_vocab_version": 2,
        "feature_mean": [0.9488429659574469 + number / 7 + i / 3 for i in range(len(FEATURES))],
        "feature_order": list(FEATURES),
        "feature_std": [0.04836998478470506 + number / 7 + i / 3 for i in range(len(FEATURES))],
        "input_names": ["features", "codec_onehot"],
        "loso_mean_plcc": 0.99,
        "notes": NOTES,
        "output_names": ["score"],
        "parents": ["ADR-0303", "ADR-0309", "ADR-0319", "ADR-0321"],
        "training_recipe": _recipe(),
        "folds": {
            f"source_{i}": {"plcc": 0.99 + number / 1e7 + i / 1e4, "rows": 600 + i}
            for i in range(9)
        },
    }


def _recipe() -> dict[str, Any]:
    return {
        "batch_size": 32,
        "depth": 2,
        "dropout": 0.1,
        "epochs": 200,
        "fit_set": "full_corpus",
        "hidden": 64,
        "in_features": len(FEATURES),
        "loss": "MSE",
        "lr": 0.0005,
        "num_codecs": len(CODECS),
        "optimizer": "Adam",
        "scaler": "fit_on_full_corpus",
        "weight_decay": 1e-05,
    }


def _manifest(ensemble: str, members: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": ensemble,
        "kind": "fr_ensemble",
        "codec_vocab": list(CODECS),
        "ensemble_size": len(members),
        "members": members,
        "smoke": False,
    }


def _verdict(ensemble: str) -> dict[str, Any]:
    return {
        "ensemble_id": ensemble,
        "corpus": CORPUS,
        "gate": verdict_gate({str(seed): 0.99 for seed in SEEDS}),
        "seeds": list(SEEDS),
        "verdict": "PROMOTE",
    }


def _write(folder: Path, name: str, content: bytes | dict[str, Any]) -> None:
    data = content
    if isinstance(data, dict):
        data = (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode("utf-8")
    (folder / name).write_bytes(data)


if __name__ == "__main__":
    place, count, *kind = sys.argv[1:]
    write(Path(place), Shape(int(count), realistic="minimal" not in kind))
