# SPDX-License-Identifier: Apache-2.0
"""git's configuration files are read and refused as git reads and refuses them."""

from __future__ import annotations

import os
import random
import re
import subprocess
from pathlib import Path

import pytest

from provenance.artifacts.git_config import GitConfigError, parse
from tests.support.command import time_limit

Settings = list[tuple[str, str | None]] | None

TEXTS = [
    "",
    '[remote "origin"]\n\turl = git@github.com:o/r.git  # mirror\n',
    '[remote "origin"] url = x ; y\n[remote "origin"]\n url = "a # b" # c\n',
    '[Remote "Origin"]\r\n\tURL=x\r\n',
    "[remote.origin] url = x\\\n  y\\tz",
    '[remote "o\\"r\\\\"] url',
    *("[a] b = \\q", '[a] b = "x', "[a] 1b = x", "[a] b c", "[a", "b = x", "[a] b = x\\"),
    "\ufeff[a] b = x",
]
PIECES = [
    *('[remote "origin"]', "[Remote.Origin]", '[remote "o\\"x"]', '[remote"origin"]', "[a"),
    *("[core]", "\n", "\n", "\n\t", "\r\n", "url", "URL", "1x", "u_l", "=", " = ", "#", ";", '"'),
    *("https://github.com/o/r", " # mirror", " ; mirror", "\\\n", '\\"', "\\\\", "\\n", "\\x"),
    *(" ", "é", "-"),
]


def read_by_git(text: str, folder: Path) -> Settings:
    (folder / "config").write_bytes(text.encode())
    command = ["git", "config", "--file", "config", "--null", "--list"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    if done.returncode != 0:
        return None
    entries = [entry.partition("\n") for entry in done.stdout.decode().split("\0")[:-1]]
    return [(name, value if newline else None) for name, newline, value in entries]


def read_here(text: str) -> Settings:
    try:
        return list(parse(text))
    except GitConfigError:
        return None


def plain(settings: Settings) -> Settings:
    """Versions of git differ in white space inside and at the end of a value."""
    if settings is None:
        return None
    return [(name, value and re.sub(r"\s+", " ", value).strip()) for name, value in settings]


def test_a_configuration_has_the_settings_that_git_reads(tmp_path: Path) -> None:
    chance = random.Random(12)
    starts = ["", '[remote "origin"]\n\turl = ']
    made = [
        chance.choice(starts) + "".join(chance.choices(PIECES, k=chance.randint(1, 10)))
        for _ in range(150)
    ]
    refused = 0
    for text in TEXTS + made:
        expected = plain(read_by_git(text, tmp_path))
        refused += expected is None
        assert plain(read_here(text)) == expected, repr(text)
    assert 10 < refused < 120


@pytest.mark.parametrize(
    "piece", ["[", "#", '"', "\\\\", " ", "a", '[a "', "\\\n", "a=b\n", "\t#\n"]
)
def test_a_hostile_configuration_is_read_in_linear_time(piece: str) -> None:
    with time_limit(5):
        read_here("[a] b = " + piece * (200_000 // len(piece)))
