# SPDX-License-Identifier: Apache-2.0
"""A registry as it should be: production seeds with every claim, and nothing for the gate to say.

The ensemble `ens` has the seeds `s0`, `s1`, `s2`, each with weights in external data. `plain` keeps
its gate in the flat form, `quant` has an int8 variant, `probe` is a placeholder.
"""

from __future__ import annotations

import datetime
import math
import statistics
from pathlib import Path
from typing import Any, Final

from tests.support.keys import KeyPair
from tests.support.models import CODECS, External, data, model
from tests.support.repository import PASSED, Repository, sha256, verdict_gate

FEATURES: Final = ["adm2", "vif_scale0", "vif_scale1", "vif_scale2", "vif_scale3", "motion2"]
LAYOUT: Final = [*(f"encoder_onehot[{c}]" for c in CODECS), "preset_norm", "crf_norm"]
INPUTS: Final = [("features", len(FEATURES)), ("codec_block", len(LAYOUT))]
STATISTICS: Final = {
    "feature_mean": [0.9488, 0.4886, 0.8324, 0.8906, 0.9242, 8.9168],
    "feature_std": [0.0483, 0.1753, 0.1562, 0.1219, 0.0941, 6.211],
}
CORPUS: Final = {"path": "corpus/clips.jsonl", "n_rows": 5640, "sha256": sha256(b"corpus")}
PLCC: Final = {"0": 0.9975056856587572, "1": 0.9971592269106849, "2": 0.9978134265425399}
FOLDS: Final = {"birds": 0.9988475000231712, "crowd": 0.9973075320766857, "tennis": 0.9961728586}


def production(root: Path, key: KeyPair | None = None) -> Repository:
    repository = Repository(root, key)
    _ensemble(repository)
    _plain(repository)
    _quantized(repository)
    repository.add("probe", description="a placeholder")
    return repository.save()


def late(root: Path, key: KeyPair | None = None) -> Repository:
    """The same with one mutation that is declared: the sidecar of the smoke row `late` is stale."""
    repository = production(root, key)
    repository.add_sidecar(repository.add("late"), sha256=sha256(b"former weights"))
    until = datetime.date(2999, 12, 31)
    repository.defer("SID402", ["late"], reason="the retrain", expires=until)
    return repository.save()


def seed_model(seed: int, **options: Any) -> bytes:
    """The graph of a seed; `options` are those of `model`."""
    outside = External(f"s{seed}.onnx.data")
    defaults: dict[str, Any] = {"inputs": INPUTS, "salt": 50 + seed, "external": outside}
    return model(**(defaults | options))


def _ensemble(repository: Repository) -> None:
    gate = verdict_gate(dict(PLCC))
    repeated = {
        "mean_plcc": gate["mean_plcc"],
        "mean_plcc_threshold": 0.95,
        "passed": True,
        "per_seed_min_threshold": 0.95,
        "plcc_spread": gate["plcc_spread"],
        "plcc_spread_max": 0.005,
        "verdict": "PROMOTE",
    }
    rows = []
    for seed in range(len(PLCC)):
        weights = data(24, salt=seed)
        repository.write(f"s{seed}.onnx.data", weights)
        row = repository.add(
            f"s{seed}",
            seed_model(seed),
            external_data_sha256={f"s{seed}.onnx.data": sha256(weights)},
            smoke=False,
        )
        rows.append(row)
        claims = _contract(row) | {
            "codec_block_layout": LAYOUT,
            "corpus": CORPUS,
            "encoder_vocab": list(CODECS),
            "encoder_vocab_version": 3,
            "ensemble_id": "ens",
            "gate": repeated | {"this_seed_loso_plcc": PLCC[str(seed)]},
            "input_names": [name for name, _ in INPUTS],
            "loso_mean_plcc": gate["mean_plcc"],
            "seed": seed,
            "training_recipe": {"epochs": 200, "lr": 0.0005, "num_codecs": len(LAYOUT)},
        }
        repository.add_sidecar(row, **claims)
    repository.write(
        "ens.json",
        {
            "codec_vocab": list(CODECS),
            "codec_vocab_version": 3,
            "corpus": CORPUS,
            "ensemble_size": len(rows),
            "feature_order": FEATURES,
            **STATISTICS,
            "gate": repeated,
            "id": "ens",
            "kind": "fr_ensemble",
            "members": [
                {"id": r["id"], "onnx": r["onnx"], "seed": seed, "sha256": r["sha256"]}
                for seed, r in enumerate(rows)
            ],
            "opset": 17,
            "smoke": False,
        },
    )
    repository.write(
        "ens_PROMOTE.json",
        {
            "corpus": CORPUS,
            "ensemble_id": "ens",
            "gate": gate,
            "seeds": list(range(len(rows))),
            "verdict": "PROMOTE",
        },
    )


def _plain(repository: Repository) -> None:
    """A model that keeps its weights outside and its gate in the flat form."""
    values = list(FOLDS.values())
    mean = math.fsum(values) / len(values)
    row = repository.add_external("plain", smoke=False)
    repository.add_sidecar(
        row,
        **_contract(row),
        corpus=CORPUS["path"],
        corpus_sha256=CORPUS["sha256"],
        gate_passed=True,
        loso_mean_plcc=mean,
        training={
            "gate_passed": True,
            "loso_folds": [{"held_out": clip, "plcc": v} for clip, v in FOLDS.items()],
            "loso_max_plcc": max(values),
            "loso_mean_plcc": mean,
            "loso_min_plcc": min(values),
            "loso_std_plcc": statistics.stdev(values),
            "ship_gate_mean_plcc": 0.95,
            "smoke": False,
        },
    )


def _quantized(repository: Repository) -> None:
    """A model with an int8 variant; each has its sidecar."""
    row = repository.add_int8("quant", smoke=False)
    repository.add_sidecar(row, **_contract(row), gate=PASSED)
    variant = {"id": "quant", "onnx": "quant.int8.onnx", "sha256": row["int8_sha256"]}
    repository.write("quant.int8.json", _contract(row) | variant | {"kind": "fr"})


def _contract(row: dict[str, Any]) -> dict[str, Any]:
    """What every sidecar says of its model's inputs and outputs."""
    return {
        "feature_order": FEATURES,
        **STATISTICS,
        "input_names": ["features"],
        "onnx": row["onnx"],
        "opset": row["opset"],
        "output_names": ["score"],
    }
