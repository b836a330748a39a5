# SPDX-License-Identifier: Apache-2.0
"""Advice about what was lost or changed since a commit: it leaves nothing to report."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from provenance import check, load_config
from provenance.gate.finding import Report
from tests.support.command import run_cli
from tests.support.findings import listed, only
from tests.support.git import GitRepository
from tests.support.models import model
from tests.support.mutations import Change, drop, put
from tests.support.production import production
from tests.support.repository import Repository, codes, sha256


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A committed repository with one of each kind of row, and the row `b`."""
    made = Repository(tmp_path / "repository")
    made.add_sidecar(made.add("a"))
    made.add("b")
    made.add_sidecar(made.add_external("ext"))
    made.add_int8("q")
    GitRepository.init(made.root)
    made.save()
    GitRepository(made.root).commit()
    return made


def compared(repository: Repository) -> Report:
    repository.save()
    return check(load_config(repository.root), baseline="git:main")


def commit(repository: Repository) -> None:
    repository.save()
    GitRepository(repository.root).commit()


def follow(repository: Repository, help: str) -> None:
    """Run the commands behind the first colon of a help, as they are pasted."""
    pasted = help.partition(": ")[2].partition(". ")[0]
    for part in pasted.split(" && "):
        command, _, target = part.partition(" > ")
        words = shlex.split(command)
        if words[0] == "provenance":
            assert run_cli(*words[1:], cwd=repository.root).code == 0, part
        else:
            done = subprocess.run(words, cwd=repository.root, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr
            if target:
                (repository.root / shlex.split(target)[0]).write_bytes(done.stdout)


def lose(repository: Repository, id: str, *, files: bool) -> None:
    repository.rows = [row for row in repository.rows if row["id"] != id]
    for path in repository.models.glob(f"{id}.*") if files else ():
        path.unlink()
    repository.save()


@pytest.mark.parametrize("files", [True, False], ids=["with its files", "alone"])
@pytest.mark.parametrize("id", ["a", "b", "ext", "q"])
def test_missing_row_comes_back_by_its_advice(
    repository: Repository, id: str, *, files: bool
) -> None:
    lose(repository, id, files=files)
    found = only(compared(repository))
    assert found.code == "BAS801"
    follow(repository, found.help)
    assert check(load_config(repository.root), baseline="git:main").failing == ()


@pytest.mark.parametrize("id", ["a", "b", "ext", "q"])
def test_row_that_was_removed_on_purpose_is_declared_with_its_files(
    repository: Repository, id: str
) -> None:
    lose(repository, id, files=False)
    files = re.search(r"Remove (.*) as well", only(compared(repository)).help)
    assert files is not None
    for name in files[1].split(", "):
        (repository.root / name).unlink()
    repository.defer("BAS801", [id])
    assert codes(compared(repository)) == []
    commit(repository)
    stale = only(compared(repository))
    assert (stale.code, stale.help) == ("DEF901", "Remove the [[deferral]].")


def test_row_whose_file_has_other_bytes_comes_back_with_its_file(repository: Repository) -> None:
    lose(repository, "b", files=False)
    repository.write("b.onnx", model(salt=77))
    help = only(compared(repository)).help
    assert "git restore --source=main -- model/b.onnx && provenance restore b" in help
    follow(repository, help)
    assert codes(check(load_config(repository.root), baseline="git:main")) == []


def test_files_of_a_row_in_another_checkout_are_copied_first(
    repository: Repository, tmp_path: Path
) -> None:
    shutil.copytree(repository.root, tmp_path / "then")
    lose(repository, "a", files=True)
    found = only(check(load_config(repository.root), baseline=str(tmp_path / "then")))
    assert found.help.startswith(f"Copy model/a.onnx, model/a.json back from {tmp_path}/then, then")


def retrain(repository: Repository, index: int) -> None:
    content = model(salt=99)
    row = repository.rows[index]
    repository.write(row["onnx"], content)
    row["sha256"] = sha256(content)


@pytest.mark.parametrize(
    ("field", "code", "help"),
    [
        ("sha256", "REG101", "provenance hash"),
        ("opset", "BAS802", "Write the value for the present files"),
    ],
)
def test_lost_field_of_former_bytes_is_not_put_back(
    repository: Repository, field: str, code: str, help: str
) -> None:
    row = repository.rows[1]
    row["opset"] = 16
    commit(repository)
    retrain(repository, 1)
    row["opset"] = 17
    del row[field]
    found = only(compared(repository))
    assert found.code == code
    assert help in found.help
    assert "provenance restore" not in found.help


def test_lost_sidecar_of_former_bytes_is_not_put_back(repository: Repository) -> None:
    retrain(repository, 0)
    repository.path("a.json").unlink()
    found = only(compared(repository))
    assert found.code == "BAS808"
    export = "Export the sidecar with the model: the former one describes other"
    assert found.help.startswith(export)


def test_wrong_digest_does_not_make_a_sidecar_stale(repository: Repository) -> None:
    repository.rows[0]["sha256"] = "0" * 64
    assert codes(compared(repository)) == ["ART302"]


# --- licenses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "now", "code", "help"),
    [
        # The nearest id is another license than the former one.
        (
            "BSD-3-Clause",
            "BSD-2-Clase",
            "LIC204",
            "Put 'BSD-3-Clause' back, the former license of these bytes.",
        ),
        (
            "BSD-3-Clause-Plus-Patent",
            "BSD-3-Clause-Plus-Patent",
            "LIC204",
            "declare the change: [[deferral]] of BAS806 for 'b'.",
        ),
        ("BSD-3-Clause", "BSD-3-Clause", "", ""),
        ("BSD-3-Clause-Plus-Patent", "BSD-2-Clause-Patent", "BAS806", ""),
        ("BSD-3-Clause-Plus-Patent", "LicenseRef-BSD-3-Clause-Plus-Patent", "", ""),
    ],
)
def test_license_is_that_of_the_baseline_or_declared(
    repository: Repository, then: str, now: str, code: str, help: str
) -> None:
    repository.rows[1]["license"] = then
    commit(repository)
    repository.rows[1]["license"] = now
    found = compared(repository).failing
    assert [f.code for f in found] == ([code] if code else [])
    assert all(f.help.endswith(help) for f in found)
    if code == "BAS806":
        repository.defer("BAS806", ["b"])
        assert codes(compared(repository)) == []


