# SPDX-License-Identifier: Apache-2.0
"""Another thread replaces the files thousands of times while they are verified and loaded.

A model computes with verified bytes, or is refused.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import onnxruntime

from provenance import InputError, ModelRefusedError
from tests.consumer.conftest import ONE, Downloads, compute, weights
from tests.support.models import External, model
from tests.support.verifying import verify_model

EVIL = 42.0
"""What a model computes of six ones whose weights are sevens."""

SWAPS = 3000
DEADLINE = 120.0


class Swapper:
    """Replace the model, its weights, or their folder with other ones, and put them back."""

    def __init__(self, downloads: Downloads, aside: Path) -> None:
        self._onnx = downloads.folder / "outside.onnx"
        self._folder = downloads.folder / "weights"
        self._data = self._folder / "outside.data"
        self._aside, self._evil = aside, aside / "evil"
        self._evil.mkdir(parents=True)
        (self._evil / "outside.data").write_bytes(weights(7))
        self.count = 0

    def steps(self) -> Iterator[Callable[[], None]]:
        """Yield the steps endlessly; after each pair, the good files are back."""
        good, evil = weights(), weights(7)
        onnx = self._onnx.read_bytes()
        # The same graph with another producer: only its weights are wrong.
        evil_onnx = model(salt=7, external=External("weights/outside.data"))
        return cycle(
            (
                *(partial(self._put, self._data, data) for data in (evil, good)),
                *(partial(self._write_in_place, data) for data in (evil, good)),
                *(self._exchange_folder, self._exchange_folder_back),
                *(self._link_folder, self._unlink_folder),
                *(partial(self._put_both, *both) for both in ((evil_onnx, evil), (onnx, good))),
            )
        )

    def take(self, step: Callable[[], None]) -> None:
        step()
        self.count += 1

    def _put(self, path: Path, content: bytes) -> None:
        new = self._aside / "new"
        new.write_bytes(content)
        os.replace(new, path)

    def _write_in_place(self, content: bytes) -> None:
        with self._data.open("r+b", buffering=0) as stream:
            stream.write(content)

    def _put_both(self, onnx: bytes, data: bytes) -> None:
        self._put(self._onnx, onnx)
        self._put(self._data, data)

    def _exchange_folder(self) -> None:
        self._folder.rename(self._aside / "good")
        self._evil.rename(self._folder)

    def _exchange_folder_back(self) -> None:
        self._folder.rename(self._evil)
        (self._aside / "good").rename(self._folder)

    def _link_folder(self) -> None:
        self._folder.rename(self._aside / "good")
        self._folder.symlink_to(self._evil)

    def _unlink_folder(self) -> None:
        self._folder.unlink()
        (self._aside / "good").rename(self._folder)


@contextmanager
def swapping(swapper: Swapper) -> Iterator[None]:
    """Replace files until the end of the block, whenever the other thread yields."""
    stop, failed, interval = threading.Event(), [], sys.getswitchinterval()

    def run() -> None:
        try:
            for step in swapper.steps():
                if stop.is_set() and swapper.count % 2 == 0:
                    return
                swapper.take(step)
        except BaseException as e:
            failed.append(e)

    thread = threading.Thread(target=run)
    sys.setswitchinterval(1e-5)
    thread.start()
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join(DEADLINE)
    assert failed == []


def load_and_compute(downloads: Downloads) -> float | None:
    """Return the result of a verified model, or None if it is refused."""
    try:
        with downloads.open() as opened:
            session = opened.session()
    except (ModelRefusedError, InputError):
        return None
    return compute(session)


def test_model_always_computes_with_verified_bytes(downloads: Downloads, tmp_path: Path) -> None:
    swapper, computed = Swapper(downloads, tmp_path / "aside"), Counter[float | None]()
    with swapping(swapper):
        # Repeat until both outcomes occurred: without interference, the race proves nothing.
        end = time.monotonic() + DEADLINE
        while swapper.count < SWAPS or min(computed[ONE], computed[None]) < 10:
            assert time.monotonic() < end, computed
            computed[load_and_compute(downloads)] += 1
    assert set(computed) <= {ONE, None}
    assert downloads.left == []
    assert load_and_compute(downloads) == ONE  # and again without interference


def test_path_that_is_opened_after_verification_may_have_other_bytes(
    downloads: Downloads, tmp_path: Path
) -> None:
    """The same race without `open_model`: it shows that the test above can fail."""
    swapper = Swapper(downloads, tmp_path / "aside")
    path = downloads.folder / "outside.onnx"

    def verify_and_load() -> float | None:
        try:
            verify_model(path, downloads.trust).require()
            return compute(onnxruntime.InferenceSession(path))
        except Exception:  # refused, or in the middle of a swap
            return None

    with swapping(swapper):
        lost = any(verify_and_load() == EVIL for _ in range(5000))
    assert lost


def test_each_pair_of_steps_restores_the_files(downloads: Downloads, tmp_path: Path) -> None:
    swapper = Swapper(downloads, tmp_path / "aside")
    before = shutil.copytree(downloads.folder, tmp_path / "before")
    for step in islice(swapper.steps(), 10):
        swapper.take(step)
    for path in before.rglob("*.*"):
        assert (downloads.folder / path.relative_to(before)).read_bytes() == path.read_bytes()
