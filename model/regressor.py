# SPDX-License-Identifier: Apache-2.0
"""A small multi-layer perceptron whose training gives the same bits on every machine.

A matrix product or a sum from a numerical library may add in any order, and the order depends on
the processor, so it may not be used here. Everything below is elementwise ``+ - * /`` and ``sqrt``
in float64, which IEEE 754 fixes to the last bit, and every sum has an order that this file writes
down. ``exp``, ``tanh``, ``pow`` and fused products are avoided for the same reason.

Arrays are feature-major: inputs ``[inputs, samples]``, and all seeds train side by side in one
leading axis, which changes no result because no operation crosses that axis.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from corpus import Array


@dataclass(frozen=True)
class Recipe:
    """The settings of one fit."""

    epochs: int
    learning_rate: float = 0.02
    hidden: tuple[int, ...] = (16, 8)


@dataclass(frozen=True)
class Scaler:
    """Per-feature mean and standard deviation; a deployment finds them in the sidecar."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, features: Array) -> Array:
        """Standardise ``[features, samples]``."""
        mean = np.array(self.mean, dtype=np.float64)[:, None]
        std = np.array(self.std, dtype=np.float64)[:, None]
        scaled: Array = (features - mean) / std
        return scaled


@dataclass(frozen=True)
class Network:
    """Trained weights: ``(weight [inputs, outputs], bias [outputs])`` per layer, float32 values."""

    layers: tuple[tuple[Array, Array], ...]

    def predict(self, inputs: Array) -> Array:
        """The scores of ``[inputs, samples]``."""
        batched = [(weight[None], bias[None]) for weight, bias in self.layers]
        predicted: Array = _forward(batched, inputs[None])[-1][0, 0]
        return predicted


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    """The mean and the population standard deviation, summed without rounding error."""
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((v - mean) * (v - mean) for v in values) / len(values))


def fit_scaler(features: Array) -> Scaler:
    """Fit the standardisation of ``[features, samples]``; constant features keep their scale."""
    pairs = [mean_and_std(row.tolist()) for row in features]
    return Scaler(tuple(mean for mean, _ in pairs), tuple(std or 1.0 for _, std in pairs))


def plcc(predicted: Sequence[float], actual: Sequence[float]) -> float:
    """Pearson's linear correlation; 0.0 where one side does not vary, as nothing correlates."""
    mean_p, std_p = mean_and_std(predicted)
    mean_a, std_a = mean_and_std(actual)
    if std_p == 0.0 or std_a == 0.0:
        return 0.0
    pairs = zip(predicted, actual, strict=True)
    covariance = math.fsum((p - mean_p) * (a - mean_a) for p, a in pairs) / len(actual)
    return covariance / (std_p * std_a)


def _tree_sum(values: Array) -> Array:
    """Sum over the last axis by halving: elementwise adds only, in an order fixed by the shape."""
    while (size := values.shape[-1]) > 1:
        half = size // 2
        folded = values[..., :half] + values[..., half : 2 * half]
        if size % 2:
            folded[..., 0] += values[..., -1]
        values = folded
    return values[..., 0]


def _forward(layers: Sequence[tuple[Array, Array]], inputs: Array) -> list[Array]:
    """Every layer's output, the inputs first: ``[seeds, units, samples]`` each."""
    outputs = [inputs]
    for index, (weight, bias) in enumerate(layers):
        below = outputs[-1]
        above = bias[:, :, None] + weight[:, 0, :, None] * below[:, 0, None, :]
        for k in range(1, weight.shape[1]):
            above += weight[:, k, :, None] * below[:, k, None, :]
        if index < len(layers) - 1:
            # A product and not a maximum: which zero a maximum of -0.0 and 0.0 is, is not fixed.
            above *= above > 0.0
        outputs.append(above)
    return outputs


def _gradients(layers: Sequence[tuple[Array, Array]], inputs: Array, target: Array) -> list[Array]:
    """The gradients of the mean squared error: weight, bias, weight, bias, ..."""
    outputs = _forward(layers, inputs)
    delta = (outputs[-1] - target) * (2.0 / target.shape[-1])
    gradients: list[Array] = []
    for index in range(len(layers) - 1, -1, -1):
        weight, _ = layers[index]
        below = outputs[index]
        columns = [_tree_sum(below[:, k, None, :] * delta) for k in range(weight.shape[1])]
        gradients[:0] = [np.stack(columns, axis=1), _tree_sum(delta)]
        if index:
            passed = weight[:, :, 0, None] * delta[:, 0, None, :]
            for j in range(1, weight.shape[2]):
                passed += weight[:, :, j, None] * delta[:, j, None, :]
            delta = passed * (below > 0.0)
    return gradients


def _initial_weights(seed: int, widths: Sequence[int]) -> list[Array]:
    """Uniform weights scaled by the fan-in (He), zero biases: weight, bias, weight, bias, ..."""
    draw = random.Random(seed)
    parameters: list[Array] = []
    for inputs, outputs in pairwise(widths):
        limit = math.sqrt(6.0 / inputs)
        drawn = [
            [(2.0 * draw.random() - 1.0) * limit for _ in range(outputs)] for _ in range(inputs)
        ]
        parameters += [np.array(drawn, dtype=np.float64), np.zeros(outputs, dtype=np.float64)]
    return parameters


def _paired(parameters: Sequence[Array]) -> list[tuple[Array, Array]]:
    return list(zip(parameters[::2], parameters[1::2], strict=True))


def train(inputs: Array, target: Array, seeds: Sequence[int], recipe: Recipe) -> list[Network]:
    """Fit one network per seed on ``[inputs, samples]`` with full-batch Adam on the squared error.

    The step size falls linearly to zero, so that the seeds settle instead of jittering around the
    optimum. The target is standardised for the fit and its scale folded into the last layer.
    """
    target_mean, target_std = mean_and_std(target.tolist())
    target_std = target_std or 1.0
    scaled = ((target - target_mean) / target_std)[None, None, :]
    widths = (inputs.shape[0], *recipe.hidden, 1)
    per_seed = [_initial_weights(seed, widths) for seed in seeds]
    parameters = [np.stack(same) for same in zip(*per_seed, strict=True)]
    first = [np.zeros_like(parameter) for parameter in parameters]
    second = [np.zeros_like(parameter) for parameter in parameters]
    decay_first, decay_second = 1.0, 1.0
    batch = inputs[None]
    for epoch in range(recipe.epochs):
        # Running products instead of powers: pow is not exact everywhere.
        decay_first *= 0.9
        decay_second *= 0.999
        rate = recipe.learning_rate * (1.0 - epoch / recipe.epochs)
        for index, gradient in enumerate(_gradients(_paired(parameters), batch, scaled)):
            first[index] = 0.9 * first[index] + 0.1 * gradient
            second[index] = 0.999 * second[index] + 0.001 * (gradient * gradient)
            size = np.sqrt(second[index] / (1.0 - decay_second)) + 1e-8
            parameters[index] = parameters[index] - rate * (
                first[index] / (1.0 - decay_first) / size
            )
    parameters[-2] = parameters[-2] * target_std
    parameters[-1] = parameters[-1] * target_std + target_mean
    rounded = [parameter.astype(np.float32).astype(np.float64) for parameter in parameters]
    return [
        Network(tuple((weight[i], bias[i]) for weight, bias in _paired(rounded)))
        for i in range(len(seeds))
    ]
