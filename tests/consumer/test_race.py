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
    """Replaces the model, its weights, or their folder, in every possible way.

    Each way is a pair of steps: the bad ones come, and stay until the good ones are put back.
    """

    def __init__(self, downloads: Downloads, aside: Path) -> None:
        here = downloads.folder
        self._onnx = here / "outside.onnx"
        self._folder = here / "weights"
        self._data = self._folder / "outside.data"
        self._aside = aside
        aside.mkdir()
        self._good_onnx = self._onnx.read_bytes()
        # The same graph, with another producer: as good as the good one, but for its weights.
        self._evil_onnx = model(salt=7, external=External("weights/outside.data"))
        self._evil_folder = aside / "evil"
        self._evil_folder.mkdir()
        (self._evil_folder / "outside.data").write_bytes(weights(7))
        self.count = 0

    def steps(self) -> Iterator[Callable[[], None]]:
        """Yield the steps endlessly; after each pair, the good files are back."""
        return cycle(
            (
                partial(self._put, self._data, weights(7)),
                partial(self._put, self._data, weights()),
                partial(self._write_in_place, weights(7)),
                partial(self._write_in_place, weights()),
                self._exchange_folder,
                self._exchange_folder_back,
                self._link_folder,
                self._unlink_folder,
                partial(self._put_both, self._evil_onnx, weights(7)),
                partial(self._put_both, self._good_onnx, weights()),
            )
        )

    def take(self, step: Callable[[], None]) -> None:
        """Take one step."""
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
        self._evil_folder.rename(self._folder)

    def _exchange_folder_back(self) -> None:
        self._folder.rename(self._evil_folder)
        (self._aside / "good").rename(self._folder)

    def _link_folder(self) -> None:
        self._folder.rename(self._aside / "good")
        self._folder.symlink_to(self._evil_folder)

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


def test_what_a_model_computes_always_comes_from_verified_bytes(
    downloads: Downloads, tmp_path: Path
) -> None:
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


def test_who_verifies_a_path_and_then_opens_it_computes_something_else(
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


def test_every_pair_of_steps_leaves_the_files_as_they_were(
    downloads: Downloads, tmp_path: Path
) -> None:
    swapper = Swapper(downloads, tmp_path / "aside")
    before = shutil.copytree(downloads.folder, tmp_path / "before")
    for step in islice(swapper.steps(), 10):
        swapper.take(step)
    for path in before.rglob("*.*"):
        assert (downloads.folder / path.relative_to(before)).read_bytes() == path.read_bytes()
