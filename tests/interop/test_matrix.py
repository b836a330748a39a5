from __future__ import annotations

import pytest

from tests.interop.matrix import Matrix

pytestmark = pytest.mark.interop


def test_it(matrix: Matrix) -> None:
    for k, v in matrix.ours.items():
        print(*k, v, sep=" | ")
    for q, v in matrix.theirs.items():
        print(*q, v, sep=" | ")
