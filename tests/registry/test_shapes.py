# SPDX-License-Identifier: Apache-2.0
"""Indexes of other shapes, from the configuration to a consumer without the index."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance import (
    Report,
    Verifier,
    check,
    hash_models,
    load_config,
    open_signer,
    release,
    verify,
)
from provenance.config import trust_from_keys
from provenance.errors import InputError
from tests.registry.shapes import SHAPES, Folder
from tests.support.git import GitRepository
from tests.support.keys import KeyPair
from tests.support.models import model

SKIPPED = "paths-and-addresses"


def laid_out(name: str, root: Path, key: KeyPair) -> Path:
    root.mkdir(parents=True)
    trust = '\n[[trust.key]]\npath = "release.pub"\n'
    (root / "provenance.toml").write_text(SHAPES[name](Folder(root)) + trust)
    shutil.copy(key.public, root / "release.pub")
    return root


@pytest.fixture(scope="module")
def released(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, key: KeyPair
) -> Path:
    root = laid_out(request.param, tmp_path_factory.mktemp("shape") / "tree", key)
    config = load_config(root)
    assert check(config).failing == ()
    without = ["sky"] if request.param == SKIPPED else []
    assert release(config, open_signer(key.signer), without=without).failing == ()
    return root


@pytest.fixture
def tree(released: Path, tmp_path: Path) -> Path:
    return shutil.copytree(released, tmp_path / "tree")


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.failing}


def first_model(root: Path) -> Path:
    return min(root.rglob("*.onnx"))


every = pytest.mark.parametrize("released", SHAPES, indirect=True)


@every
def test_release_verifies_in_the_repository_and_without_the_index(
    released: Path, key: KeyPair, tmp_path: Path
) -> None:
    assert codes(verify(load_config(released))) == set()
    consumer = Verifier(trust_from_keys([key.public]))
    (summary,) = released.rglob("*.vsa.sigstore.json")
    assert codes(consumer.release(released, summary=summary)) == set()
    for file in sorted(released.rglob("*.onnx")):
        if file.name != "front.onnx":  # shared: several bundles are about it
            assert codes(consumer.model(file)) == set(), file


@every
def test_changed_byte_is_found(tree: Path, key: KeyPair) -> None:
    file = first_model(tree)
    file.write_bytes(model(salt=99))
    assert codes(verify(load_config(tree))) & {"ART302", "SIG605"}
    (summary,) = tree.rglob("*.vsa.sigstore.json")
    consumer = Verifier(trust_from_keys([key.public]))
    assert "ATT710" in codes(consumer.release(tree, summary=summary))


@every
def test_edited_digest_changes_one_line(tree: Path) -> None:
    """Accept a changed model: `hash --write` edits digest and size, or says where to write them."""
    names = [row.id for row in check(load_config(tree)).rows]
    file = first_model(tree)
    file.write_bytes(model(salt=99))
    before = {p: p.read_text() for p in tree.rglob("*") if p.suffix != ".onnx" and p.is_file()}
    result = hash_models(load_config(tree), write=True, accept=names)
    changed = {p: p.read_text() for p, text in before.items() if p.read_text() != text}
    by_hand = [f.refused for f in result.files if f.refused]
    if by_hand:  # the algorithm and the value are two members
        assert "by hand" in by_hand[0]
        assert not changed
        return
    for path, text in changed.items():
        lines = zip(before[path].split("\n"), text.split("\n"), strict=True)
        edited = [old for old, new in lines if old != new]
        sizes = [line for line in edited if "size" in line or "bytes" in line]
        assert len(edited) - len(sizes) == 1
    assert len(changed) == len([1 for f in result.files if f.declared or f.field != "sha256"][:1])
    assert "ART302" not in codes(check(load_config(tree)))


def test_absent_rows_are_counted_and_never_released_in_silence(
    tmp_path: Path, key: KeyPair
) -> None:
    root = laid_out(SKIPPED, tmp_path / "tree", key)
    config = load_config(root)
    assert [(r.id, r.absent) for r in check(config).rows if r.absent] == [
        ("sky", ("https://example.org/sky.onnx",))
    ]
    signer = open_signer(key.signer)
    for without, message in (([], "row sky"), (["sky", "land"], "--without land")):
        with pytest.raises(InputError, match=message):
            release(config, signer, without=without)
    report = release(config, signer, without=["s?y"])
    assert report.failing == ()
    assert any("sky" in text for text in report.not_judged)
    for name in ("land", "sea"):
        (root / "w" / f"{name}.onnx").unlink()
    assert codes(verify(config)) >= {"ART301"}  # signed before


def test_nothing_is_verified_if_no_file_is_here(tmp_path: Path, key: KeyPair) -> None:
    root = laid_out(SKIPPED, tmp_path / "tree", key)
    shutil.rmtree(root / "w")
    assert check(load_config(root)).exit_code == 3


# --- what a pull request could hide ---------------------------------------------------------------

Edit = Callable[[Path], None]


def configured(old: str, new: str) -> Edit:
    def edit(root: Path) -> None:
        path = root / "provenance.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return edit


def gone(*names: str) -> Edit:
    def edit(root: Path) -> None:
        for name in names:
            (root / name).unlink()

    return edit


def together(*edits: Edit) -> Edit:
    def edit(root: Path) -> None:
        for each in edits:
            each(root)

    return edit


def as_yaml(root: Path) -> None:
    """Change the format of the index, and lose a row on the way."""
    rows = json.loads((root / "pins.json").read_text())["artifacts"]
    sha256 = rows["x"]["pinned"]["sha256"]
    (root / "pins.yaml").write_text(
        "artifacts:\n  x:\n    path: assets/x.onnx\n    license: MIT\n"
        f"    pinned:\n      sha256: {sha256}\n"
    )


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (configured("$.artifacts.*", "$.artifacts[?@.path == 'assets/x.onnx']"),
         "BAS801 BAS810"),
        (configured('sha256 = "$.pinned.sha256"\n', ""), "BAS802 BAS810"),
        (configured("[registry.def", '[registry.values.license]\nMIT = ""\n[registry.def'),
         "BAS810 LIC201"),
        (together(configured('license = "license"\n', ""),
                  configured("[registry.defaults]", '[registry.defaults]\nlicense = "MIT"')),
         "BAS802 BAS810 REG109"),
        (together(configured('rows = "', 'absent = "skip"\nrows = "'),
                  gone("assets/x.onnx", "bundles/x.sigstore.json")),
         "ART301 BAS810"),
        (configured('rows = "', 'shared = "allow"\nrows = "'), "BAS810"),
        (together(as_yaml, configured("pins.json", "pins.yaml")), "BAS801 BAS810"),
    ],
    ids=["rows filtered out", "digest no longer mapped", "value mapped to nothing",
         "license from the configuration", "file and bundle gone, and absent allowed",
         "shared files allowed", "format changed"],
)  # fmt: skip
@pytest.mark.parametrize("released", ["nested-digests-beside-commits"], indirect=True)
def test_change_of_the_mapping_is_named(tree: Path, edit: Edit, expected: str) -> None:
    GitRepository.init(tree).commit()
    assert check(load_config(tree), baseline="git:HEAD").findings == ()
    edit(tree)
    found = check(load_config(tree), baseline="git:HEAD").findings
    assert " ".join(sorted({finding.code for finding in found})) == expected
