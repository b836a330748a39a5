# SPDX-License-Identifier: Apache-2.0
"""The corpus of the reference models: clips that a seeded generator makes up.

No real video stands behind these rows. What matters is that every machine makes the same rows, so
that the digest in a training record can be checked by anyone. Hence the restrictions: uniform
numbers from ``random.Random(int).random()`` only, whose sequence Python documents as stable, plain
``+ - * /``, and values rounded to six decimals before anything is computed from them.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

PRODUCTION_SEED: Final = 1105
SMOKE_SEED: Final = 7

FEATURES: Final = ("adm2", "vif_scale0", "vif_scale1", "vif_scale2", "vif_scale3", "motion2")
UNKNOWN: Final = "unknown"
CRF_MIN: Final = 18
CRF_MAX: Final = 48


@dataclass(frozen=True)
class Source:
    """One named source clip: how hard it is to encode, and how much it moves (both 0..1)."""

    name: str
    complexity: float
    motion: float


@dataclass(frozen=True)
class Encoder:
    """One encoder: distortion relative to the others, and the score bias that it shows."""

    name: str
    distortion: float
    bias: float


SOURCES: Final = (
    Source("harbour_dawn", 0.42, 0.30),
    Source("market_crowd", 0.66, 0.52),
    Source("river_rapids", 0.74, 0.70),
    Source("studio_talk", 0.30, 0.16),
    Source("tram_night", 0.52, 0.44),
    Source("wheat_wind", 0.60, 0.36),
)

ENCODERS: Final = (
    Encoder("x264", 1.00, -0.6),
    Encoder("x265", 0.86, 0.3),
    Encoder("libsvtav1", 0.80, 0.5),
    Encoder("libvvenc", 0.72, 0.7),
    Encoder("libvpx-vp9", 0.88, 0.1),
    Encoder("libaom-av1", 0.78, 0.4),
    Encoder("h264_nvenc", 1.10, -0.8),
    Encoder("hevc_nvenc", 0.96, -0.3),
    Encoder("av1_nvenc", 0.90, -0.1),
    Encoder("h264_qsv", 1.12, -0.7),
    Encoder("hevc_qsv", 0.98, -0.2),
    Encoder(UNKNOWN, 1.00, 0.0),
)


@dataclass(frozen=True)
class Clip:
    """One corpus row: an encode of a source, its six features, and the teacher's score."""

    source: str
    encoder: str
    preset_norm: float
    crf: int
    features: tuple[float, ...]
    score: float

    @property
    def crf_norm(self) -> float:
        """The CRF on the 0..1 scale of the corpus."""
        return (self.crf - CRF_MIN) / (CRF_MAX - CRF_MIN)

    def json_line(self) -> str:
        """The row as one line of canonical JSON, the form that the digest covers."""
        record = {
            "source": self.source,
            "encoder": self.encoder,
            "preset_norm": self.preset_norm,
            "crf": self.crf,
            "features": dict(zip(FEATURES, self.features, strict=True)),
            "score": self.score,
        }
        return json.dumps(record, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True)
