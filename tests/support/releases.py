# SPDX-License-Identifier: Apache-2.0
"""Two releases of one registry, one after the other, as consumers fetch them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support import statements
from tests.support.keys import KeyPair
from tests.support.models import model
from tests.support.repository import Repository, sha256

MARCH: Final = "2026-03-02T08:00:00Z"
MAY: Final = "2026-05-04T10:00:00Z"
SUMMARY: Final = "registry.json.vsa.sigstore.json"


@dataclass(frozen=True)
class TwoReleases:
    """The files of each release in one folder, as a consumer has them.

    `changed` has other bytes in May. `relicensed` has the same bytes under another license.
    `kept` is the same in both.
    """

    march: Path
    may: Path
    key: KeyPair


def two_releases(folder: Path, key: KeyPair) -> TwoReleases:
    """Release in March, change, release in May."""
    repository = Repository(folder / "publisher", key)
    changed = repository.add("changed", model(salt=1), smoke=False)
    repository.add_sidecar(changed)
    relicensed = repository.add("relicensed", model(salt=2), smoke=False, license="MIT")
    repository.add_sidecar(relicensed)
    repository.add_external("kept")
    repository.released()
    march = _fetched(repository, folder / "march", MARCH)
    content = model(salt=100)
    repository.write("changed.onnx", content)
    changed["sha256"] = sha256(content)
    repository.add_sidecar(changed)
    relicensed["license"] = "Zlib"
    repository.released()
    return TwoReleases(march, _fetched(repository, folder / "may", MAY), key)


def _fetched(repository: Repository, folder: Path, time: str) -> Path:
    assert repository.key is not None
    shutil.copytree(repository.models, folder)
    shutil.copytree(repository.root / "bundles", folder, dirs_exist_ok=True)
    sign_again(folder / SUMMARY, repository.key, timeVerified=time)
    return folder


def sign_again(bundle: Path, key: KeyPair, **fields: Any) -> None:
    """Change fields of what a bundle says, and sign it."""
    statements.sign_again(bundle, key, lambda statement: statement["predicate"].update(fields))
