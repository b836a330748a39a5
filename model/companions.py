# SPDX-License-Identifier: Apache-2.0
"""The two models that show what the ensemble does not: external weights, and an int8 variant.

Each passed a gate of its own, leave-one-source-out, which its sidecar records fold by fold: a row
that says production needs that evidence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from corpus import FEATURES, Array, Clip, Corpus, feature_matrix, production_corpus, scores
from documents import Document, corpus_record, recipe_record, sha256, to_json
from ensemble import PRODUCTION_RECIPE, ExportError, Progress, require_close
from gate import MEAN_PLCC_THRESHOLD
from graphs import OPSET, externalise, float_model, int8_model, run_files, serialise
from regressor import Network, Scaler, fit_scaler, plcc, train

EXTERNAL_ID: Final = "quality_regressor_ext_v1"
QUANTISED_ID: Final = "quality_regressor_q_v1"
PLCC_BUDGET: Final = 0.01

_EXTERNAL_SEED: Final = 21
_QUANTISED_SEED: Final = 22


@dataclass(frozen=True)
class Companion:
    """One companion model: its files, and what its registry row needs beyond the common fields."""

    identifier: str
    files: dict[str, bytes]
    notes: str
    extra: Document

    @property
    def onnx(self) -> bytes:
        """The bytes of the model proper."""
        return self.files[f"{self.identifier}.onnx"]


@dataclass(frozen=True)
class _Trained:
    """A network on the six features alone, with everything that its sidecar tells."""

    corpus: Corpus
    scaler: Scaler
    network: Network
    seed: int
    folds: Mapping[str, float]

    @property
    def features(self) -> Array:
        return self.scaler.apply(feature_matrix(self.corpus.clips))

    @property
    def predicted(self) -> list[float]:
        values: list[float] = self.network.predict(self.features).tolist()
        return values

    @property
    def actual(self) -> list[float]:
        values: list[float] = scores(self.corpus.clips).tolist()
        return values

    def sidecar(self, identifier: str, weights: bytes, notes: str) -> bytes:
        """The sidecar's bytes for the weights in hand."""
        recipe = recipe_record(PRODUCTION_RECIPE, self.corpus)
        mean = _mean(self.folds)
        return to_json(
            {
                "feature_mean": list(self.scaler.mean),
                "feature_order": list(FEATURES),
                "feature_std": list(self.scaler.std),
                "gate_passed": True,  # else nothing is exported
                "id": identifier,
                "input_names": ["features"],
                "kind": "fr",
                "loso_mean_plcc": mean,
                "notes": notes,
                "onnx": f"{identifier}.onnx",
                "opset": OPSET,
                "output_names": ["score"],
                "sha256": sha256(weights),
                "training": recipe
                | {
                    "corpus": corpus_record(self.corpus),
                    "in_sample_plcc": plcc(self.predicted, self.actual),
                    "loso_folds": [
                        {"held_out": source, "plcc": value} for source, value in self.folds.items()
                    ],
                    "loso_mean_plcc": mean,
                    "seed": self.seed,
                    "ship_gate_mean_plcc": MEAN_PLCC_THRESHOLD,
                },
            }
        )


def _mean(folds: Mapping[str, float]) -> float:
    return math.fsum(folds.values()) / len(folds)


def _fit(clips: Sequence[Clip], seed: int) -> tuple[Scaler, Network]:
    features = feature_matrix(clips)
    scaler = fit_scaler(features)
    (network,) = train(scaler.apply(features), scores(clips), (seed,), PRODUCTION_RECIPE)
    return scaler, network


def _leave_one_source_out(corpus: Corpus, seed: int) -> dict[str, float]:
    """The PLCC on every source that the network was not fitted on."""
    folds: dict[str, float] = {}
    for source in corpus.sources:
        scaler, network = _fit([c for c in corpus.clips if c.source != source], seed)
        held_out = [c for c in corpus.clips if c.source == source]
        predicted = network.predict(scaler.apply(feature_matrix(held_out)))
        folds[source] = plcc(predicted.tolist(), scores(held_out).tolist())
    return folds


