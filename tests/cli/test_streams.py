# SPDX-License-Identifier: Apache-2.0
"""Closed or unusual standard streams change no exit code and cause no traceback."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from provenance.cli import streams
from provenance.output.formats import REPORT_FORMATS
from tests.support.command import clean_environment
from tests.support.repository import Repository

RUNS = [
    *(["check", "--format", format] for format in REPORT_FORMATS),
    ["check", "ok", "--format", "github"],
    *(["check", "none"], ["check", "--nothing"], ["rules", "ART302"]),
    *(["init"], ["release"], ["--help"], ["zzz"]),
]

MANY = """
import json, sys
from provenance.cli import main
runs, codes = json.loads(sys.argv[1]), []
for args in runs:
    sys.argv = ["provenance", *args]
    try:
        main()
    except SystemExit as e:
        codes.append(e.code)
with open("codes.json", "w") as stream:
    json.dump(codes, stream)
"""


def codes(
    root: Path, redirection: str = "", encoding: str | None = None, gone: str | None = None
) -> list[int]:
    """Return the exit codes of `RUNS`, which run in one process."""
    env = {"PYTHONIOENCODING": encoding} if encoding else {}
    script = ("sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-c", MANY)
    reader, writer = os.pipe()
    os.close(reader)
    try:
        with clean_environment({**env, "PYTHONUTF8": "0"}):
            done = subprocess.run(
                [*script, json.dumps(RUNS)],
                cwd=root,
                stdout=writer if gone == "stdout" else subprocess.PIPE,
                stderr=writer if gone == "stderr" else subprocess.PIPE,
                timeout=120,
                check=False,
            )
    finally:
        os.close(writer)
    assert done.returncode == 0, done.stderr
    for noise in (b"Traceback", b"Exception ignored", b"internal error"):
        assert noise not in (done.stderr or b""), done.stderr
    found: list[int] = json.loads((root / "codes.json").read_text())
    assert len(found) == len(RUNS)
    return found


@pytest.fixture
def root(repository: Repository) -> Path:
    """Make a registry with a finding about a row whose name exists only in Unicode encodings."""
    repository.add("ok")
    repository.add("m\u00f6dell \u2192 \u65e5\u672c", onnx="m.onnx", license="")
    return repository.save().root


CONDITIONS: dict[str, dict[str, str]] = {
    "standard output is closed": {"redirection": ">&-"},
    "standard error is closed": {"redirection": "2>&-"},
    "all streams are closed": {"redirection": "<&- >&- 2>&-"},
    "the reader of standard output has gone": {"gone": "stdout"},
    "the reader of standard error has gone": {"gone": "stderr"},
    "standard error is a full disk": {"redirection": "2>/dev/full"},
    **{encoding: {"encoding": encoding} for encoding in ("latin-1", "cp437", "cp932", "ascii")},
}


def test_no_stream_changes_an_exit_code(root: Path) -> None:
    usual = codes(root)
    assert {0, 1, 2, 4} <= set(usual)
    for name, condition in CONDITIONS.items():
        assert codes(root, **condition) == usual, name


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("cp437", "m\u00f6dell \\u2192 \\u65e5\\u672c"),
        ("utf-8", "m\u00f6dell \u2192 \u65e5\u672c"),
    ],
)
def test_character_that_an_encoding_lacks_is_escaped(root: Path, encoding: str, shown: str) -> None:
    command = [sys.executable, "-m", "provenance", "check"]
    with clean_environment({"PYTHONIOENCODING": encoding}):
        done = subprocess.run(command, cwd=root, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert shown in done.stdout.decode(encoding)


COLOUR = "\x1b[31m"
COMMANDS = "\n::error::b\n  ::c ##d ##[e] ::f\n"
HARMLESS = "\n\\u003a:error::b\n  \\u003a:c ##d \\u0023#[e] ::f\n"


@pytest.mark.parametrize(
    ("format", "colour", "expected"),
    [
        ("human", False, f"\\u001b[31ma\\u202e{HARMLESS}"),
        ("human", True, f"{COLOUR}a\\u202e{HARMLESS}"),
        ("github", False, f"\\u001b[31ma\\u202e{COMMANDS}"),
        ("json", False, f"{COLOUR}a\u202e{COMMANDS}"),
    ],
)
def test_result_is_escaped_where_it_is_printed(
    format: str, colour: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    streams.result(f"{COLOUR}a\u202e{COMMANDS}", format, colour=colour)
    assert stream.getvalue() == expected
