# SPDX-License-Identifier: Apache-2.0
"""The state file: strict, whole at every moment, and one process at a time."""

from __future__ import annotations

import datetime
import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance import InputError, Report, UnavailableError
from provenance.evidence.releases import Release, ReleaseOrder
from provenance.gate.finding import RowResult, Verdict
from provenance.operations import rollback_state
from provenance.registry.rows import Classification

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
REPOSITORY = Path(__file__).resolve().parents[2]


def release(registry: str = "registry.json", day: int = 0) -> Release:
    order = ReleaseOrder(START + datetime.timedelta(days=day))
    return Release(registry, order, f"{day:064x}")


def report(verdict: Verdict) -> Report:
    row = RowResult("m", "m.onnx", 1, Classification.SMOKE, "MIT", verdict, ())
    rows = (row,) if verdict is Verdict.VERIFIED else ()
    return Report("m.onnx", rows, ())


VERIFIED = report(Verdict.VERIFIED)


def remember(path: Path, found: Release) -> None:
    with rollback_state.opened(path) as opened:
        opened.record(VERIFIED, found)


def remembered(path: Path) -> dict[str, Release]:
    with rollback_state.opened(path) as opened:
        return dict(opened.releases)


def test_a_file_that_is_not_there_yet_remembers_nothing(tmp_path: Path) -> None:
    assert remembered(tmp_path / "seen.json") == {}
    assert not (tmp_path / "seen.json").exists()


def test_what_was_recorded_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "seen.json"
    remember(path, release(day=1))
    remember(path, release("other.json", 2))
    remember(path, release(day=3))
    expected = {"registry.json": release(day=3), "other.json": release("other.json", 2)}
    assert remembered(path) == expected


def test_a_release_that_is_remembered_already_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "seen.json"
    remember(path, release())
    before = path.stat().st_ino
    remember(path, release())
    assert path.stat().st_ino == before


def test_what_did_not_verify_or_says_no_release_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "seen.json"
    with rollback_state.opened(path) as opened:
        opened.record(report(Verdict.NOTHING), release())
        opened.record(VERIFIED, None)
    assert not path.exists()


def test_the_file_that_a_link_leads_to_is_the_one_that_is_written(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    link = tmp_path / "seen.json"
    link.symlink_to("data/seen.json")
    (tmp_path / "data" / "seen.json").write_text('{"version": 1, "releases": {}}')
    remember(link, release())
    assert link.is_symlink()
    assert remembered(tmp_path / "data" / "seen.json") == {"registry.json": release()}


GOOD: dict[str, Any] = {"order": {"time": "2026-01-01T00:00:00Z"}, "summary": "0" * 64}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"version": 1}',
        {"version": 3, "releases": {}},
        {"version": True, "releases": {}},
        {"version": 1, "releases": {"r": GOOD | {"version": None, "previous": None}}},
        {"version": 2, "releases": {"r": GOOD}},
        {"version": 2, "releases": {"r": GOOD | {"version": "", "previous": None}}},
        {"version": 2, "releases": {"r": GOOD | {"version": None, "previous": "1"}}},
        {"version": 1, "releases": {}, "more": 1},
        {"version": 1, "releases": []},
        {"version": 1, "releases": {"r": {}}},
        {"version": 1, "releases": {"r": GOOD | {"more": 1}}},
        {"version": 1, "releases": {"r": GOOD | {"summary": "0" * 63}}},
        {"version": 1, "releases": {"r": GOOD | {"order": {"time": "today"}}}},
        {"version": 1, "releases": {"r": GOOD | {"order": {}}}},
    ],
)
def test_a_file_that_is_no_state_is_refused_and_left_alone(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "seen.json"
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text)
    with pytest.raises(InputError, match=r"state file .*seen\.json") as caught:
        remembered(path)
    assert caught.value.help is not None
    assert caught.value.help.startswith("Restore it.")
    assert path.read_text() == text