def _train(identifier: str, seed: int) -> _Trained:
    """The network that is shipped, fitted on the whole corpus once it has passed the gate.

    Raises:
        ExportError: the mean over the folds does not reach the threshold.
    """
    corpus = production_corpus()
    folds = _leave_one_source_out(corpus, seed)
    if not _mean(folds) >= MEAN_PLCC_THRESHOLD:
        raise ExportError(
            f"{identifier}: the mean PLCC over {len(folds)} folds is {_mean(folds):.4f}, expected "
            f"at least {MEAN_PLCC_THRESHOLD}; train it longer, or ship it as smoke"
        )
    scaler, network = _fit(corpus.clips, seed)
    return _Trained(corpus, scaler, network, seed, folds)


def _external() -> Companion:
    """The regressor whose weights live in a file of their own."""
    trained = _train(EXTERNAL_ID, _EXTERNAL_SEED)
    data_name = f"{EXTERNAL_ID}.onnx.data"
    onnx, data = externalise(float_model(EXTERNAL_ID, trained.network), data_name)
    weights = {f"{EXTERNAL_ID}.onnx": onnx, data_name: data}
    got = run_files(weights, {f"{EXTERNAL_ID}.onnx": {"features": trained.features}})
    require_close(f"{EXTERNAL_ID}.onnx", got[f"{EXTERNAL_ID}.onnx"], trained.predicted)
    notes = (
        "Full-reference regressor on six features, without a codec block, fitted on a generated "
        f"corpus. Its weights are in {data_name}, which the row covers with a digest of its own."
    )
    sidecar = trained.sidecar(EXTERNAL_ID, onnx, notes)
    files = weights | {f"{EXTERNAL_ID}.json": sidecar}
    return Companion(EXTERNAL_ID, files, notes, {"external_data_sha256": {data_name: sha256(data)}})


def _quantised() -> Companion:
    """The regressor with an int8 variant that stays within its accuracy budget."""
    trained = _train(QUANTISED_ID, _QUANTISED_SEED)
    names = (f"{QUANTISED_ID}.onnx", f"{QUANTISED_ID}.int8.onnx")
    models = (
        float_model(QUANTISED_ID, trained.network),
        int8_model(f"{QUANTISED_ID}_int8", trained.network),
    )
    weights = {name: serialise(model) for name, model in zip(names, models, strict=True)}
    got = run_files(weights, {name: {"features": trained.features} for name in names})
    require_close(names[0], got[names[0]], trained.predicted)
    # One batch for the whole corpus: the widest range of activations, so the coarsest steps.
    drop = plcc(got[names[0]], trained.actual) - plcc(got[names[1]], trained.actual)
    if not drop <= PLCC_BUDGET:
        raise ExportError(
            f"{names[1]}: quantisation costs {drop:.4f} PLCC, expected at most {PLCC_BUDGET}; "
            "quantise more finely in model/graphs.py, or raise the budget and say why"
        )
    notes = (
        "Full-reference regressor on six features, without a codec block, fitted on a generated "
        "corpus. The int8 variant quantises weights ahead of time and activations when it runs."
    )
    sidecar = trained.sidecar(QUANTISED_ID, weights[names[0]], notes)
    extra: Document = {
        "int8_sha256": sha256(weights[names[1]]),
        "quant_accuracy_budget_plcc": PLCC_BUDGET,
        "quant_mode": "dynamic",
    }
    return Companion(QUANTISED_ID, weights | {f"{QUANTISED_ID}.json": sidecar}, notes, extra)


def export_companions(progress: Progress) -> list[Companion]:
    """Train and describe both companions."""
    progress(f"fitting {EXTERNAL_ID} and {QUANTISED_ID}")
    return [_external(), _quantised()]
