# SPDX-License-Identifier: Apache-2.0
"""Loading a verified model: as a session of onnxruntime, and as a message of ONNX."""

from __future__ import annotations

import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from provenance import InputError, UnavailableError
from provenance.consumer.model import ELSEWHERE
from tests.consumer.conftest import ONE, Downloads, compute, weights
from tests.support.keys import KeyPair
from tests.support.models import External, Where, model
from tests.support.repository import SUFFIX, Repository, sha256


def test_session_computes_with_the_verified_weights_after_the_model_is_closed(
    downloads: Downloads,
) -> None:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    with downloads.open() as opened:
        plain = opened.session()
        session = opened.session(sess_options=settings, providers=["CPUExecutionProvider"])
    assert downloads.left == []
    assert compute(plain) == compute(session) == ONE
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert session.get_session_options().intra_op_num_threads == 1
    # A verified model is never read as another format.
    assert settings.get_session_config_entry("session.load_model_format") == "ONNX"


def test_option_that_leads_to_other_weights_is_refused(
    downloads: Downloads, tmp_path: Path
) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "outside.data").write_bytes(weights(7))
    settings = onnxruntime.SessionOptions()
    settings.add_session_config_entry(ELSEWHERE, str(tmp_path))
    with (
        downloads.open() as opened,
        pytest.raises(InputError, match="onnxruntime would load external data"),
    ):
        opened.session(sess_options=settings)
    content = (downloads.folder / "outside.onnx").read_bytes()  # without this project
    assert compute(onnxruntime.InferenceSession(content, settings)) == 42


def test_missing_onnxruntime_is_named_with_the_extra_that_installs_it(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with downloads.open() as opened, pytest.raises(UnavailableError) as caught:
        opened.session()
    assert caught.value.help == "pip install 'onnx-provenance[run]'"
    pyproject = Path(__file__).resolve().parents[2] / "pyproject.toml"
    extras = tomllib.loads(pyproject.read_text())["project"]["optional-dependencies"]
    assert any(r.startswith("onnxruntime") for r in extras["run"])


def test_message_contains_its_external_data(downloads: Downloads) -> None:
    with downloads.open() as opened:
        proto = opened.proto()
    loaded = onnx.load(downloads.folder / "outside.onnx")
    for found in (proto, loaded):
        (weight,) = found.graph.initializer
        assert numpy_helper.to_array(weight).tolist() == [[1.0]] * 6
        weight.ClearField("data_location")
    assert proto == loaded
    assert compute(onnxruntime.InferenceSession(proto.SerializeToString())) == ONE


@pytest.mark.parametrize("where", ["initializer", "attribute", "subgraph", "function", "sparse"])
def test_message_contains_external_data_of_every_tensor(
    downloads: Downloads, tmp_path: Path, key: KeyPair, where: Where
) -> None:
    content = b"\0" * 8 + weights(3) + weights(5)
    for id, open_end in (("x", None), ("y", 0)):
        parts = (
            External(f"{id}.data", offset=8, where=where, tensor="first"),
            External(f"{id}.data", offset=32, length=open_end, where=where, tensor="second"),
        )
        other = Repository(tmp_path / id, key)
        other.write(f"{id}.data", content)
        digests = {f"{id}.data": sha256(content)}
        other.add(id, model(external=parts), external_data_sha256=digests)
        other.released()
        for path in (*other.models.iterdir(), other.root / "bundles" / f"{id}.onnx{SUFFIX}"):
            shutil.copy(path, downloads.folder)
        with downloads.open(f"{id}.onnx") as opened:
            proto = opened.proto()
        text = str(proto)
        assert "external_data" not in text
        assert "data_location" not in text
        found = {t.name: t.raw_data for t in tensors(proto)}
        assert (found["first"], found["second"]) == (weights(3), weights(5))


def tensors(message: Any) -> Any:
    """Yield every tensor below a message, found with protobuf reflection."""
    if message.DESCRIPTOR.full_name == "onnx.TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for item in value if field.is_repeated else [value]:
                yield from tensors(item)
