# SPDX-License-Identifier: Apache-2.0
"""Every claim with a value of another JSON type is a finding, in every document of a registry."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from provenance import check, load_config
from tests.support.production import production

STAND_INS: Final[tuple[Any, ...]] = ("17", 7.5, True, [], {})

FREE: Final = {
    "s1.json": {"corpus.n_rows", "training_recipe.epochs", "training_recipe.lr"},
    "plain.json": {"corpus", "training.loso_folds.0.held_out"},
    "quant.json": set(),
    "quant.int8.json": set(),
    "ens.json": {"corpus", "corpus.path", "corpus.n_rows", "kind"},
    "ens_PROMOTE.json": {"corpus.path", "corpus.n_rows"},
}
"""Members that are compared with nothing, and may have any type."""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return production(tmp_path_factory.mktemp("clean") / "tree").root


def _members(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every member, and of the first item of every list."""
    below = value.items() if isinstance(value, dict) else enumerate(value[:1])
    for key, member in below:
        yield (*at, key)
        if isinstance(member, dict | list):
            yield from _members(member, (*at, key))


def _with(document: Any, at: tuple[Any, ...], value: Any) -> str:
    changed = copy.deepcopy(document)
    here = changed
    for step in at[:-1]:
        here = here[step]
    here[at[-1]] = value
    return json.dumps(changed, indent=1)


def _type(value: Any) -> type:
    return float if type(value) is int else type(value)


@pytest.mark.parametrize("name", FREE)
def test_claim_of_another_type_is_reported(clean: Path, tmp_path: Path, name: str) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(clean, tree)
    path, config = tree / "model" / name, load_config(tree)
    document = json.loads(path.read_text())
    silent: set[str] = set()
    for at in _members(document):
        present = document
        for step in at:
            present = present[step]
        for stand_in in STAND_INS:
            if _type(stand_in) is not _type(present):
                path.write_text(_with(document, at, stand_in))
                if not check(config).findings:
                    silent.add(".".join(map(str, at)))
    assert silent == FREE[name]
