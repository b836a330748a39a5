# SPDX-License-Identifier: Apache-2.0
"""A publisher whose models compute a result that identifies their weights."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy
import pytest

from provenance import Trust, VerifiedModel, open_model, trust_from_keys
from tests.support.keys import KeyPair
from tests.support.models import External, model
from tests.support.repository import Repository, sha256

ONE: Final = 6.0
"""What the released models compute of six ones: their weights are ones."""


def weights(value: float = 1.0) -> bytes:
    """The external data of a model: six floats."""
    return numpy.full(6, value, numpy.float32).tobytes()


@dataclass(frozen=True)
class Downloads:
    """A consumer's folder with a complete release, and a folder for private copies."""

    folder: Path
    private: Path
    trust: Trust

    def open(self, name: str = "outside.onnx", **options: Any) -> VerifiedModel:
        """Open a model in the folder with `open_model`; the copies are in `private`."""
        return open_model(self.folder / name, self.trust, **options)

    @property
    def left(self) -> list[str]:
        """Return the contents of the folder for private copies."""
        return sorted(p.name for p in self.private.iterdir())


def compute(session: Any) -> float:
    """Return the result of a model for an input of six ones."""
    ones = numpy.ones((1, 6), numpy.float32)
    (score,) = session.run(None, {"features": ones})
    return float(score[0, 0])


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, key: KeyPair) -> Repository:
    """Publish two models: `outside` has external data in a folder below, `inside` has none."""
    repository = Repository(tmp_path_factory.mktemp("publisher"), key)
    repository.write("weights/outside.data", weights())
    outside = repository.add(
        "outside",
        model(external=External("weights/outside.data")),
        external_data_sha256={"weights/outside.data": sha256(weights())},
        smoke=False,
    )
    repository.add_sidecar(outside)
    repository.add("inside", model(salt=1))
    repository.add_int8("quantized")
    repository.add_sidecar(repository.add("held"), sha256="0" * 64)
    repository.defer("SID402", ["held"], reason="placeholder")
    return repository.released()


@pytest.fixture
def downloads(
    tmp_path: Path, published: Repository, key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> Downloads:
    folder, private = tmp_path / "downloads", tmp_path / "private"
    shutil.copytree(published.models, folder)
    shutil.copytree(published.root / "bundles", folder, dirs_exist_ok=True)
    private.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(private))  # no other process uses it
    return Downloads(folder, private, trust_from_keys([key.public]))
