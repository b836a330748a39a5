# SPDX-License-Identifier: Apache-2.0
"""The JSON documents that stand beside the weights: sidecars, ensemble manifest, gate verdict."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from corpus import CRF_MAX, CRF_MIN, FEATURES, Corpus, Vocabulary
from gate import MEAN_PLCC_THRESHOLD, PER_SEED_MIN, PLCC_SPREAD_MAX, Gate
from graphs import OPSET
from regressor import Recipe, Scaler

ENSEMBLE_ID: Final = "fr_regressor_v2_ensemble_v1"
MANIFEST_NAME: Final = f"{ENSEMBLE_ID}.json"
SEEDS: Final = (0, 1, 2, 3, 4)

Document = dict[str, Any]


def seed_id(seed: int) -> str:
    """The registry id of one ensemble member."""
    return f"{ENSEMBLE_ID}_seed{seed}"


def verdict_name(verdict: str) -> str:
    """Return the file name of a gate verdict, which contains the verdict."""
    return f"{ENSEMBLE_ID}_seed_flip_{verdict}.json"


def sha256(content: bytes) -> str:
    """The digest of a file's bytes."""
    return hashlib.sha256(content).hexdigest()


def to_json(document: Document, *, sort_keys: bool = True) -> bytes:
    """The bytes of a JSON file: two spaces, ASCII escapes, a newline at the end."""
    return (json.dumps(document, indent=2, sort_keys=sort_keys) + "\n").encode("ascii")


def corpus_record(corpus: Corpus) -> Document:
    """What a training record says about its corpus."""
    return {
        "crf_max": CRF_MAX,
        "crf_min": CRF_MIN,
        "generator": "model/corpus.py",
        "generator_seed": corpus.seed,
        "n_rows": len(corpus.clips),
        "path": corpus.path,
        "sha256": corpus.sha256,
        "sources": list(corpus.sources),
    }


def recipe_record(recipe: Recipe, corpus: Corpus) -> Document:
    """What a training record says about its settings."""
    return {
        "batch_size": len(corpus.clips),
        "depth": len(recipe.hidden),
        "epochs": recipe.epochs,
        "fit_set": "full_corpus",
        "hidden": list(recipe.hidden),
        "in_features": len(FEATURES),
        "loss": "MSE",
        "lr": recipe.learning_rate,
        "lr_schedule": "linear_to_zero",
        "optimizer": "Adam",
        "scaler": "fit_on_full_corpus",
    }


def seed_sidecar(
    seed: int,
    weights: bytes,
    corpus: Corpus,
    vocabulary: Vocabulary,
    scaler: Scaler,
    recipe: Recipe,
    gate: Gate,
) -> Document:
    """The sidecar of one production member; its digest is taken from the bytes in hand."""
    identifier = seed_id(seed)
    return {
        "codec_aware": True,
        "codec_block_layout": vocabulary.layout,
        "corpus": corpus_record(corpus),
        "encoder_vocab": list(vocabulary.encoders),
        "encoder_vocab_version": vocabulary.version,
        "ensemble_id": ENSEMBLE_ID,
        "feature_mean": list(scaler.mean),
        "feature_order": list(FEATURES),
        "feature_std": list(scaler.std),
        "gate": {
            "mean_plcc": gate.mean_plcc,
            "mean_plcc_threshold": MEAN_PLCC_THRESHOLD,
            "passed": gate.passed,
            "per_seed_min_threshold": PER_SEED_MIN,
            "plcc_spread": gate.spread,
            "plcc_spread_max": PLCC_SPREAD_MAX,
            "this_seed_loso_plcc": gate.per_seed_plcc[seed],
            "verdict": gate.verdict,
        },
        "id": identifier,
        "input_names": ["features", "codec_onehot"],
        "kind": "fr",
        "loso_mean_plcc": gate.mean_plcc,
        "notes": (
            f"Member {seed} of {ENSEMBLE_ID}, fitted on the whole generated corpus "
            f"({len(corpus.clips)} rows) after {len(corpus.sources)} leave-one-source-out folds "
            f"were judged: {gate.verdict}. Takes features standardised by feature_mean and "
            f"feature_std, and a codec block of {vocabulary.width} columns."
        ),
        "onnx": f"{identifier}.onnx",
        "opset": OPSET,
        "output_names": ["score"],
        "seed": seed,
        "sha256": sha256(weights),
        "training_recipe": recipe_record(recipe, corpus) | {"num_codecs": vocabulary.width},
    }


def manifest(
    weights: Mapping[int, bytes],
    vocabulary: Vocabulary,
    scaler: Scaler,
    evaluation: Mapping[str, float],
) -> Document:
    """The ensemble manifest over the members that were just written.

    It says smoke, as the rows do, after a production run too: what was trained is a candidate
    until it is promoted on its evidence, and an exporter promotes nothing.
    """
    return {
        "codec_vocab": [*vocabulary.encoders, *vocabulary.norms],
        "codec_vocab_version": vocabulary.version,
        "confidence": {
            "conformal_q_residual": None,
            "gaussian_z": 1.959963984540054,
            "method": "ensemble",
            "nominal_coverage": 0.95,
        },
        "ensemble_size": len(weights),
        "eval": dict(evaluation),
        "feature_mean": list(scaler.mean),
        "feature_order": list(FEATURES),
        "feature_std": list(scaler.std),
        "id": ENSEMBLE_ID,
        "kind": "fr_ensemble",
        "members": [
            {
                "id": seed_id(seed),
                "onnx": f"{seed_id(seed)}.onnx",
                "seed": seed,
                "sha256": sha256(content),
            }
            for seed, content in sorted(weights.items())
        ],
        "smoke": True,
    }


def verdict_document(
    gate: Gate, folds: Mapping[int, Sequence[float]], corpus: Corpus, vocabulary: Vocabulary
) -> Document:
    """The gate verdict with every number that it follows from, fold by fold."""
    return {
        "corpus": corpus_record(corpus),
        "encoder_vocab_version": vocabulary.version,
        "ensemble_id": ENSEMBLE_ID,
        "fold_plccs": {
            str(seed): dict(zip(corpus.sources, values, strict=True))
            for seed, values in folds.items()
        },
        "gate": {
            "failing_seeds": gate.failing_seeds,
            "mean_plcc": gate.mean_plcc,
            "mean_plcc_pass": gate.mean_passes,
            "mean_plcc_threshold": MEAN_PLCC_THRESHOLD,
            "passed": gate.passed,
            "per_seed_min": PER_SEED_MIN,
            "per_seed_pass": not gate.failing_seeds,
            "per_seed_plccs": {str(seed): value for seed, value in gate.per_seed_plcc.items()},
            "plcc_spread": gate.spread,
            "plcc_spread_max": PLCC_SPREAD_MAX,
            "plcc_spread_pass": gate.spread_passes,
        },
        "schema_version": 1,
        "seeds": list(gate.per_seed_plcc),
        "verdict": gate.verdict,
    }
