# SPDX-License-Identifier: Apache-2.0
"""The tutorials docs/consumer.md and docs/pipeline.md do what they show."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import provenance
from provenance.consumer.model import VerifiedModel
from provenance.gate.requirements import NAMES
from scripts.story import Stage
from tests.docs.pages import fences, read

CONSUMER, PIPELINE, OUTPUT = (
    read(f"docs/{name}.md") for name in ("consumer", "pipeline", "output")
)
NOT_RUN = ("pip install", "private=", "cp fetched/", "cosign ")
"""`make interop` runs the last three, which need cosign: tests/interop/test_consumer_page.py."""


def example(page: str) -> str:
    """Return the only Python example of a page, which uses only public names."""
    (found,) = (block for kind, block in fences(page) if kind == "python")
    used = set(re.findall(r"\bprovenance\.(\w+)", found))
    assert used
    assert used <= set(provenance.__all__)
    return found


def test_the_python_example_of_the_report_compiles() -> None:
    compile(example(OUTPUT), "docs/output.md", "exec")


def test_the_steps_of_the_consumer_page_print_what_it_shows(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    for scene in ("key", "release"):
        stage.play(scene)
    here, run = stage.end_of("release"), 0
    for language, block in fences(CONSUMER):
        if language == "python":
            (here / "load.py").write_text(block, "utf-8")
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            found = re.match(r"(?:.*\\\n)*.*\n", step)
            assert found is not None
            if not step.startswith(NOT_RUN):
                assert stage.run(found[0].rstrip("\n"), here) == step[found.end() :], step
                run += 1
    assert run == 18, "another number of commands: is one of them not run?"


def test_the_consumer_page_names_every_requirement_and_member() -> None:
    assert {"open_model", "Require"} <= set(re.findall(r"\bprovenance\.(\w+)", example(CONSUMER)))
    for name, field in NAMES.items():
        assert f"| `--require {name}` | `{field}=True` |" in CONSUMER
    table = re.findall(r"^\| `(\w+)(?:\(.*?\))?` \|", CONSUMER, re.MULTILINE)
    assert {name for name in dir(VerifiedModel) if not name.startswith("_")} <= {"close", *table}


LAYOUT = "in-toto-verify --layout ../release.layout --verification-keys ../secret/owner.pub"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """The tutorial, up to the layout."""
    stage = Stage(tmp_path)
    for scene in ("pipeline-keys", "pipeline-layout"):
        stage.play(scene)
    shutil.copy(tmp_path / "secret" / "builder.key", stage.end_of("pipeline-layout"))
    return stage


def finish(stage: Stage, here: Path) -> str:
    """Run the other steps, and return the verdict of in-toto."""
    links = "--link-dir links --link-key file:../secret"
    for command in (
        f"provenance check {links}/ci.key",
        f"provenance release --signer file:../secret/release.key {links}/release.key",
        f"provenance verify {links}/ci.key",
    ):
        printed = stage.run(f"{command} > out; echo $?; cat out", here)
        assert "\n0\n" in f"\n{printed}", printed
        (here / "out").unlink()
    return stage.run(f"{LAYOUT} --link-dir links; echo $?", here)


def test_the_python_example_records_a_step(stage: Stage) -> None:
    here = stage.end_of("pipeline-layout")
    text = f"def export():\n    return True\n\n{example(PIPELINE)}"
    (here / "step.py").write_text(text, "utf-8")
    assert stage.run("python step.py", here) == ""
    assert finish(stage, here) == "0\n"


def test_an_exporter_that_in_toto_runs_leaves_the_same_link(stage: Stage) -> None:
    here = stage.end_of("pipeline-layout")
    (command,) = (b for kind, b in fences(PIPELINE) if kind == "sh" and "in-toto-run" in b)
    (here / "links").mkdir()
    (here / "export").write_text("#!/bin/sh\nexit 0\n", "utf-8")
    (here / "export").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=here, env=stage.environment(), capture_output=True
    )
    assert done.returncode == 0, done.stderr
    warning, code = finish(stage, here).splitlines()
    assert (code, "differs from expected command" in warning) == ("0", True)
