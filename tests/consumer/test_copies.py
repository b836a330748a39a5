# SPDX-License-Identifier: Apache-2.0
"""Private copies: writing to the original does not change them, and changes to them are noticed."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from provenance import InputError, VerificationError
from provenance.consumer.folder import PrivateFolder
from provenance.consumer.model import VerifiedModel
from tests.consumer.conftest import ONE, Downloads, compute, weights

DATA = "weights/outside.data"
CHANGED = "was changed after it was made"


# --- writing to the original -------------------------------------------------------------------


def test_writing_to_the_original_does_not_change_the_copy(
    downloads: Downloads, tmp_path: Path
) -> None:
    os.link(downloads.folder / DATA, tmp_path / "link")
    with (tmp_path / "link").open("r+b") as writer, downloads.open() as opened:
        writer.write(weights(7))
        writer.flush()
        assert opened.read_bytes(DATA) == weights()
        assert compute(opened.session()) == ONE


def test_replacing_the_original_after_the_copy_does_not_change_the_copy(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    copy = PrivateFolder.copy

    def then_replace(self: PrivateFolder, source: Any, name: str) -> Any:
        stream = copy(self, source, name)
        names.append(name)
        if name == DATA:
            shutil.rmtree(downloads.folder / "weights")
        else:
            (downloads.folder / name).write_bytes(b"another model")
        return stream

    monkeypatch.setattr(PrivateFolder, "copy", then_replace)
    with downloads.open() as opened:
        assert names == ["outside.onnx", DATA]
        assert compute(opened.session()) == ONE


# --- making the copy ---------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"12345678" * 300_000)
    return path


def copied(source: Path) -> bytes:
    """Return the content of a private copy of a file."""
    kept = PrivateFolder(source.parent)
    with source.open("rb", buffering=0) as stream, kept.copy(stream, "copy") as copy:
        content = copy.read()
    kept.close()
    return content


def test_copy_has_the_size_that_the_file_had(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, send = source.read_bytes(), os.sendfile

    def grow(to: int, from_: int, offset: None, count: int) -> int:
        with source.open("ab") as writer:
            writer.write(b"more and more")
        return send(to, from_, offset, min(count, 1_000_000))

    def shrink(*_: object) -> int:
        os.truncate(source, 4)
        return 0

    monkeypatch.setattr(os, "sendfile", grow)
    assert copied(source) == before
    monkeypatch.setattr(os, "sendfile", shrink)
    assert copied(source) == before[:4]


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_is_copied_if_the_kernel_refuses(
    source: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    monkeypatch.setattr(os, "sendfile", refuse)
    assert copied(source) == source.read_bytes()


def test_file_is_copied_on_other_systems(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provenance.consumer.folder.sys.platform", "darwin")
    monkeypatch.delattr(os, "sendfile")
    assert copied(source) == source.read_bytes()


def test_file_system_may_share_the_blocks(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def clone(target: int, request: int, from_: int) -> int:
        assert request == getattr(fcntl, "FICLONE", 0x40049409)
        os.write(target, os.pread(from_, 10_000_000, 0))  # as the kernel does
        return 0

    monkeypatch.setattr(fcntl, "ioctl", clone)
    monkeypatch.delattr(os, "sendfile")
    assert copied(source) == source.read_bytes()


@pytest.mark.parametrize(("module", "call"), [(fcntl, "ioctl"), (os, "sendfile")])
def test_failing_disk_is_an_error(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch, module: Any, call: str
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(module, call, fail)
    with pytest.raises(InputError, match=r"private copy .*Input/output error"):
        downloads.open()
    assert downloads.left == []


def test_file_larger_than_the_free_space_is_not_copied(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = shutil._ntuple_diskusage(10, 10, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room)
    with pytest.raises(InputError, match="0 free") as caught:
        downloads.open()
    assert "folder=" in (caught.value.help or "")
    assert downloads.left == []


def test_two_files_of_one_name_are_refused(source: Path) -> None:
    kept = PrivateFolder(source.parent)
    with source.open("rb", buffering=0) as stream:
        kept.copy(stream, "a").close()
        with pytest.raises(InputError, match="File exists"):
            kept.copy(stream, "a")
        with pytest.raises(InputError, match=r"Not a directory|File exists"):
            kept.copy(stream, "a/b")
    kept.close()


# --- writing to the copy, with the rights of this user -----------------------------------------


def overwrite(copy: Path) -> None:
    copy.chmod(0o600)
    copy.write_bytes(weights(7))


def exchange(copy: Path) -> None:
    copy.unlink()
    copy.write_bytes(weights(7))


def exchange_and_put_back(copy: Path) -> None:
    copy.rename(copy.with_name("aside"))
    copy.write_bytes(weights(7))
    copy.with_name("aside").rename(copy)


def exchange_the_folder(copy: Path) -> None:
    folder = copy.parent.parent
    aside = folder.with_name("aside")
    folder.rename(aside)
    shutil.copytree(aside, folder)


def add_a_file(copy: Path) -> None:
    copy.with_name("more.data").write_bytes(b"")


def remove_everything(copy: Path) -> None:
    shutil.rmtree(copy.parent.parent)


Tamper = Callable[[Path], None]
CHANGES = [overwrite, exchange, remove_everything, exchange_the_folder]


def copy_of(opened: VerifiedModel) -> Path:
    return opened.path.parent / DATA


@pytest.mark.parametrize(
    "tamper", [*CHANGES, exchange_and_put_back, add_a_file], ids=lambda f: f.__name__
)
def test_changed_copy_gives_no_session(downloads: Downloads, tamper: Tamper) -> None:
    with downloads.open() as opened:
        tamper(copy_of(opened))
        with pytest.raises(VerificationError, match=CHANGED):
            opened.session()
        with pytest.raises(VerificationError, match=CHANGED):
            _ = opened.path
        if tamper in CHANGES:
            with pytest.raises(VerificationError, match=CHANGED):
                opened.read_bytes(DATA)
            with pytest.raises(VerificationError, match=CHANGED):
                opened.proto()


def test_copy_that_changes_while_it_is_loaded_gives_no_session(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = onnxruntime.InferenceSession
    with downloads.open() as opened:

        def meanwhile(path: str, *options: Any) -> Any:
            exchange_and_put_back(copy_of(opened))
            return load(path, *options)

        monkeypatch.setattr(onnxruntime, "InferenceSession", meanwhile)
        with pytest.raises(VerificationError, match=CHANGED):
            opened.session()


def test_copy_that_changes_while_it_is_hashed_gives_no_session(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorded state is that of the copy before its first byte was hashed."""
    copy = PrivateFolder.copy

    def then_write(self: PrivateFolder, source: Any, name: str) -> Any:
        stream = copy(self, source, name)
        if name == DATA:
            found = self.path / name
            found.chmod(0o600)
            found.write_bytes(weights())  # the same bytes: the digest does not change
        return stream

    monkeypatch.setattr(PrivateFolder, "copy", then_write)
    with downloads.open() as opened, pytest.raises(VerificationError):
        opened.session()
