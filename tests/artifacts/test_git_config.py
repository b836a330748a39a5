# SPDX-License-Identifier: Apache-2.0
"""git's configuration files: the same settings as git reads, and the same refusals."""

from __future__ import annotations

import os
import random
import re
import subprocess
import time
from pathlib import Path

import pytest

from provenance.artifacts.git_config import GitConfigError, parse

Settings = list[tuple[str, str | None]] | None

TEXTS = [
    "",
    '[remote "origin"]\n\turl = git@github.com:o/r.git  # mirror\n',
    '[remote "origin"] url = x ; y\n[remote "origin"]\n url = "a # b" # c\n',
    '[Remote "Origin"]\r\n\tURL=x\r\n',
    "[remote.origin] url = x\\\n  y\\tz",
    '[remote "o\\"r\\\\"] url',
    "[a] b = \\q",
    '[a] b = "x',
    "[a] 1b = x",
    "[a] b c",
    "[a",
    "\ufeff[a] b = x",
    "b = x",
    "[a] b = x\\",
]
PIECES = [
    *(
        '[remote "origin"]',
        "[Remote.Origin]",
        '[remote "o\\"x"]',
        '[remote"origin"]',
        "[a",
        "[core]",
    ),
    *("\n", "\n", "\n\t", "\r\n", "url", "URL", "1x", "u_l", "=", " = ", "https://github.com/o/r"),
    *(" # mirror", " ; mirror", "#", ";", '"', "\\\n", '\\"', "\\\\", "\\n", "\\x", " ", "é", "-"),
]


def as_git_reads(text: str, folder: Path) -> Settings:
    (folder / "config").write_bytes(text.encode())
    done = subprocess.run(
        ["git", "config", "--file", "config", "--null", "--list"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        return None
    entries = [entry.partition("\n") for entry in done.stdout.decode().split("\0")[:-1]]
    return [(name, value if newline else None) for name, newline, value in entries]


def as_read_here(text: str) -> Settings:
    try:
        return list(parse(text))
    except GitConfigError:
        return None


def plain(settings: Settings) -> Settings:
    """Versions of git differ in white space inside and at the end of a value."""
    if settings is None:
        return None
    return [(name, value and re.sub(r"\s+", " ", value).strip()) for name, value in settings]


@pytest.mark.parametrize("text", TEXTS)
def test_a_configuration_has_the_settings_that_git_reads(text: str, tmp_path: Path) -> None:
    assert plain(as_read_here(text)) == plain(as_git_reads(text, tmp_path))


def test_any_configuration_has_the_settings_that_git_reads(tmp_path: Path) -> None:
    chance = random.Random(12)
    read = 0
    for _ in range(150):
        start = chance.choice(["", '[remote "origin"]\n\turl = '])
        text = start + "".join(chance.choices(PIECES, k=chance.randint(1, 10)))
        expected = plain(as_git_reads(text, tmp_path))
        read += expected is not None
        assert plain(as_read_here(text)) == expected, repr(text)
    assert 30 < read < 150  # settings and refusals alike


@pytest.mark.parametrize(
    "piece", ["[", "#", '"', "\\\\", " ", "a", '[a "', "\\\n", "a=b\n", "\t#\n"]
)
def test_a_hostile_configuration_is_read_in_linear_time(piece: str) -> None:
    text = "[a] b = " + piece * (200_000 // len(piece))
    start = time.perf_counter()
    as_read_here(text)
    assert time.perf_counter() - start < 5
