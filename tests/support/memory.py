# SPDX-License-Identifier: Apache-2.0
"""A limit on the memory that a block takes."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Iterator


@contextlib.contextmanager
def memory_limit(size: int) -> Iterator[None]:
    """Fail if Python allocates `size` bytes or more at any time in the block."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size, f"{peak:,} bytes, expected less than {size:,}"
