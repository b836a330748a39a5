# SPDX-License-Identifier: Apache-2.0
"""Modules do not import each other in a circle, wherever in a file the import is written.

The contracts in `pyproject.toml` compare packages and their children. This looks at single modules,
so it also sees a module that imports from the `__init__` of its own package.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

IMPORT = "from made_up.{name} import other\n"
FOR_TYPES = (
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from made_up.{name} import other\n"
)
IN_FUNCTION = "def lazy() -> None:\n    from made_up.{name} import other\n"
IN_METHOD = "class Lazy:\n    def load(self) -> None:\n        from made_up import {name}\n"


def circle(package: str) -> list[str]:
    """Return the modules of a circle of imports in the package, or an empty list."""
    graph = grimp.build_graph(package, cache_dir=None)
    try:
        TopologicalSorter(
            {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
        ).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_of_the_package_import_each_other_in_a_circle() -> None:
    assert circle("provenance") == []


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose `low` imports nothing, and whose `high` imports `low`."""
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "made_up"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "low.py").write_text("other = 1\n")
    (package / "high.py").write_text(IMPORT.format(name="low"))
    return package


def test_imports_that_point_one_way_are_no_circle(made_up: Path) -> None:
    assert circle("made_up") == []


@pytest.mark.parametrize(
    "back",
    [IMPORT, FOR_TYPES, IN_FUNCTION, IN_METHOD],
    ids=["at the top", "for types", "in a function", "in a method"],
)
def test_a_circle_is_found_wherever_its_import_is_written(made_up: Path, back: str) -> None:
    (made_up / "low.py").write_text(back.format(name="high"))
    assert set(circle("made_up")) == {"made_up.low", "made_up.high"}


def test_a_circle_through_three_modules_is_found(made_up: Path) -> None:
    (made_up / "top.py").write_text(IMPORT.format(name="high"))
    (made_up / "low.py").write_text(FOR_TYPES.format(name="top"))
    assert set(circle("made_up")) == {"made_up.low", "made_up.high", "made_up.top"}


def test_a_circle_through_the_packages_own_init_is_found(made_up: Path) -> None:
    (made_up / "__init__.py").write_text(IMPORT.format(name="low"))
    (made_up / "low.py").write_text("def lazy() -> None:\n    from made_up import other\n")
    assert set(circle("made_up")) == {"made_up", "made_up.low"}