def test_unknown_license_becomes_that_of_its_file_without_a_declaration(
    repository: Repository,
) -> None:
    (repository.root / "LICENSE").write_text("SPDX-License-Identifier: BSD-2-Clause-Patent\n")
    repository.rows[1] |= {"license": "BSD-2-Plus-Patent", "license_url": "../LICENSE"}
    commit(repository)
    assert "Write BSD-2-Clause-Patent" in only(compared(repository)).help
    repository.rows[1]["license"] = "BSD-2-Clause-Patent"
    assert codes(compared(repository)) == []
    repository.rows[1]["license"] = "MIT"
    assert codes(compared(repository)) == ["LIC206"]


# --- ensembles ------------------------------------------------------------------------------------


def test_ensemble_without_a_verdict_is_held_by_one_step(tmp_path: Path) -> None:
    made = Repository(tmp_path / "repository")
    made.add_ensemble("ens", 2, smoke=False)
    put("smoke", to=False)(made.path("ens.json"))
    made.path("ens_seed_flip_PROMOTE.json").unlink()
    made.rows[1]["smoke"] = True
    found = only(made.save().check())
    assert found.code == "ENS510"
    assert found.help == (
        'Until its gate says PROMOTE, write "smoke": true in the row ens_seed0 and in '
        "model/ens.json. Then: provenance promote --ensemble ens"
    )
    made.rows[0]["smoke"] = True
    put("smoke", to=True)(made.path("ens.json"))
    assert codes(made.save().check()) == []


