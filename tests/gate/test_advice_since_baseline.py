# SPDX-License-Identifier: Apache-2.0
"""Advice about what was lost or changed: followed to the letter, nothing is left to report."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from provenance import check, load_config
from provenance.gate.finding import Finding, Report
from tests.support.command import run_cli
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
    return check(load_config(repository.root), baseline="git:main")


def only(repository: Repository) -> Finding:
    (found,) = compared(repository).failing
    return found


def follow(repository: Repository, help: str) -> None:
    """Run the commands behind the first colon of a help text, as they are pasted."""
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
def test_a_row_that_is_gone_comes_back_by_its_advice(
    repository: Repository, id: str, *, files: bool
) -> None:
    lose(repository, id, files=files)
    found = only(repository)
    assert found.code == "BAS801"
    follow(repository, found.help)
    assert codes(compared(repository)) == []


@pytest.mark.parametrize("id", ["a", "b", "ext", "q"])
def test_a_row_that_was_removed_on_purpose_is_declared_with_its_files(
    repository: Repository, id: str
) -> None:
    lose(repository, id, files=False)
    help = only(repository).help
    files = re.search(r"Remove (.*) as well", help)
    assert files is not None
    for name in files[1].split(", "):
        (repository.root / name).unlink()
    repository.defer("BAS801", [id])
    repository.save()
    assert codes(compared(repository)) == []
    GitRepository(repository.root).commit("merged")
    (stale,) = compared(repository).failing
    assert (stale.code, stale.help) == ("DEF901", "Remove the [[deferral]].")
    repository.deferrals.clear()
    repository.save()
    assert codes(compared(repository)) == []


def test_a_row_whose_file_has_other_bytes_now_comes_back_with_its_file(
    repository: Repository,
) -> None:
    lose(repository, "b", files=False)
    repository.write("b.onnx", model(salt=77))
    found = only(repository)
    assert "git restore --source=main -- model/b.onnx && provenance restore b" in found.help
    follow(repository, found.help)
    assert codes(compared(repository)) == []


def test_files_of_a_row_in_another_checkout_are_copied_first(
    repository: Repository, tmp_path: Path
) -> None:
    shutil.copytree(repository.root, tmp_path / "then")
    lose(repository, "a", files=True)
    report = check(load_config(repository.root), baseline=str(tmp_path / "then"))
    (found,) = report.failing
    assert found.help.startswith(f"Copy model/a.onnx, model/a.json back from {tmp_path}/then, then")


# --- what `restore` refuses is not advised --------------------------------------------------------


def retrain(repository: Repository, id: str = "b") -> None:
    """Other bytes and their digest for a row."""
    row = next(row for row in repository.rows if row["id"] == id)
    content = model(salt=99)
    repository.write(row["onnx"], content)
    row["sha256"] = sha256(content)


@pytest.mark.parametrize(
    ("field", "code", "help"),
    [
        ("sha256", "REG101", "provenance hash"),
        ("opset", "BAS802", "Write the value for the present files"),
    ],
)
def test_a_lost_field_of_former_bytes_is_not_to_be_put_back(
    repository: Repository, field: str, code: str, help: str
) -> None:
    row = repository.rows[1]
    row["opset"] = 16
    repository.save()
    GitRepository(repository.root).commit()
    retrain(repository)
    del row[field]
    if field == "sha256":
        row["opset"] = 17
    repository.save()
    found = only(repository)
    assert found.code == code
    assert help in found.help
    assert "provenance restore" not in found.help


def test_a_lost_sidecar_of_former_bytes_is_not_to_be_put_back(repository: Repository) -> None:
    retrain(repository, "a")
    repository.path("a.json").unlink()
    repository.save()
    found = only(repository)
    assert found.code == "BAS808"
    assert found.help.startswith(
        "Export the sidecar with the model: the former one describes other"
    )


# --- one cause, one finding -----------------------------------------------------------------------


def test_a_digest_that_is_not_that_of_the_file_does_not_make_a_sidecar_stale(
    repository: Repository,
) -> None:
    """The real registry put former digests back into five rows whose files had not changed."""
    repository.rows[0]["sha256"] = "0" * 64
    repository.save()
    assert codes(compared(repository)) == ["ART302"]


def test_a_misspelt_license_is_put_back_to_that_of_the_baseline(repository: Repository) -> None:
    """The nearest id on the list is another license than the one that it was."""
    repository.rows[1]["license"] = "BSD-3-Clause"
    repository.save()
    GitRepository(repository.root).commit()
    repository.rows[1]["license"] = "BSD-2-Clase"
    repository.save()
    found = only(repository)
    assert found.code == "LIC204"
    assert found.help == "Put 'BSD-3-Clause' back, the former license of these bytes."
    repository.rows[1]["license"] = "BSD-3-Clause"
    repository.save()
    assert codes(compared(repository)) == []


def test_the_nearest_license_is_declared_if_the_baseline_has_the_same_unknown_one(
    repository: Repository,
) -> None:
    repository.rows[1]["license"] = "BSD-3-Clause-Plus-Patent"
    repository.save()
    GitRepository(repository.root).commit()
    found = only(repository)
    assert found.help.endswith("declare the change: [[deferral]] of BAS806 for 'b'.")
    repository.rows[1]["license"] = "BSD-2-Clause-Patent"
    repository.defer("BAS806", ["b"])
    repository.save()
    assert codes(compared(repository)) == []
    repository.deferrals.clear()
    repository.rows[1]["license"] = "LicenseRef-BSD-3-Clause-Plus-Patent"
    repository.save()
    assert codes(compared(repository)) == []


def test_an_unknown_license_becomes_that_of_its_file_without_a_declaration(
    repository: Repository,
) -> None:
    (repository.root / "LICENSE").write_text("SPDX-License-Identifier: BSD-2-Clause-Patent\n")
    repository.rows[1] |= {"license": "BSD-2-Plus-Patent", "license_url": "../LICENSE"}
    repository.save()
    GitRepository(repository.root).commit()
    assert "Write BSD-2-Clause-Patent" in only(repository).help
    repository.rows[1]["license"] = "BSD-2-Clause-Patent"
    repository.save()
    assert codes(compared(repository)) == []
    repository.rows[1]["license"] = "MIT"
    repository.save()
    assert codes(compared(repository)) == ["LIC206"]


# --- ensembles ------------------------------------------------------------------------------------


def test_an_ensemble_without_a_verdict_is_held_by_one_advice(tmp_path: Path) -> None:
    made = Repository(tmp_path / "repository")
    made.add_ensemble("ens", 2, smoke=False)
    manifest = json.loads(made.path("ens.json").read_text("utf-8"))
    made.write("ens.json", manifest | {"smoke": False})
    made.path("ens_seed_flip_PROMOTE.json").unlink()
    made.rows[1]["smoke"] = True
    (found,) = made.save().check().failing
    assert found.code == "ENS510"
    assert found.help == (
        'Until its gate says PROMOTE, write "smoke": true in the row ens_seed0 and in '
        "model/ens.json. Then: provenance promote --ensemble ens"
    )
    made.rows[0]["smoke"] = True
    made.write("ens.json", manifest | {"smoke": True})
    assert codes(made.save().check()) == []


@pytest.mark.parametrize("verdict", ["PROMOTE", None])
def test_a_manifest_that_says_another_smoke_than_its_rows_has_advice_that_works(
    tmp_path: Path, verdict: str | None
) -> None:
    made = Repository(tmp_path / "repository")
    made.add_ensemble("ens", 2, smoke=verdict != "PROMOTE")
    manifest = json.loads(made.path("ens.json").read_text("utf-8"))
    made.write("ens.json", manifest | {"smoke": verdict == "PROMOTE"})
    path = made.path("ens_seed_flip_PROMOTE.json")
    if verdict is None:
        path.unlink()
    (found,) = made.save().check().failing
    assert found.code == "ENS509"
    if verdict == "PROMOTE":
        follow(made, found.help)
    else:
        assert 'write "smoke": true in model/ens.json' in found.help
        made.write("ens.json", manifest | {"smoke": True})
    assert codes(made.check()) == []


# --- one mutation since the baseline -------------------------------------------------------------

ROW = ("models", "s1")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return production(tmp_path_factory.mktemp("sound") / "tree").root


@pytest.mark.parametrize(
    ("change", "expected", "help"),
    [
        (put(*ROW, "id", to="s_one"), "BAS801 s1", "give the row its id back"),
        (put("models", "plain", "id", to="other"), "BAS801 plain", "give the row its id back"),
        (put(*ROW, "id", to="s0"), "REG102 s0", "Give the row of s1.onnx its id back: 's1'."),
        (put("models", "s0", "id", to="s2"), "REG102 s2", "the row of s0.onnx its id back: 's0'."),
        (drop(*ROW), "BAS801 s1", "Export model/ens.json without it."),
        (drop(*ROW, "onnx"), "REG101 s1", "provenance restore s1"),
        (put(*ROW, "onnx", to="../../s1.onnx"), "REG107 s1", 'Write "onnx": "s1.onnx".'),
        (put(*ROW, "onnx", to="s0.onnx"), "ART302 s1", 'Write "onnx": "s1.onnx".'),
        (put(*ROW, "onnx", to="s_1.onnx"), "ART301 s1", 'Write "onnx": "s1.onnx".'),
        (put("models", "plain", "onnx", to="x.onnx"), "ART301 plain", '"onnx": "plain.onnx".'),
        (
            put(*ROW, "external_data_sha256", "s1.onnx.data", to="0" * 64),
            "ART302 s1",
            "provenance hash",
        ),
        (put("models", "quant", "int8_sha256", to="0" * 64), "ART302 quant", "provenance hash"),
    ],
)
def test_one_mutation_since_the_baseline_is_one_finding(
    sound: Path, tmp_path: Path, change: Change, expected: str, help: str
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(sound, tree)
    change(tree / "model" / "registry.json")
    (found,) = check(load_config(tree), baseline=str(sound)).findings
    assert f"{found.code} {found.row}" == expected
    assert help in found.help


def test_what_a_declared_removal_leaves_behind_is_reported(sound: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(sound, tree)
    drop(*ROW)(tree / "model" / "registry.json")
    with (tree / "provenance.toml").open("a", encoding="utf-8") as config:
        config.write(
            '[[deferral]]\nrule = "BAS801"\nrows = ["s1"]\nreason = "r"\nreference = "x"\n'
        )
    (found,) = check(load_config(tree), baseline=str(sound)).failing
    assert found.code == "ENS501"
    assert "remove model/s1.onnx and model/s1.json and model/s1.onnx.data and" in found.help


def test_a_row_that_is_gone_is_reported_behind_one_that_has_the_id_of_another(
    sound: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(sound, tree)
    for change in (put(*ROW, "id", to="s0"), drop("models", "probe")):
        change(tree / "model" / "registry.json")
    report = check(load_config(tree), baseline=str(sound))
    assert {f"{f.code} {f.row}" for f in report.findings} == {"REG102 s0", "BAS801 probe"}


def test_a_member_with_another_id_is_reported_behind_one_whose_row_is_gone(
    sound: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(sound, tree)
    drop("models", "s0")(tree / "model" / "registry.json")
    put("members", "s2", "id", to="s_two")(tree / "model" / "ens.json")
    report = check(load_config(tree), baseline=str(sound))
    assert {f"{f.code} {f.row}" for f in report.findings} == {"BAS801 s0", "ENS501 s2"}
