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


def test_a_session_computes_with_the_verified_weights(downloads: Downloads) -> None:
    with downloads.open() as opened:
        assert compute(opened.session()) == ONE


def test_a_session_can_be_used_after_the_model_was_closed(downloads: Downloads) -> None:
    with downloads.open() as opened:
        session = opened.session()
    assert downloads.left == []
    assert compute(session) == ONE


def test_the_options_are_those_of_onnxruntime(downloads: Downloads) -> None:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    with downloads.open() as opened:
        session = opened.session(sess_options=settings, providers=["CPUExecutionProvider"])
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert session.get_session_options().intra_op_num_threads == 1


def test_options_that_lead_to_other_weights_are_refused(
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


def test_that_setting_would_lead_to_other_weights(downloads: Downloads, tmp_path: Path) -> None:
    """This is why the option is refused: it makes onnxruntime load other weights."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "outside.data").write_bytes(weights(7))
    settings = onnxruntime.SessionOptions()
    settings.add_session_config_entry(ELSEWHERE, str(tmp_path))
    content = (downloads.folder / "outside.onnx").read_bytes()
    assert compute(onnxruntime.InferenceSession(content, settings)) == 42


def test_a_model_is_never_taken_for_another_format(downloads: Downloads) -> None:
    settings = onnxruntime.SessionOptions()
    with downloads.open() as opened:
        opened.session(sess_options=settings)
    assert settings.get_session_config_entry("session.load_model_format") == "ONNX"


def test_without_onnxruntime_it_says_what_to_install(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with downloads.open() as opened, pytest.raises(UnavailableError) as caught:
        opened.session()
    assert caught.value.help == "pip install 'onnx-provenance[run]'"


def test_a_message_holds_its_external_data(downloads: Downloads) -> None:
    with downloads.open() as opened:
        proto = opened.proto()
    loaded = onnx.load(downloads.folder / "outside.onnx")
    for found in (proto, loaded):
        (weight,) = found.graph.initializer
        assert numpy_helper.to_array(weight).tolist() == [[1.0]] * 6
        weight.ClearField("data_location")
    assert proto == loaded
    assert compute(onnxruntime.InferenceSession(proto.SerializeToString())) == ONE


@pytest.mark.parametrize("open_end", [None, 0])
@pytest.mark.parametrize("where", ["initializer", "attribute", "subgraph", "function", "sparse"])
def test_a_message_holds_external_data_wherever_it_belongs(
    downloads: Downloads, tmp_path: Path, key: KeyPair, where: Where, open_end: int | None
) -> None:
    content = b"\0" * 8 + weights(3) + weights(5)
    parts = (
        External("x.data", offset=8, where=where, tensor="first"),
        External("x.data", offset=32, length=open_end, where=where, tensor="second"),
    )
    fetch(downloads, tmp_path, key, model(external=parts), content)
    with downloads.open("x.onnx") as opened:
        proto = opened.proto()
    text = str(proto)
    assert "external_data" not in text
    assert "data_location" not in text
    found = {t.name: t.raw_data for t in tensors(proto)}
    assert (found["first"], found["second"]) == (weights(3), weights(5))


def fetch(downloads: Downloads, tmp_path: Path, key: KeyPair, onnx: bytes, data: bytes) -> None:
    other = Repository(tmp_path / "other", key)
    other.write("x.data", data)
    other.add("x", onnx, external_data_sha256={"x.data": sha256(data)})
    other.released()
    for path in (*other.models.iterdir(), other.root / "bundles" / f"x.onnx{SUFFIX}"):
        shutil.copy(path, downloads.folder)


def tensors(message: Any) -> Any:
    """Yield every tensor below a message, found with protobuf reflection."""
    if message.DESCRIPTOR.full_name == "onnx.TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for item in value if field.is_repeated else [value]:
                yield from tensors(item)


def test_the_extra_is_the_one_that_the_package_declares() -> None:
    root = Path(__file__).resolve().parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert any(r.startswith("onnxruntime") for r in project["optional-dependencies"]["run"])
