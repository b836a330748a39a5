# SPDX-License-Identifier: Apache-2.0
"""A Git LFS pointer in place of a file is one finding, whose help names `git lfs pull`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

from provenance import InputError, ModelRefusedError, check, open_model, trust_from_keys
from provenance.artifacts.paths import POINTER_SIZE, FileError, FileProblem, PointerError, Tree
from tests.support.command import run_cli
from tests.support.git import GitRepository
from tests.support.keys import KeyPair
from tests.support.models import External, data, model
from tests.support.repository import SUFFIX, Repository, codes, full_repository, sha256

LINE: Final = "version https://git-lfs.github.com/spec/v1\n"
SUMMARY: Final = f"bundles/registry.json.vsa{SUFFIX}"


def pointer(content: bytes) -> bytes:
    """Return the pointer that Git LFS commits in place of `content`."""
    return f"{LINE}oid sha256:{sha256(content)}\nsize {len(content)}\n".encode()


def replace(path: Path) -> None:
    path.write_bytes(pointer(path.read_bytes()))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, key: KeyPair) -> Repository:
    return full_repository(tmp_path_factory.mktemp("pointers") / "repository", key).released()


@pytest.fixture
def released(published: Repository, tmp_path: Path, key: KeyPair) -> Repository:
    shutil.copytree(published.root, tmp_path / "repository")
    return Repository(tmp_path / "repository", key)


@pytest.fixture
def downloads(published: Repository, tmp_path: Path) -> Path:
    shutil.copytree(published.models, tmp_path / "downloads")
    shutil.copytree(published.root / "bundles", tmp_path / "downloads", dirs_exist_ok=True)
    return tmp_path / "downloads"


def one_finding(*command: str, cwd: Path) -> tuple[str, str]:
    """Return the code and the text of the only finding of a command."""
    result = run_cli(*command, "--format", "json", cwd=cwd)
    assert result.code == 1, result.out + result.err
    (finding,) = result.json["findings"]
    text = f"{finding['message']} {finding['help']}"
    assert "Git LFS pointer" in text
    assert "git lfs pull" in finding["help"]
    return finding["code"], text


MODEL_FILES: Final = {
    "plain.onnx": "ART303",
    "ext.onnx": "ART303",
    "q.onnx": "ART303",
    "q.int8.onnx": "ART303",
    "ens_seed0.onnx": "ART303",
    "ext.onnx.data": "ART304",
}
DOCUMENTS: Final = {
    "plain.json": "SID405",
    "ens_seed0.json": "SID405",
    "ens.json": "ENS519",
    "ens_seed_flip_PROMOTE.json": "ENS519",
}
BUNDLES: Final = ("plain.onnx", "ens_seed0.onnx.provenance", "registry.json.vsa")


@pytest.mark.parametrize(
    ("command", "name", "code"),
    [
        *(("check", f"model/{n}", code) for n, code in (MODEL_FILES | DOCUMENTS).items()),
        *(("verify", f"model/{n}", code) for n, code in (MODEL_FILES | DOCUMENTS).items()),
        *(("verify", f"bundles/{n}{SUFFIX}", "SIG602") for n in BUNDLES),
    ],
)
def test_a_pointer_is_one_finding_for_a_publisher(
    released: Repository, command: str, name: str, code: str
) -> None:
    replace(released.root / name)
    assert one_finding(command, cwd=released.root)[0] == code


@pytest.mark.parametrize("name", [*MODEL_FILES, "plain.json"])
def test_a_pointer_is_one_finding_for_a_consumer(downloads: Path, key: KeyPair, name: str) -> None:
    replace(downloads / name)
    file = downloads / f"{name.partition('.')[0]}.onnx"
    code, text = one_finding("verify-model", str(file), "--key", str(key.public), cwd=downloads)
    assert code == (MODEL_FILES | {"plain.json": "ATT704"})[name]
    assert name in text
    with pytest.raises(ModelRefusedError) as caught:
        open_model(file, trust_from_keys([key.public]))
    (finding,) = caught.value.report.findings
    assert "git lfs pull" in finding.help


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *((f"model/ext.onnx{suffix}", "ATT710") for suffix in ("", ".data")),
        *((f"model/{name}.json", "ATT710") for name in ("plain", "ens")),
        (f"bundles/plain.onnx{SUFFIX}", "SIG602"),
        (SUMMARY, None),
    ],
)
def test_a_pointer_in_a_downloaded_release_is_one_finding_or_an_error(
    released: Repository, key: KeyPair, name: str, code: str | None
) -> None:
    replace(released.root / name)
    given = ("--summary", str(released.root / SUMMARY), "--key", str(key.public))
    command = ("verify-release", str(released.registry), *given)
    if code is None:
        result = run_cli(*command, cwd=released.root)
        assert result.code == 2
        assert "next: Fetch the file: git lfs pull" in result.err
    else:
        assert one_finding(*command, cwd=released.root)[0] == code


@pytest.mark.parametrize("commit", [False, True])
def test_a_pointer_of_the_baseline_counts_as_its_file(
    repository: Repository, tmp_path: Path, commit: bool
) -> None:
    """The sidecar is that of the baseline, which has a pointer to it, and the model is another."""
    row = repository.add("m")
    content = b'{"id": "m", "input_names": ["features"]}'
    repository.write("m.json", pointer(content))
    baseline = str(tmp_path / "baseline")
    shutil.copytree(repository.save().root, baseline)
    if commit:
        GitRepository.init(repository.root).commit()
        baseline = "git:HEAD"
    replaced = model(salt=70)
    repository.write("m.onnx", replaced)
    row["sha256"] = sha256(replaced)
    repository.write("m.json", content)
    assert codes(check(repository.save().config, baseline=baseline)) == ["BAS803"]


def test_a_pointer_in_place_of_a_bundle_is_an_error_for_a_consumer(
    downloads: Path, key: KeyPair
) -> None:
    replace(downloads / f"plain.onnx{SUFFIX}")
    with pytest.raises(InputError, match="Git LFS pointer") as caught:
        open_model(downloads / "plain.onnx", trust_from_keys([key.public]))
    assert caught.value.help == "Fetch the file: git lfs pull"


@pytest.mark.parametrize("command", ["check", "verify", "hash"])
@pytest.mark.parametrize("name", ["model/registry.json", "provenance.toml"])
def test_a_pointer_in_place_of_the_registry_or_configuration_is_an_error(
    released: Repository, command: str, name: str
) -> None:
    replace(released.root / name)
    result = run_cli(command, cwd=released.root)
    assert result.code == 2
    assert "Git LFS pointer" in result.err
    assert "git lfs pull" in result.err


def test_the_digest_of_a_pointer_is_not_written(released: Repository) -> None:
    replace(released.path("plain.onnx"))
    before = released.registry.read_bytes()
    result = run_cli("hash", "--write", cwd=released.root)
    assert result.code == 1
    assert "git lfs pull" in result.out + result.err
    assert released.registry.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "declared", "code"),
    [("m.onnx", True, "ART303"), ("m.onnx", False, "ART303"), ("m.data", False, "ART304")],
)
def test_a_pointer_to_a_model_or_its_data_is_one_finding_without_a_digest_too(
    repository: Repository, name: str, declared: bool, code: str
) -> None:
    row = repository.add("m", model(external=External("m.data")))
    if declared:
        row["external_data_sha256"] = {"m.data": sha256(data())}
    repository.write("m.data", data())
    replace(repository.path(name))
    assert one_finding("check", cwd=repository.save().root)[0] == code


@pytest.mark.parametrize("name", ["ext.onnx", "ext.onnx.data"])
def test_a_pointer_to_undeclared_bytes_is_reported_with_their_digest(
    released: Repository, name: str
) -> None:
    released.path(name).write_bytes(pointer(b"other bytes"))
    _, text = one_finding("check", cwd=released.root)
    assert f"It points to a file with the digest {sha256(b'other bytes')[:12]}…" in text
    assert "provenance hash ext --write" in text


@pytest.mark.parametrize(
    ("content", "is_pointer"),
    [
        (LINE.encode(), True),
        (LINE.rstrip().encode(), True),
        (pointer(b""), True),
        (pointer(b"").ljust(POINTER_SIZE, b"\n"), True),
        (pointer(b"").ljust(POINTER_SIZE + 1, b"\n"), False),
        (LINE.replace("\n", " \n").encode(), False),
        (LINE.replace("v1", "v2").encode(), False),
        (b"\n" + pointer(b""), False),
        (b"", False),
    ],
)
def test_a_pointer_has_an_exact_first_line_and_at_most_1024_bytes(
    tmp_path: Path, content: bytes, is_pointer: bool
) -> None:
    (tmp_path / "f").write_bytes(content)
    try:
        found: bytes | FileProblem = Tree.at(tmp_path).read("f", 1 << 20)
    except FileError as e:
        found = e.problem
    assert found == (FileProblem.POINTER if is_pointer else content)


def test_an_error_while_reading_a_pointer_is_reported_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> bytes:
        raise OSError(5, "Input/output error")

    (tmp_path / "f").write_bytes(pointer(b""))
    with pytest.raises(PointerError) as caught:
        Tree.at(tmp_path).open("f")
    assert caught.value.oid == sha256(b"")
    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(FileError, match="Input/output error") as failed:
        Tree.at(tmp_path).open("f")
    assert failed.value.problem is FileProblem.UNREADABLE
