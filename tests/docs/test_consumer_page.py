# SPDX-License-Identifier: Apache-2.0
"""The tutorial for consumers, as a reader would do it: every command is copied from the page."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

import provenance
from scripts.story import Stage
from tests.docs.pages import fences, read

PAGE = "docs/consumer.md"
INSTALL = "pip install"
FOR_COSIGN = ("private=", "cp fetched/", "cosign ")
"""What `make interop` runs, because it needs cosign: tests/interop/test_consumer_page.py."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A publisher who has just released; the tutorial starts from there."""
    stage = Stage(tmp_path_factory.mktemp("tutorial"))
    for scene in ("key", "release"):
        stage.play(scene)
    return stage


def steps(text: str) -> Iterator[tuple[str, str]]:
    """The files that a page shows and the commands with what they print, in its order."""
    for language, block in fences(text):
        if language == "python":
            yield "file", block
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            yield "command", command


def command_and_output(step: str) -> tuple[str, str]:
    """A command, which goes on after a backslash, and what follows it."""
    lines = step.splitlines(keepends=True)
    end = next(i for i, line in enumerate(lines, 1) if not line.endswith("\\\n"))
    return "".join(lines[:end]).rstrip("\n"), "".join(lines[end:])


def test_every_step_of_the_page_does_what_the_page_shows(stage: Stage) -> None:
    here, done = stage.end_of("release"), 0
    for kind, content in steps(read(PAGE)):
        if kind == "file":
            (here / "load.py").write_text(content, "utf-8")
            continue
        command, shown = command_and_output(content)
        if command.startswith((INSTALL, *FOR_COSIGN)):
            continue
        assert stage.run(command, here) == shown, command
        done += 1
    assert done == 18, "another number of commands: is one of them not run?"


def test_the_page_names_what_is_public() -> None:
    (example,) = (block for kind, block in fences(read(PAGE)) if kind == "python")
    used = set(re.findall(r"\bprovenance\.(\w+)", example))
    assert {"open_model", "Require"} <= used <= set(provenance.__all__)


def test_the_page_names_every_requirement() -> None:
    from provenance.gate.requirements import NAMES

    text = read(PAGE)
    for name, field in NAMES.items():
        assert f"| `--require {name}` | `{field}=True` |" in text


def test_the_page_names_every_member_of_a_model() -> None:
    from provenance.consumer.model import VerifiedModel

    table = re.findall(r"^\| `(\w+)(?:\(.*?\))?` \|", read(PAGE), re.MULTILINE)
    members = {name for name in dir(VerifiedModel) if not name.startswith("_")} - {"close"}
    assert members <= set(table)
