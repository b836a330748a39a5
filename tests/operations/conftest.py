# SPDX-License-Identifier: Apache-2.0
"""Copies of the reference registry, released with a fresh key, that tests may spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.operations.workspace import Workspace, make_workspace


@pytest.fixture(scope="session")
def release_candidate(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The reference registry as ADR-1105 left it, released. Not to be changed: copy it."""
    workspace = make_workspace(tmp_path_factory.mktemp("release-candidate"))
    workspace.release()
    return workspace


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory, retrained_model: Path) -> Workspace:
    """The registry after the one-shot retrain, released with seed attestations."""
    workspace = make_workspace(tmp_path_factory.mktemp("production"))
    workspace.retrain(retrained_model)
    workspace.remove_deferrals()
    workspace.release()
    return workspace


@pytest.fixture
def candidate(release_candidate: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the release candidate that a test may spoil."""
    return copy_of(release_candidate, tmp_path / "tree")


@pytest.fixture
def retrained(production: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the production release that a test may spoil."""
    return copy_of(production, tmp_path / "tree")


def copy_of(workspace: Workspace, root: Path) -> Workspace:
    """The same tree elsewhere, with the same key."""
    shutil.copytree(workspace.root, root)
    return Workspace(root, workspace.key)