@pytest.mark.parametrize("promoted", [True, False])
def test_smoke_of_a_manifest_is_resolved_by_its_advice(tmp_path: Path, promoted: bool) -> None:
    made = Repository(tmp_path / "repository")
    made.add_ensemble("ens", 2, smoke=not promoted)
    put("smoke", to=promoted)(made.path("ens.json"))
    if not promoted:
        made.path("ens_seed_flip_PROMOTE.json").unlink()
    found = only(made.save().check())
    assert found.code == "ENS509"
    if promoted:
        follow(made, found.help)
    else:
        assert 'write "smoke": true in model/ens.json' in found.help
        put("smoke", to=True)(made.path("ens.json"))
    assert codes(made.check()) == []


# --- mutations since the baseline -----------------------------------------------------------------

ROW: Final = ("models", "s1")
ZERO: Final = "0" * 64


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return production(tmp_path_factory.mktemp("sound") / "tree").root


@pytest.fixture
def tree(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "tree")
    return tmp_path / "tree"


@pytest.mark.parametrize(
    ("change", "expected", "help"),
    [
        (put(*ROW, "id", to="s_one"), "BAS801 s1", "give the row its id back"),
        (put("models", "plain", "id", to="other"), "BAS801 plain", "give the row its id back"),
        (put(*ROW, "id", to="s0"), "REG102 s0", "Give the row of s1.onnx its id back: 's1'."),
        (put("models", "s0", "id", to="s2"), "REG102 s2", "the row of s0.onnx its id back: 's0'."),
        (drop(*ROW), "BAS801 s1", "Export model/ens.json without it."),
        (put(*ROW, "onnx", to="../../s1.onnx"), "REG107 s1", 'Write "onnx": "s1.onnx".'),
        (put(*ROW, "onnx", to="s0.onnx"), "ART302 s1", 'Write "onnx": "s1.onnx".'),
        (put(*ROW, "onnx", to="s_1.onnx"), "ART301 s1", 'Write "onnx": "s1.onnx".'),
        (put("models", "plain", "onnx", to="x.onnx"), "ART301 plain", '"onnx": "plain.onnx".'),
        (
            put(*ROW, "external_data_sha256", "s1.onnx.data", to=ZERO),
            "ART302 s1",
            "provenance hash",
        ),
        (put("models", "quant", "int8_sha256", to=ZERO), "ART302 quant", "provenance hash"),
    ],
)
def test_single_mutation_since_the_baseline_is_one_finding(
    sound: Path, tree: Path, change: Change, expected: str, help: str
) -> None:
    change(tree / "model" / "registry.json")
    found = check(load_config(tree), baseline=str(sound)).findings
    assert listed(found) == expected
    assert help in found[0].help


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [
                ("registry.json", put(*ROW, "id", to="s0")),
                ("registry.json", drop("models", "probe")),
            ],
            "REG102 s0, BAS801 probe",
        ),
        (
            [
                ("registry.json", drop("models", "s0")),
                ("ens.json", put("members", "s2", "id", to="x")),
            ],
            "ENS501 s2, BAS801 s0",
        ),
    ],
)
def test_two_mutations_since_the_baseline_are_two_findings(
    sound: Path, tree: Path, changes: list[tuple[str, Change]], expected: str
) -> None:
    for name, change in changes:
        change(tree / "model" / name)
    found = listed(check(load_config(tree), baseline=str(sound)).findings)
    assert sorted(found.split(", ")) == sorted(expected.split(", "))


def test_rest_of_a_declared_removal_is_reported(sound: Path, tree: Path) -> None:
    drop(*ROW)(tree / "model" / "registry.json")
    with (tree / "provenance.toml").open("a", encoding="utf-8") as config:
        config.write(
            '[[deferral]]\nrule = "BAS801"\nrows = ["s1"]\nreason = "r"\nreference = "x"\n'
        )
    found = only(check(load_config(tree), baseline=str(sound)))
    assert found.code == "ENS501"
    assert "remove model/s1.onnx and model/s1.json and model/s1.onnx.data and" in found.help
