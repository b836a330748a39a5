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

import pytest

from provenance import InputError, VerificationError
from provenance.consumer.folder import PrivateFolder
from provenance.consumer.model import VerifiedModel
from tests.consumer.conftest import ONE, Downloads, compute, weights

DATA = "weights/outside.data"


# --- writing to the original -------------------------------------------------------------------


def test_a_hard_link_to_the_original_does_not_reach_the_copy(
    downloads: Downloads, tmp_path: Path
) -> None:
    os.link(downloads.folder / DATA, tmp_path / "link")
    with downloads.open() as opened:
        (tmp_path / "link").write_bytes(weights(7))
        assert opened.read_bytes(DATA) == weights()
        assert compute(opened.session()) == ONE


def test_a_file_that_is_open_for_writing_does_not_reach_the_copy(downloads: Downloads) -> None:
    with (downloads.folder / DATA).open("r+b") as writer, downloads.open() as opened:
        writer.write(weights(7))
        writer.flush()
        assert compute(opened.session()) == ONE


def test_a_file_that_is_exchanged_after_it_was_copied_does_not_matter(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    copy = PrivateFolder.copy

    def then_exchange(self: PrivateFolder, source: Any, name: str) -> Any:
        stream = copy(self, source, name)
        copied.append(name)
        if name == DATA:
            shutil.rmtree(downloads.folder / "weights")
        else:
            (downloads.folder / name).write_bytes(b"another model")
        return stream

    monkeypatch.setattr(PrivateFolder, "copy", then_exchange)
    with downloads.open() as opened:
        assert copied == ["outside.onnx", DATA]
        assert compute(opened.session()) == ONE


def test_a_file_that_grows_while_it_is_copied_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, send = tmp_path / "source", os.sendfile

    def grow(to: int, from_: int, offset: None, count: int) -> int:
        with source.open("ab") as writer:
            writer.write(b"more and more")
        return send(to, from_, offset, min(count, 4))

    monkeypatch.setattr(os, "sendfile", grow)
    source.write_bytes(b"12345678")
    assert copied(source, tmp_path) == b"12345678"


def test_a_file_that_shrinks_while_it_is_copied_is_copied_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"

    def shrink(*_: object) -> int:
        os.truncate(source, 4)
        return 0

    monkeypatch.setattr(os, "sendfile", shrink)
    source.write_bytes(b"12345678")
    assert copied(source, tmp_path) == b"1234"


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_the_kernel_cannot_copy_we_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    monkeypatch.setattr(os, "sendfile", refuse)
    (tmp_path / "source").write_bytes(b"1234" * 1_000_000)
    assert copied(tmp_path / "source", tmp_path) == b"1234" * 1_000_000


def test_where_there_are_no_such_calls_we_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provenance.consumer.folder.sys.platform", "darwin")
    monkeypatch.delattr(os, "sendfile")
    (tmp_path / "source").write_bytes(b"12345678")
    assert copied(tmp_path / "source", tmp_path) == b"12345678"


def test_where_the_file_system_shares_blocks_nothing_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clone(target: int, request: int, source: int) -> int:
        assert request == getattr(fcntl, "FICLONE", 0x40049409)
        os.write(target, os.pread(source, 100, 0))  # what the kernel does there
        return 0

    monkeypatch.setattr(fcntl, "ioctl", clone)
    monkeypatch.delattr(os, "sendfile")
    (tmp_path / "source").write_bytes(b"12345678")
    assert copied(tmp_path / "source", tmp_path) == b"12345678"


@pytest.mark.parametrize(("module", "call"), [(fcntl, "ioctl"), (os, "sendfile")])
def test_a_disk_that_fails_is_an_error(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch, module: Any, call: str
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(module, call, fail)
    with pytest.raises(InputError, match=r"private copy .*Input/output error"):
        downloads.open()
    assert downloads.left == []


def copied(source: Path, base: Path) -> bytes:
    """Return the content of a private copy of a file."""
    kept = PrivateFolder(base)
    with source.open("rb", buffering=0) as stream, kept.copy(stream, "copy") as copy:
        content = copy.read()
    kept.close()
    return content


def test_a_file_for_which_there_is_no_room_is_not_begun(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = shutil._ntuple_diskusage(10, 10, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room)
    with pytest.raises(InputError, match="0 free") as caught:
        downloads.open()
    assert caught.value.help is not None
    assert "folder=" in caught.value.help
    assert downloads.left == []


def test_two_files_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    source, kept = tmp_path / "source", PrivateFolder(tmp_path)
    source.write_bytes(b"1")
    with source.open("rb", buffering=0) as stream:
        kept.copy(stream, "a").close()
        with pytest.raises(InputError, match="File exists"):
            kept.copy(stream, "a")
        with pytest.raises(InputError, match=r"Not a directory|File exists"):
            kept.copy(stream, "a/b")
    kept.close()


# --- writing to the copy, with the rights of this user -----------------------------------------


def overwrite(opened: VerifiedModel) -> None:
    copy = opened.path.parent / DATA
    copy.chmod(0o600)
    copy.write_bytes(weights(7))


def exchange(opened: VerifiedModel) -> None:
    copy = opened.path.parent / DATA
    copy.unlink()
    copy.write_bytes(weights(7))


def exchange_and_put_back(opened: VerifiedModel) -> None:
    copy = opened.path.parent / DATA
    copy.rename(copy.with_name("aside"))
    copy.write_bytes(weights(7))
    copy.with_name("aside").rename(copy)


def exchange_the_folder(opened: VerifiedModel) -> None:
    folder = opened.path.parent
    aside = folder.with_name("aside")
    folder.rename(aside)
    shutil.copytree(aside, folder)


def add_a_file(opened: VerifiedModel) -> None:
    (opened.path.parent / "weights" / "more.data").write_bytes(b"")


def remove_it_all(opened: VerifiedModel) -> None:
    shutil.rmtree(opened.path.parent)


TAMPERING = [overwrite, exchange, exchange_and_put_back, exchange_the_folder, add_a_file,
             remove_it_all]  # fmt: skip


@pytest.mark.parametrize("tamper", TAMPERING, ids=lambda f: f.__name__)
def test_a_copy_that_was_changed_is_not_used(
    downloads: Downloads, tamper: Callable[[VerifiedModel], None]
) -> None:
    with downloads.open() as opened:
        tamper(opened)
        with pytest.raises(VerificationError, match="was changed after it was made"):
            opened.session()
        with pytest.raises(VerificationError, match="was changed after it was made"):
            _ = opened.path


@pytest.mark.parametrize(
    "tamper", [overwrite, exchange, remove_it_all, exchange_the_folder], ids=lambda f: f.__name__
)
def test_bytes_that_were_changed_are_not_given(
    downloads: Downloads, tamper: Callable[[VerifiedModel], None]
) -> None:
    with downloads.open() as opened:
        tamper(opened)
        with pytest.raises(VerificationError, match="was changed after it was made"):
            opened.read_bytes(DATA)
        with pytest.raises(VerificationError, match="was changed after it was made"):
            opened.proto()


def test_a_copy_that_is_changed_while_it_is_loaded_gives_no_session(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    load = onnxruntime.InferenceSession
    with downloads.open() as opened:

        def meanwhile(path: str, *options: Any) -> Any:
            exchange_and_put_back(opened)
            return load(path, *options)

        monkeypatch.setattr(onnxruntime, "InferenceSession", meanwhile)
        with pytest.raises(VerificationError, match="was changed after it was made"):
            opened.session()


def test_a_copy_that_is_changed_while_it_is_hashed_is_noticed(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorded state is that of the copy before its first byte was hashed."""
    copy = PrivateFolder.copy

    def then_write(self: PrivateFolder, source: Any, name: str) -> Any:
        stream = copy(self, source, name)
        if name == DATA:
            found = self.path / name
            found.chmod(0o600)
            found.write_bytes(weights())  # the same bytes: the digest says nothing
        return stream

    monkeypatch.setattr(PrivateFolder, "copy", then_write)
    with downloads.open() as opened, pytest.raises(VerificationError):
        opened.session()
