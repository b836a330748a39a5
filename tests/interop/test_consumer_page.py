# SPDX-License-Identifier: Apache-2.0
"""The cosign commands of the tutorial for consumers in C, copied from the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.story import Stage
from tests.docs.pages import read
from tests.interop.clients import Cosign

pytestmark = pytest.mark.interop


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A consumer who has downloaded a model."""
    stage = Stage(tmp_path)
    for scene in ("key", "release", "consumer-fetch"):
        stage.play(scene)
    return stage


def commands(cosign: Cosign) -> str:
    """Return the block with the cosign commands as a script that stops at the first failure."""
    block = re.search(r"```console\n(\$ private=.*?)```", read("docs/consumer.md"), re.DOTALL)
    assert block is not None
    script = re.sub(r"^\$ ", "", block[1], flags=re.MULTILINE)
    assert script.count("cosign verify-blob") == 2
    return f'set -e; TMPDIR=.\n{script.replace("cosign ", f"{cosign.binary} ")}\necho "exit $?"'


def test_cosign_accepts_the_model_and_its_external_data(cosign: Cosign, stage: Stage) -> None:
    said = stage.run(commands(cosign), stage.end_of("consumer-fetch"))
    assert said.count("Verified OK") == 2, said
    assert said.endswith("exit 0\n")


@pytest.mark.parametrize("name", ["onnx", "onnx.data"])
def test_cosign_refuses_a_file_with_a_byte_added(cosign: Cosign, stage: Stage, name: str) -> None:
    here = stage.end_of("consumer-fetch")
    with (here / "fetched" / f"quality_regressor_ext_v1.{name}").open("ab") as stream:
        stream.write(b"x")
    said = stage.run(commands(cosign), here)
    assert "exit 0" not in said
    assert "do not match" in said