class Corpus:
    """Rows and the name that training records know them by."""

    path: str
    seed: int
    clips: tuple[Clip, ...]

    def jsonl(self) -> bytes:
        """The whole corpus as JSON lines."""
        return "".join(clip.json_line() + "\n" for clip in self.clips).encode("ascii")

    @property
    def sha256(self) -> str:
        """The digest of :meth:`jsonl`."""
        return hashlib.sha256(self.jsonl()).hexdigest()

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that occur, in a fixed order."""
        return tuple(sorted({clip.source for clip in self.clips}))


# How fast each scale loses detail: the finest first.
_VIF_FALL: Final = (1.05, 0.88, 0.78, 0.70)


def _clamp(value: float) -> float:
    return min(1.0, max(0.0, value))


def _make_clip(draw: random.Random, source: Source, encoder: Encoder, crf: int) -> Clip:
    """Make one row: distortion first, the features from it, the score from the features."""

    def jitter(width: float) -> float:
        # Three uniforms make a bell shape without log or cos, which differ between maths libraries.
        return (draw.random() + draw.random() + draw.random() - 1.5) * width

    preset = round(draw.random(), 6)
    strength = (crf - CRF_MIN) / (CRF_MAX - CRF_MIN)
    loss = strength * (0.45 + 0.55 * source.complexity) * encoder.distortion * (1.05 - 0.1 * preset)
    loss = _clamp(0.04 + 0.80 * loss + jitter(0.03))
    vif = [_clamp(1.0 - loss * top + 0.22 * loss * loss + jitter(0.008)) for top in _VIF_FALL]
    adm2 = _clamp(1.0 - 0.30 * loss - 0.14 * loss * loss + jitter(0.006))
    motion2 = 1.0 + 18.0 * source.motion * (1.0 + jitter(0.25))
    features = tuple(round(value, 6) for value in (adm2, *vif, motion2))

    texture = (features[1] + features[2] + features[3] + features[4]) / 4.0
    # Motion hides distortion: the penalty for lost detail shrinks where the picture moves.
    masking = 1.0 - 0.012 * features[5]
    score = 100.0 - 62.0 * (1.0 - texture) * masking - 48.0 * (1.0 - features[0])
    score = max(0.0, min(100.0, score + encoder.bias + jitter(0.9)))
    return Clip(source.name, encoder.name, preset, crf, features, round(score, 6))


def _generate(path: str, seed: int, crfs: Sequence[int]) -> Corpus:
    draw = random.Random(seed)
    clips = tuple(
        _make_clip(draw, source, encoder, crf)
        for source in SOURCES
        for encoder in ENCODERS
        for crf in crfs
    )
    return Corpus(path, seed, clips)


def production_corpus() -> Corpus:
    """The corpus that the gate and the production fits are run on."""
    return _generate(
        "corpus/reference_clips_v1.jsonl", PRODUCTION_SEED, range(CRF_MIN, CRF_MAX + 1, 6)
    )


def smoke_corpus() -> Corpus:
    """A few rows, enough to run the code paths and far too little to fit anything."""
    return _generate("corpus/smoke_clips_v1.jsonl", SMOKE_SEED, (24, 42))


@dataclass(frozen=True)
class Vocabulary:
    """How a clip's encoder becomes the ``codec_onehot`` input."""

    name: str
    version: int
    encoders: tuple[str, ...]
    norms: tuple[str, ...]

    @property
    def width(self) -> int:
        """The width of the ``codec_onehot`` input."""
        return len(self.encoders) + len(self.norms)

    @property
    def layout(self) -> list[str]:
        """One label per column of the input, as sidecars spell it."""
        return [f"encoder_onehot[{encoder}]" for encoder in self.encoders] + list(self.norms)

    def encode(self, clip: Clip) -> list[float]:
        """The input block of one clip; encoders outside the vocabulary count as unknown."""
        known = clip.encoder if clip.encoder in self.encoders else UNKNOWN
        norms = {"preset_norm": clip.preset_norm, "crf_norm": clip.crf_norm}
        onehot = [1.0 if encoder == known else 0.0 for encoder in self.encoders]
        return onehot + [norms[norm] for norm in self.norms]


FORMER: Final = Vocabulary(
    "former", 2, tuple(encoder.name for encoder in ENCODERS), ("preset_norm", "crf_norm")
)
CURRENT: Final = Vocabulary(
    "current", 3, ("x264", "x265", "libsvtav1", "libvvenc", "libvpx-vp9", UNKNOWN), ()
)
VOCABULARIES: Final = {vocabulary.name: vocabulary for vocabulary in (FORMER, CURRENT)}


def feature_matrix(clips: Sequence[Clip]) -> Array:
    """The features, one matrix row per feature and one column per clip."""
    return np.array([clip.features for clip in clips], dtype=np.float64).T.copy()


def codec_matrix(clips: Sequence[Clip], vocabulary: Vocabulary) -> Array:
    """The codec block, one matrix row per input column and one column per clip."""
    return np.array([vocabulary.encode(clip) for clip in clips], dtype=np.float64).T.copy()


def scores(clips: Sequence[Clip]) -> Array:
    """The teacher's scores."""
    return np.array([clip.score for clip in clips], dtype=np.float64)
