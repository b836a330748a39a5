# SPDX-License-Identifier: Apache-2.0
"""The two ways to make the ensemble: a production run behind the gate, and a smoke run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from corpus import (
    Array,
    Clip,
    Corpus,
    Vocabulary,
    codec_matrix,
    feature_matrix,
    production_corpus,
    scores,
    smoke_corpus,
)
from documents import (
    ENSEMBLE_ID,
    MANIFEST_NAME,
    SEEDS,
    manifest,
    seed_id,
    seed_sidecar,
    to_json,
    verdict_document,
    verdict_name,
)
from gate import Gate, judge_gate
from graphs import float_model, furthest, run_files, serialise
from regressor import Network, Recipe, Scaler, fit_scaler, mean_and_std, plcc, train

PRODUCTION_RECIPE: Final = Recipe(epochs=300)
SMOKE_RECIPE: Final = Recipe(epochs=1)

# Scores run from 0 to 100; float32 arithmetic in the file may cost this much and no more.
SCORE_TOLERANCE: Final = 0.01

Progress = Callable[[str], None]


class ExportError(Exception):
    """The export cannot go on; the message says what was found, what was expected, what to do."""


@dataclass(frozen=True)
class Export:
    """What a run wants on disk: files to write and names that must not stay beside them."""

    files: dict[str, bytes]
    weights: dict[int, bytes]
    remove: tuple[str, ...] = ()
    gate: Gate | None = None


@dataclass(frozen=True)
class Fit:
    """The members fitted on one set of clips, and the scaler that belongs to them."""

    scaler: Scaler
    networks: dict[int, Network]


def _inputs(clips: Sequence[Clip], vocabulary: Vocabulary, scaler: Scaler) -> Array:
    features = scaler.apply(feature_matrix(clips))
    return np.concatenate([features, codec_matrix(clips, vocabulary)])


def fit_members(clips: Sequence[Clip], vocabulary: Vocabulary, recipe: Recipe) -> Fit:
    """Fit one member per seed."""
    scaler = fit_scaler(feature_matrix(clips))
    networks = train(_inputs(clips, vocabulary, scaler), scores(clips), SEEDS, recipe)
    return Fit(scaler, dict(zip(SEEDS, networks, strict=True)))


def leave_one_source_out(
    corpus: Corpus, vocabulary: Vocabulary, recipe: Recipe, progress: Progress
) -> dict[int, list[float]]:
    """The PLCC of every seed on every source that it was not fitted on, in ``corpus.sources``."""
    folds: dict[int, list[float]] = {seed: [] for seed in SEEDS}
    for number, source in enumerate(corpus.sources, start=1):
        progress(f"fold {number}/{len(corpus.sources)}: without {source}")
        held_out = [clip for clip in corpus.clips if clip.source == source]
        kept = [clip for clip in corpus.clips if clip.source != source]
        fit = fit_members(kept, vocabulary, recipe)
        inputs = _inputs(held_out, vocabulary, fit.scaler)
        actual = scores(held_out).tolist()
        for seed, network in fit.networks.items():
            folds[seed].append(plcc(network.predict(inputs).tolist(), actual))
    return folds


def gate_from_folds(folds: Mapping[int, Sequence[float]]) -> Gate:
    """The gate over the mean of each seed's folds."""
    return judge_gate({seed: math.fsum(v) / len(v) for seed, v in folds.items()})


def _evaluate(fit: Fit, corpus: Corpus, vocabulary: Vocabulary) -> dict[str, float]:
    """How the ensemble's mean fits its own corpus, and how far the members lie apart."""
    inputs = _inputs(corpus.clips, vocabulary, fit.scaler)
    members = [network.predict(inputs).tolist() for network in fit.networks.values()]
    actual = scores(corpus.clips).tolist()
    per_clip = [mean_and_std(values) for values in zip(*members, strict=True)]
    mean = [clip_mean for clip_mean, _ in per_clip]
    errors = [(m - a) * (m - a) for m, a in zip(mean, actual, strict=True)]
    return {
        "in_sample_plcc": plcc(mean, actual),
        "in_sample_rmse": math.sqrt(math.fsum(errors) / len(errors)),
        "mean_sigma_train": math.fsum(sigma for _, sigma in per_clip) / len(per_clip),
    }