def test_a_file_of_the_former_version_is_read_and_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "seen.json"
    path.write_text(json.dumps({"version": 1, "releases": {"r": GOOD, "other.json": GOOD}}))
    former = Release("r", ReleaseOrder(START), "0" * 64)
    assert remembered(path)["r"] == former
    remember(path, replace(former, version="v1", previous="1" * 64))
    assert json.loads(path.read_text())["version"] == 2
    assert remembered(path) == {
        "r": replace(former, version="v1", previous="1" * 64),
        "other.json": replace(former, registry="other.json"),
    }


def test_a_link_to_nothing_is_no_fresh_start(tmp_path: Path) -> None:
    path = tmp_path / "seen.json"
    path.symlink_to("gone.json")
    with pytest.raises(InputError, match="does not exist"):
        remembered(path)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot lock .*none"):
        remembered(tmp_path / "none" / "seen.json")


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".seen.json.lock").symlink_to("elsewhere")
    with pytest.raises(InputError, match="cannot lock"):
        remembered(tmp_path / "seen.json")
    assert not (tmp_path / "elsewhere").exists()


def without_locks(monkeypatch: pytest.MonkeyPatch, code: int = errno.ENOLCK) -> None:
    def no_locks(_descriptor: int, _how: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", no_locks)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EBADF])
def test_a_file_system_without_locks_remembers_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    without_locks(monkeypatch, code)
    path = tmp_path / "seen.json"
    remember(path, release(day=1))
    assert remembered(path) == {"registry.json": release(day=1)}
    assert sorted(p.name for p in tmp_path.iterdir()) == [".seen.json.lock", "seen.json"]


def test_without_locks_one_process_at_a_time_has_the_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch)
    monkeypatch.setattr(rollback_state, "PATIENCE", 0.02)
    path = tmp_path / "seen.json"
    with (
        rollback_state.opened(path),
        pytest.raises(UnavailableError, match="another process has held") as caught,
    ):
        remembered(path)
    assert f"remove {tmp_path / '.seen.json.held'}" in (caught.value.help or "")
    assert remembered(path) == {}


def test_a_lock_that_fails_is_an_error_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch, errno.EIO)
    with pytest.raises(InputError, match="cannot lock it: Input/output error") as caught:
        remembered(tmp_path / "seen.json")
    assert "disk" in (caught.value.help or "")


def test_a_state_file_with_the_longest_name_is_locked(tmp_path: Path) -> None:
    path = tmp_path / ("s" * 255)
    remember(path, release())
    assert remembered(path) == {"registry.json": release()}


def test_a_file_that_is_full_is_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "seen.json"
    remember(path, release())
    size = path.stat().st_size
    monkeypatch.setattr("provenance.artifacts.limits.DOCUMENT", size)
    with pytest.raises(InputError, match=r"too many registries for one file \(2\)"):
        remember(path, release("other.json"))
    assert path.stat().st_size == size


def test_waiting_for_a_lock_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollback_state, "PATIENCE", 0.05)
    path = tmp_path / "seen.json"
    with rollback_state.opened(path), pytest.raises(UnavailableError, match="another process"):
        remembered(path)


def test_the_lock_is_let_go_also_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "seen.json"
    with pytest.raises(KeyError), rollback_state.opened(path):
        raise KeyError
    assert remembered(path) == {}


WRITER = """
import datetime, sys
from pathlib import Path
from tests.operations.test_rollback_state import release, remember
path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for day in range(count):
    remember(path, release(f"{name}-{day}.json", day))
"""


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path, count = tmp_path / "seen.json", 40
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name, str(count)],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        )
        for name in ("a", "b")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    expected = {f"{name}-{day}.json" for name in ("a", "b") for day in range(count)}
    assert remembered(path).keys() == expected
    assert sorted(p.name for p in tmp_path.iterdir()) == [".seen.json.lock", "seen.json"]
