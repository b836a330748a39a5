# SPDX-License-Identifier: Apache-2.0
"""`provenance init` where there are models and no index: the registry that it writes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from provenance.schemas import MODELS_SCHEMA
from tests.support import models
from tests.support.command import run_cli

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "provenance/schemas/models.schema.json").read_text("utf-8")
)
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'1' * 64}\nsize 12\n"
HUB = {"config.json": "{}", "tokenizer.json": "[]", "vocab.txt": "v", "README.md": "# x"}


def write(root: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def model(salt: int = 1) -> bytes:
    return models.model(salt=salt)


def listed(root: Path, path: str) -> dict[str, dict[str, Any]]:
    value = json.loads((root / path).read_text("utf-8"))
    Draft202012Validator(SCHEMA).validate(value)
    assert value["$schema"] == MODELS_SCHEMA
    return {row["id"]: row for row in value["models"]}


CASES: list[tuple[str, dict[str, str | bytes], str, dict[str, str], list[str]]] = [
    # name, files, registry, model of each id, models without a row
    ("one folder", {"m/a.onnx": model(), "m/b.onnx": model(2)}, "m/models.json",
     {"a": "a.onnx", "b": "b.onnx"}, []),
    ("the root", {"a.onnx": model()}, "models.json", {"a": "a.onnx"}, []),
    ("two folders", {"x/a.onnx": model(), "y/b.onnx": model(2)}, "models.json",
     {"a": "x/a.onnx", "b": "y/b.onnx"}, []),
    ("one name twice", {"x/a.onnx": model(), "y/a.onnx": model(2), "y/b.onnx": model(3)},
     "models.json", {"x/a": "x/a.onnx", "y/a": "y/a.onnx", "b": "y/b.onnx"}, []),
    ("names that differ in case", {"x/A.onnx": model(), "y/a.onnx": model(2)},
     "models.json", {"x/A": "x/A.onnx", "y/a": "y/a.onnx"}, []),
    ("a variant", {"m/a.onnx": model(), "m/a.int8.onnx": model(2), "m/b.int8.onnx": model(3)},
     "m/models.json", {"a": "a.onnx", "b.int8": "b.int8.onnx"}, []),
    ("models of tests", {"m/a.onnx": model(), "tests/t.onnx": model(2)}, "m/models.json",
     {"a": "a.onnx"}, []),
    ("a model that is not ONNX", {"m/a.onnx": model(), "m/b.onnx": "text"}, "m/models.json",
     {"a": "a.onnx"}, ["m/b.onnx"]),
    ("a Git LFS pointer", {"m/a.onnx": model(), "m/b.onnx": POINTER}, "m/models.json",
     {"a": "a.onnx"}, ["m/b.onnx"]),
    ("no external data", {"m/a.onnx": model(), "m/b.onnx": models.model(
        external=models.External("gone.data"))}, "m/models.json", {"a": "a.onnx"}, ["m/b.onnx"]),
    ("external data elsewhere", {"m/a.onnx": model(), "x": "secret", "m/b.onnx": models.model(
        external=models.External("../x"))}, "m/models.json", {"a": "a.onnx"}, ["m/b.onnx"]),
    ("a name that no id can be", {"m/a.onnx": model(), "m/-.onnx": model(2), "m/\n.onnx": model(3),
     f"m/{'x' * 200}.onnx": model(4)}, "m/models.json", {"a": "a.onnx"},
     ["m/\n.onnx", "m/-.onnx", f"m/{'x' * 200}.onnx"]),
    ("the layout of the hub", {"onnx/model.onnx": model(), "onnx/model_fp16.onnx": model(2), **HUB},
     "models.json", {"model": "onnx/model.onnx", "model_fp16": "onnx/model_fp16.onnx"}, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "registry", "ids", "skipped"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_rows_of_each_layout(
    tmp_path: Path,
    files: dict[str, str | bytes],
    registry: str,
    ids: dict[str, str],
    skipped: list[str],
) -> None:
    write(tmp_path, files)
    done = run_cli("init", "--format", "json", "--no-defer", cwd=tmp_path)
    assert (done.code, done.json["registry"]) == (0, registry), done.err
    assert {id: row["onnx"] for id, row in listed(tmp_path, registry).items()} == ids
    assert sorted(each["path"] for each in done.json["created"]["skipped"]) == sorted(skipped)
    codes = {f["code"] for f in run_cli("check", "--format", "json", cwd=tmp_path).json["findings"]}
    assert codes - {"LIC204", "LIC207", "ART311", "ART306"} == set()


def test_files_beside_a_model_of_the_hub_belong_to_each_row(tmp_path: Path) -> None:
    front = "---\nlicense: apache-2.0\n---\n"
    more: dict[str, str | bytes] = {"README.md": front, "package.json": "{}", "model.json": "{}"}
    write(tmp_path, {**HUB, **more, "model.onnx": model(), "model_q4.onnx": model(2)})
    assert run_cli("init", "--no-defer", cwd=tmp_path).code == 0
    for row in listed(tmp_path, "models.json").values():
        assert [f["path"] for f in row["files"]] == ["config.json", "tokenizer.json", "vocab.txt"]
        assert row["license"] == "Apache-2.0"
    config = (tmp_path / "provenance.toml").read_text()
    assert 'registry.path = "models.json"\nregistry.shared = "allow"\n' in config
    report = run_cli("check", "--format", "json", cwd=tmp_path)
    assert {f["code"] for f in report.json["findings"]} <= {"SID403", "SID406", "SID416"}


def test_a_pyproject_keeps_its_tables(tmp_path: Path) -> None:
    write(tmp_path, {**HUB, "onnx/a.onnx": model(), "onnx/b.onnx": model(2)})
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert run_cli("init", "--no-defer", cwd=tmp_path).code == 0
    assert run_cli("check", cwd=tmp_path).code == 1  # the licenses are to be written


GIT = [
    ("tracked only", ["m/a.onnx"], "", ["a"]),
    ("nothing tracked yet", [], "m/b.onnx\n", ["a"]),
]


@pytest.mark.parametrize(
    ("tracked", "ignored", "ids"), [case[1:] for case in GIT], ids=[case[0] for case in GIT]
)
def test_models_that_git_knows(
    tmp_path: Path, tracked: list[str], ignored: str, ids: list[str]
) -> None:
    write(tmp_path, {"m/a.onnx": model(), "m/b.onnx": model(2), ".gitignore": ignored})
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    if tracked:
        subprocess.run(["git", "add", *tracked], cwd=tmp_path, check=True)
    assert run_cli("init", "--no-defer", cwd=tmp_path).code == 0
    assert list(listed(tmp_path, "m/models.json")) == ids


REFUSED: list[tuple[str, dict[str, str | bytes], str]] = [
    ("no models", {"README.md": "# x"}, "neither a registry nor ONNX models found"),
    ("only pointers", {"a.onnx": POINTER}, "no model can be read"),
    ("a file in the way", {"a.onnx": model(), "models.json": "[1]"}, "models.json: exists"),
]


@pytest.mark.parametrize(
    ("files", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_refused(tmp_path: Path, files: dict[str, str | bytes], message: str) -> None:
    write(tmp_path, files)
    done = run_cli("init", cwd=tmp_path)
    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "provenance.toml").exists()
