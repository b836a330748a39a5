# SPDX-License-Identifier: Apache-2.0
"""docs/pipeline.md: the scenes are played by test_generated; here is what they do not show."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import provenance
from scripts.story import Stage
from tests.docs.pages import fences, read

PAGE = "docs/pipeline.md"
LAYOUT = "in-toto-verify --layout ../release.layout --verification-keys ../secret/owner.pub"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """The tutorial, up to the layout."""
    stage = Stage(tmp_path)
    for scene in ("pipeline-keys", "pipeline-layout"):
        stage.play(scene)
    shutil.copy(tmp_path / "secret" / "builder.key", stage.end_of("pipeline-layout"))
    return stage


def rest_of_the_release(stage: Stage, here: Path) -> str:
    """The other steps, and in-toto's verdict."""
    links = "--link-dir links --link-key file:../secret"
    for command in (
        f"provenance check {links}/ci.key",
        f"provenance release --signer file:../secret/release.key {links}/release.key",
        f"provenance verify {links}/ci.key",
    ):
        said = stage.run(f"{command} > out; echo $?; cat out", here)
        assert "\n0\n" in f"\n{said}", said
        (here / "out").unlink()
    return stage.run(f"{LAYOUT} --link-dir links; echo $?", here)


def test_the_python_example_records_a_step(stage: Stage) -> None:
    here = stage.end_of("pipeline-layout")
    (example,) = (block for kind, block in fences(read(PAGE)) if kind == "python")
    used = set(re.findall(r"\bprovenance\.(\w+)", example))
    assert used <= set(provenance.__all__)
    (here / "step.py").write_text(f"def export():\n    return True\n\n{example}", "utf-8")
    assert stage.run("python step.py", here) == ""
    assert rest_of_the_release(stage, here) == "0\n"


def test_an_exporter_that_in_toto_runs_leaves_the_same_link(stage: Stage) -> None:
    here = stage.end_of("pipeline-layout")
    (example,) = (b for kind, b in fences(read(PAGE)) if kind == "sh" and "in-toto-run" in b)
    (here / "links").mkdir()
    (here / "export").write_text("#!/bin/sh\nexit 0\n", "utf-8")
    (here / "export").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", example], cwd=here, env=stage.environment(), capture_output=True
    )
    assert done.returncode == 0, done.stderr
    warning, code = rest_of_the_release(stage, here).splitlines()
    assert (code, "differs from expected command" in warning) == ("0", True)
