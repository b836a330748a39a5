# SPDX-License-Identifier: Apache-2.0
"""No private copies are left behind, however the process ends."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import pytest

from provenance import InputError, UnavailableError
from provenance.consumer.folder import PREFIX, PrivateFolder
from tests.consumer.conftest import Downloads

REPOSITORY = Path(__file__).resolve().parents[2]


def test_error_or_interrupt_leaves_no_copy(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ZeroDivisionError), downloads.open():
        _ = 1 / 0
    assert downloads.left == []

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("provenance.operations.verify_download.judge", interrupt)
    with pytest.raises(KeyboardInterrupt):
        downloads.open()
    assert downloads.left == []


def test_unclosed_model_leaves_no_copy(downloads: Downloads) -> None:
    opened = downloads.open()
    assert len(downloads.left) == 1
    del opened
    gc.collect()
    assert downloads.left == []


OPEN = """
import os, signal, sys
from pathlib import Path
import provenance
downloads, private, key = map(Path, sys.argv[1:])
opened = provenance.open_model(
    downloads / "outside.onnx", provenance.trust_from_keys([key]), folder=private
)
print(opened.path, flush=True)
"""


def start(downloads: Downloads, more: str) -> subprocess.Popen[str]:
    (key,) = downloads.trust.keys
    code = OPEN + textwrap.dedent(more)
    arguments = [str(downloads.folder), str(downloads.private), key.path]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


CHILD_CLOSES = """
    child = os.fork()
    if child == 0:
        opened.close()
        sys.exit(0)
    os.waitpid(child, 0)
    print(len(opened.read_bytes("weights/outside.data")), flush=True)
"""


def test_process_removes_its_copy_at_its_end(downloads: Downloads) -> None:
    with start(downloads, CHILD_CLOSES) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.splitlines()[1:] == ["24"]
    assert downloads.left == []


def test_copy_of_a_killed_process_is_removed_by_the_next_one(downloads: Downloads) -> None:
    with start(downloads, "os.kill(os.getpid(), signal.SIGKILL)") as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert len(downloads.left) == 1
    with downloads.open():
        assert len(downloads.left) == 1
    assert downloads.left == []


def test_copy_of_a_running_process_is_kept(downloads: Downloads) -> None:
    more = """
    sys.stdin.read()
    print(len(opened.read_bytes("weights/outside.data")), flush=True)
    """
    with start(downloads, more) as process:
        assert process.stdout is not None
        used = Path(process.stdout.readline().strip())
        with downloads.open():
            assert used.exists()
        out, _ = process.communicate("", timeout=60)
    assert out.split() == ["24"]


def test_folders_that_are_not_left_over_are_kept(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"{PREFIX}file", f"{PREFIX}link", f"{PREFIX}open", "other"}
    (downloads.private / f"{PREFIX}file").touch()
    (downloads.private / f"{PREFIX}link").symlink_to(downloads.folder)
    (downloads.private / f"{PREFIX}open").mkdir(mode=0o755)
    (downloads.private / "other").mkdir(mode=0o700)
    downloads.open().close()
    assert set(downloads.left) == names
    assert (downloads.folder / "outside.onnx").exists()
    (downloads.private / f"{PREFIX}theirs").mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    downloads.open().close()
    assert set(downloads.left) == {*names, f"{PREFIX}theirs"}


def test_folder_that_is_removed_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, made = tempfile.mkdtemp, []

    def take_the_first(**options: Any) -> str:
        path: str = make(**options)
        made.append(path)
        if len(made) == 1:
            os.rmdir(path)
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", take_the_first)
    kept = PrivateFolder(tmp_path)
    assert [str(kept.path)] == made[1:]
    kept.close()


def test_folder_that_is_removed_while_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, taken = fcntl.flock, list[Path]()

    def take_the_first(descriptor: int, how: int) -> None:
        lock(descriptor, how)
        if not taken:
            (found,) = tmp_path.iterdir()
            taken.append(found)
            found.rmdir()

    monkeypatch.setattr(fcntl, "flock", take_the_first)
    kept = PrivateFolder(tmp_path)
    assert kept.path.exists()
    assert kept.path != taken[0]
    kept.close()


def test_folder_that_is_always_removed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tempfile.mkdtemp

    def take(**options: Any) -> str:
        path: str = make(**options)
        os.rmdir(path)
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", take)
    with pytest.raises(UnavailableError, match="as soon as it is made"):
        PrivateFolder(tmp_path)


def test_removed_folder_can_be_closed(tmp_path: Path) -> None:
    kept = PrivateFolder(tmp_path)
    kept.path.rmdir()
    kept.close()


def test_unusable_folder_or_system_is_named(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    (downloads.folder / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(InputError, match=f"cannot write a private copy to .*{name}"):
            downloads.open(folder=downloads.folder / name)
    monkeypatch.setattr("provenance.consumer.verifier.sys.platform", "win32")
    with pytest.raises(UnavailableError, match="POSIX"):
        downloads.open()