def _export_weights(fit: Fit, corpus: Corpus, vocabulary: Vocabulary) -> dict[int, bytes]:
    """The ONNX bytes per seed, once each has been run and gives what its network gives."""
    weights = {
        seed: serialise(float_model(seed_id(seed), network, vocabulary.width))
        for seed, network in fit.networks.items()
    }
    features = fit.scaler.apply(feature_matrix(corpus.clips))
    codecs = codec_matrix(corpus.clips, vocabulary)
    files = {f"{seed_id(seed)}.onnx": content for seed, content in weights.items()}
    got = run_files(files, {name: {"features": features, "codec_onehot": codecs} for name in files})
    for seed, network in fit.networks.items():
        expected = network.predict(np.concatenate([features, codecs])).tolist()
        require_close(f"{seed_id(seed)}.onnx", got[f"{seed_id(seed)}.onnx"], expected)
    return weights


def require_close(name: str, got: Sequence[float], expected: Sequence[float]) -> None:
    """Refuse a file that does not compute what was trained.

    Raises:
        ExportError: the scores differ by more than float32 arithmetic explains.
    """
    distance = furthest(got, expected)
    if not distance <= SCORE_TOLERANCE:
        raise ExportError(
            f"{name}: its scores differ from the trained network's by up to {distance:.4g}, "
            f"expected at most {SCORE_TOLERANCE}; the graph in model/graphs.py does not compute "
            "what model/regressor.py trains, so nothing was written"
        )


def export_production(vocabulary: Vocabulary, progress: Progress) -> Export:
    """Judge the seeds by leave-one-source-out, fit them on everything, and describe the result."""
    corpus = production_corpus()
    folds = leave_one_source_out(corpus, vocabulary, PRODUCTION_RECIPE, progress)
    gate = gate_from_folds(folds)
    progress(
        f"gate: mean PLCC {gate.mean_plcc:.4f}, spread {gate.spread:.4f}, "
        f"failing seeds {gate.failing_seeds}: {gate.verdict}"
    )
    progress(f"fitting {len(SEEDS)} members on all {len(corpus.clips)} rows")
    fit = fit_members(corpus.clips, vocabulary, PRODUCTION_RECIPE)
    weights = _export_weights(fit, corpus, vocabulary)
    files = {f"{seed_id(seed)}.onnx": content for seed, content in weights.items()}
    for seed, content in weights.items():
        sidecar = seed_sidecar(
            seed, content, corpus, vocabulary, fit.scaler, PRODUCTION_RECIPE, gate
        )
        files[f"{seed_id(seed)}.json"] = to_json(sidecar)
    evaluation = _evaluate(fit, corpus, vocabulary)
    files[MANIFEST_NAME] = to_json(manifest(weights, vocabulary, fit.scaler, evaluation))
    files[verdict_name(gate.verdict)] = to_json(verdict_document(gate, folds, corpus, vocabulary))
    other = verdict_name("HOLD" if gate.passed else "PROMOTE")
    return Export(files, weights, remove=(other,), gate=gate)


def export_smoke(vocabulary: Vocabulary, progress: Progress) -> Export:
    """One epoch on a few rows: weights of the right shape and of no worth, and their manifest.

    Sidecars and verdict are left alone. They are production records, and a smoke run has nothing
    to say in them; that they then describe other weights is for the registry's gate to report.
    """
    corpus = smoke_corpus()
    progress(f"smoke: one epoch of {ENSEMBLE_ID} on {len(corpus.clips)} synthetic rows")
    fit = fit_members(corpus.clips, vocabulary, SMOKE_RECIPE)
    weights = _export_weights(fit, corpus, vocabulary)
    files = {f"{seed_id(seed)}.onnx": content for seed, content in weights.items()}
    evaluation = _evaluate(fit, corpus, vocabulary)
    files[MANIFEST_NAME] = to_json(manifest(weights, vocabulary, fit.scaler, evaluation))
    return Export(files, weights)
