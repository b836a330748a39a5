# SPDX-License-Identifier: Apache-2.0
"""Fixtures that all tests share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from tenacity import wait_none

from tests.support.keys import KeyPair, make_pair
from tests.support.repository import Repository, full_repository

if TYPE_CHECKING:
    from tests.support.sigstore.services import Services

# A shared machine may be slow at any moment; what must be fast is measured in tests/benchmarks.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """The key pair of this run. No private key is in the repository."""
    return make_pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """Somebody else's key pair."""
    return make_pair(tmp_path_factory.mktemp("keys"), "other")


@pytest.fixture(scope="session")
def retrained_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`model/` after the production run of its exporter. Not to be changed: copy it."""
    from tests.operations.workspace import MODEL, export_production

    folder = tmp_path_factory.mktemp("retrained") / "model"
    shutil.copytree(MODEL, folder, ignore=shutil.ignore_patterns("__pycache__"))
    export_production(folder)
    return folder


@pytest.fixture
def repository(tmp_path: Path, key: KeyPair) -> Repository:
    """An empty repository that trusts `key`."""
    return Repository(tmp_path / "repository", key)


@pytest.fixture
def full(tmp_path: Path, key: KeyPair) -> Repository:
    """A repository with one of everything, saved, not released."""
    return full_repository(tmp_path / "repository", key).save()


@pytest.fixture
def services() -> Iterator[Services]:
    """Simulated services of sigstore, in which nothing is wrong yet."""
    from tests.support.sigstore.services import serving

    with serving() as running:
        yield running


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask services again at once. The time between attempts has a test in test_uploads.py."""
    from provenance.signing import uploads

    monkeypatch.setattr(uploads, "BACKOFF", wait_none())
