# SPDX-License-Identifier: Apache-2.0
"""`provenance remove`: withdrawn models, from the registry to the consumer."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import provenance
from provenance import trust_from_keys
from provenance.attestations.predicates import WITHDRAWN_FIELD
from provenance.errors import VerificationError
from provenance.registry.withdrawn import entries_of
from tests.operations.workspace import Workspace
from tests.support import models
from tests.support.command import Result, run_cli
from tests.support.keys import KeyPair, make_pair
from tests.support.statements import sign_again

CONFIG = 'registry = "m/models.json"\n[[trust.key]]\npath = "release.pub"\n'
NAMES = ("a", "b", "c")
REASON = "wrong labels"


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return make_pair(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory, key: KeyPair) -> Path:
    """A released and committed repository of three models. Not to be changed: copy it."""
    root = tmp_path_factory.mktemp("released") / "tree"
    (root / "m").mkdir(parents=True)
    (root / "provenance.toml").write_text(CONFIG)
    (root / "README.md").write_text("---\nlicense: mit\n---\n")
    (root / "m/models.json").write_text('{\n  "models": []\n}\n')
    shutil.copy(key.public, root / "release.pub")
    for salt, name in enumerate(NAMES):
        external = models.External(f"{name}.data") if name != "c" else ()
        (root / f"m/{name}.onnx").write_bytes(models.model(salt=salt, external=external))
        (root / f"m/{name}.data").write_bytes(models.data(salt=salt))
    (root / "m/c.data").unlink()
    assert run_cli("add", *(f"m/{name}.onnx" for name in NAMES), cwd=root).code == 0
    release(root, key)
    commit(root, "init", "-q")
    return root


@pytest.fixture
def tree(released: Path, tmp_path: Path) -> Path:
    shutil.copytree(released, tmp_path / "tree")
    return tmp_path / "tree"


def release(root: Path, key: KeyPair) -> Result:
    done = run_cli("release", "--signer", f"file:{key.private}", "--format", "json", cwd=root)
    assert done.code in (0, 1), done.err
    return done


def commit(root: Path, *first: str) -> None:
    name = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for args in (first, ("add", "-A"), (*name, "commit", "-qm", "x")):
        if args:
            subprocess.run(["git", *args], cwd=root, check=True)


def remove(root: Path, *args: str) -> Any:
    done = run_cli("remove", *args, "--format", "json", cwd=root)
    assert done.code == 0, done.err
    return done.json


def codes(root: Path, *args: str) -> set[str]:
    done = run_cli(*args, "--format", "json", cwd=root)
    assert done.code in (0, 1), done.err
    return {finding["code"] for finding in done.json["findings"]}


def ids(root: Path) -> list[str]:
    return [row["id"] for row in json.loads((root / "m/models.json").read_text())["models"]]


def entries(root: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((root / "withdrawn.json").read_text())["withdrawn"]
    return found


def withdraw(root: Path, id: str = "a", *args: str) -> Any:
    """Remove a row with its files."""
    done = remove(root, id, "--reason", REASON, *args)
    for path in done["left"]:
        (root / path).unlink()
    return done


def test_a_model_is_retired_in_one_release(tree: Path, key: KeyPair, tmp_path: Path) -> None:
    old = shutil.copytree(tree, tmp_path / "old")
    before = (tree / "m/models.json").read_text()
    onnx, data = digest(tree / "m/a.onnx"), digest(tree / "m/a.data")
    done = withdraw(tree, "a", "--replaced-by", "b")
    assert ids(tree) == ["b", "c"]
    after = (tree / "m/models.json").read_text()
    start = before.index('    {\n      "id": "a"')
    assert after == before[:start] + before[before.index('    {\n      "id": "b"') :]
    (entry,) = entries(tree)
    assert entry == {
        "id": "a",
        "digests": {"a.onnx": onnx, "a.data": data},
        "reason": REASON,
        "date": entry["date"],
        "replaced_by": "b",
    }
    assert done["left"] == ["m/a.onnx", "m/a.data", "m/bundles/a.sigstore.json"]
    assert codes(tree, "check", "--baseline", "git:HEAD") == {"BAS813"}
    assert release(tree, key).code == 0
    assert codes(tree, "verify") == set()
    summary = tree / "m/bundles/models.json.vsa.sigstore.json"
    signed = run_cli("inspect", summary, "--format", "json", cwd=tree).json["statement"]
    assert signed["predicate"][WITHDRAWN_FIELD] == [entry]
    assert {s["name"] for s in signed["subject"]} >= {"../withdrawn.json", "b.onnx"}
    commit(tree)
    assert codes(tree, "check", "--baseline", "git:HEAD") == set()
    assert run_cli("verify-release", tree / "m", "--key", key.public, cwd=tree).code == 0
    refused = ("verify-model", "m/a.onnx", "--bundle", "m/bundles/a.sigstore.json", "--key")
    assert codes(old, *refused, str(key.public)) == set()
    shutil.copy(summary, old / "m/bundles")
    assert codes(old, *refused, str(key.public)) == {"USE012"}


def edit(root: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    value = json.loads((root / "withdrawn.json").read_text())
    change(value["withdrawn"])
    (root / "withdrawn.json").write_text(json.dumps(value, indent=2) + "\n")


def bring_back(root: Path) -> None:
    subprocess.run(["git", "checkout", "-q", "HEAD~1", "--", "m"], cwd=root, check=True)


Change = Callable[[Path], object]
HIDDEN: list[tuple[str, Change, str, str]] = [
    # what a change does after the release that withdrew `a`, rule of check, rule of verify
    ("nothing", lambda root: None, "", ""),
    ("removes the file", lambda root: (root / "withdrawn.json").unlink(), "BAS812", "ATT714"),
    ("removes the entry", lambda root: edit(root, list.clear), "BAS812", "ATT714"),
    ("removes a digest", lambda root: edit(root, lambda e: e[0]["digests"].pop("a.data")),
     "BAS812", "ATT714"),
    ("changes the reason", lambda root: edit(root, lambda e: e[0].update(reason="fine")),
     "BAS812", "ATT714"),
    ("adds an entry", lambda root: edit(root, lambda e: e.append({**e[0], "id": "z"})),
     "BAS813", "ATT710"),
    ("brings the row back", bring_back, "REG116", "REG116"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "checked", "verified"), [c[1:] for c in HIDDEN], ids=[c[0] for c in HIDDEN]
)
def test_a_change_that_forgets_a_withdrawal(
    tree: Path, key: KeyPair, change: Change, checked: str, verified: str
) -> None:
    withdraw(tree)
    assert release(tree, key).code == 0
    commit(tree)
    change(tree)
    assert codes(tree, "check", "--baseline", "git:HEAD") == ({checked} if checked else set())
    found = codes(tree, "verify")
    assert found >= {verified} if verified else not found
    before = (tree / "m/bundles/models.json.vsa.sigstore.json").read_bytes()
    is_refused = verified in ("ATT714", "REG116")
    assert release(tree, key).code == int(is_refused)
    after = (tree / "m/bundles/models.json.vsa.sigstore.json").read_bytes()
    assert (after == before) == (is_refused or not verified)


COVERED: list[tuple[str, Change, set[str]]] = [
    # how the entry of a removed row differs, and the rules that then report the row
    ("as remove writes it", lambda root: None, {"BAS813"}),
    ("another id", lambda root: edit(root, lambda e: e[0].update(id="x")), {"BAS801", "BAS813"}),
    ("another digest", lambda root: edit(root, lambda e: e[0]["digests"].update(
        {"a.onnx": "0" * 64})), {"BAS801", "BAS813"}),
    ("no external data", lambda root: edit(root, lambda e: e[0]["digests"].pop("a.data")),
     {"BAS801", "BAS813"}),
    ("no entry", lambda root: (root / "withdrawn.json").unlink(), {"BAS801"}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "rules"), [c[1:] for c in COVERED], ids=[c[0] for c in COVERED])
def test_a_baseline_accepts_only_a_complete_withdrawal(
    tree: Path, change: Change, rules: set[str]
) -> None:
    withdraw(tree)
    change(tree)
    assert codes(tree, "check", "--baseline", "git:HEAD") == rules


def test_a_withdrawn_model_is_not_added(tree: Path) -> None:
    remove(tree, "a", "--reason", REASON)
    (tree / "m/a.onnx").rename(tree / "m/new.onnx")
    done = run_cli("add", "m/new.onnx", cwd=tree)
    assert (done.code, "withdrawn on" in done.err) == (2, True)
    assert ids(tree) == ["b", "c"]


def test_a_withdrawn_row_is_not_restored(tree: Path) -> None:
    withdraw(tree)
    before = (tree / "m/models.json").read_bytes()
    assert run_cli("restore", "--baseline", "git:HEAD", cwd=tree).code == 0
    named = run_cli("restore", "a", "--baseline", "git:HEAD", cwd=tree)
    assert (named.code, "were withdrawn" in named.err) == (2, True)
    assert (tree / "m/models.json").read_bytes() == before


INVALID: list[tuple[str, str]] = [
    ("not JSON", "{"),
    ("a list", "[]"),
    ("no list", '{"withdrawn": {}}'),
    ("an unknown key", '{"withdrawn": [], "more": 1}'),
    ("another version", '{"schema_version": 2, "withdrawn": []}'),
    ("an incomplete entry", '{"withdrawn": [{"id": "a"}]}'),
    ("a number as id", '{"withdrawn": [{"id": 1, "digests": {}, "reason": "x", "date": "D"}]}'),
    ("a key twice", '{"withdrawn": [], "withdrawn": []}'),
    ("a text as digest", '{"withdrawn": [{"id": "a", "digests": {"a": "b"}, "reason": "x",'
     ' "date": "2026-12-01"}]}'),
    ("a reason of two lines", '{"withdrawn": [{"id": "a", "digests": {}, "reason": "x\\ny",'
     ' "date": "2026-12-01"}]}'),
    ("no day", '{"withdrawn": [{"id": "a", "digests": {}, "reason": "x", "date": "2026-13-01"}]}'),
]  # fmt: skip


@pytest.mark.parametrize("text", [c[1] for c in INVALID], ids=[c[0] for c in INVALID])
def test_an_invalid_file_stops_every_command(tree: Path, text: str) -> None:
    (tree / "withdrawn.json").write_text(text)
    for args in (("check",), ("verify",), ("remove", "a", "--reason", "x")):
        done = run_cli(*args, cwd=tree)
        assert done.code == 2
        assert done.err.startswith("error: withdrawn.json: ")
    assert ids(tree) == [*NAMES]


REFUSED: list[tuple[str, list[str], str]] = [
    ("unknown row", ["x", "--reason", "r"], "no row with the id 'x'"),
    ("no reason", ["a", "--reason", " - "], "--reason: expected why"),
    ("a long reason", ["a", "--reason", "r" * 1001], "at most 1,000 are signed"),
    ("control characters", ["a", "--reason", "r\x1b[2J"], "--reason: expected why"),
    ("unknown replacement", ["a", "--reason", "r", "--replaced-by", "x"], "no row with the id 'x'"),
    ("itself", ["a", "--reason", "r", "--replaced-by", "a"], "cannot replace itself"),
]


@pytest.mark.parametrize(("args", "message"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_refused(tree: Path, args: list[str], message: str) -> None:
    done = run_cli("remove", *args, cwd=tree)
    assert (done.code, message in done.err) == (2, True), done.err
    assert ids(tree) == [*NAMES]
    assert not (tree / "withdrawn.json").exists()


def test_entries_are_added_at_the_end(tree: Path) -> None:
    withdraw(tree, "a")
    first = (tree / "withdrawn.json").read_text()
    withdraw(tree, "c")
    assert [entry["id"] for entry in entries(tree)] == ["a", "c"]
    kept = first[: first.rindex("\n  ]")]
    assert (tree / "withdrawn.json").read_text().startswith(f"{kept},\n")
    edit(tree, list.clear)
    withdraw(tree, "b")
    assert [entry["id"] for entry in entries(tree)] == ["b"]
    entries_of(entries(tree))


def test_a_file_that_another_row_has_is_not_withdrawn(tree: Path) -> None:
    shutil.copy(tree / "m/a.onnx", tree / "m/a2.onnx")
    assert run_cli("add", "m/a2.onnx", cwd=tree).code == 0
    done = withdraw(tree, "a")
    assert done["kept"] == [{"name": "a.onnx", "row": "a2"}, {"name": "a.data", "row": "a2"}]
    assert done["entry"]["digests"] == {}
    assert "m/a.data" not in done["left"]
    assert codes(tree, "check", "--baseline", "git:HEAD") == {"BAS813"}


def test_an_interrupted_removal_can_be_repeated(tree: Path) -> None:
    rows = (tree / "m/models.json").read_bytes()
    remove(tree, "a", "--reason", REASON)
    (tree / "m/models.json").write_bytes(rows)
    report = run_cli("check", "--format", "json", cwd=tree).json["findings"]
    assert [f["code"] for f in report] == ["REG116"]
    assert report[0]["help"] == "Remove the row: provenance remove a --reason 'wrong labels'"
    remove(tree, "a", "--reason", REASON)
    assert (ids(tree), len(entries(tree))) == (["b", "c"], 1)


def test_the_digest_of_a_missing_file_has_to_be_declared(tree: Path) -> None:
    (tree / "m/c.onnx").unlink()
    text = (tree / "m/models.json").read_text()
    declared = json.loads(text)["models"][2]["sha256"]
    assert remove(tree, "c", "--reason", "r")["entry"]["digests"] == {"c.onnx": declared}
    (tree / "m/models.json").write_text(text.replace(declared, ""))
    done = run_cli("remove", "c", "--reason", "r", cwd=tree)
    assert (done.code, "is not known" in done.err) == (2, True)


def test_a_mapped_row_is_shown_and_its_models_are_withdrawn(tree: Path) -> None:
    rows = [{"n": "a", "f": "a.onnx"}, {"n": "c", "f": "c.onnx"}]
    index = json.dumps(rows, indent=1)
    (tree / "m/i.json").write_text(index)
    config = '[registry]\npath = "m/i.json"\nrows = "$[*]"\n[registry.fields]\nid = "n"\nonnx = "f"'
    (tree / "provenance.toml").write_text(config + "\n")
    done = remove(tree, "c", "--reason", "r")
    assert done["by_hand"]["line"] == 6
    assert (done["by_hand"]["location"], json.loads(done["by_hand"]["text"])) == ("$[1]", rows[1])
    assert entries(tree)[0]["digests"] == {"c.onnx": digest(tree / "m/c.onnx")}
    assert (tree / "m/i.json").read_text() == index
    assert "REG116" in codes(tree, "check")


@pytest.fixture
def withdrawn_release(tree: Path, key: KeyPair) -> Path:
    """A release that still has the row that its summary withdraws: no release makes it so."""
    onnx = digest(tree / "m/a.onnx")
    entry = {"id": "a", "digests": {"a.onnx": onnx}, "reason": REASON, "date": "2026-12-01"}
    summary = tree / "m/bundles/models.json.vsa.sigstore.json"

    def change(statement: Any) -> None:
        statement["predicate"][WITHDRAWN_FIELD] = [entry]

    sign_again(summary, key, change)
    return tree


def test_a_consumer_of_a_release(withdrawn_release: Path, key: KeyPair) -> None:
    found = run_cli(
        "verify-release", "m", "--key", key.public, "--format", "json", cwd=withdrawn_release
    ).json["findings"]
    assert [(f["code"], f["row"]) for f in found] == [("USE012", "a")]
    assert found[0]["message"] == "a.onnx was withdrawn on 2026-12-01: wrong labels"


def test_open_model_refuses_a_withdrawn_model(withdrawn_release: Path, key: KeyPair) -> None:
    root, trust = withdrawn_release, trust_from_keys([key.public])
    for name, is_withdrawn in (("a", True), ("c", False)):
        bundle = root / f"m/bundles/{name}.sigstore.json"
        if is_withdrawn:
            with pytest.raises(VerificationError, match="wrong labels"):
                provenance.open_model(root / f"m/{name}.onnx", trust, bundle=bundle)
        else:
            with provenance.open_model(root / f"m/{name}.onnx", trust, bundle=bundle) as model:
                assert model.row["id"] == name


ADVISORIES: list[tuple[str, Callable[[Any], object] | None, bool, set[str]]] = [
    # what the summary beside the model says, whether a trusted key signed it, findings
    ("withdraws it", None, True, {"USE012"}),
    ("by a key that is not trusted", None, False, set()),
    ("withdraws nothing", lambda s: s["predicate"].pop(WITHDRAWN_FIELD), True, set()),
    ("not a list", lambda s: s["predicate"].update({WITHDRAWN_FIELD: {}}), True, {"USE012"}),
    ("an entry that cannot be read", lambda s: s["predicate"].update({WITHDRAWN_FIELD: [{}]}),
     True, {"USE012"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "is_trusted", "rules"), [c[1:] for c in ADVISORIES], ids=[c[0] for c in ADVISORIES]
)
def test_the_summary_beside_a_model(
    withdrawn_release: Path,
    key: KeyPair,
    tmp_path: Path,
    change: Callable[[Any], object] | None,
    is_trusted: bool,
    rules: set[str],
) -> None:
    summary = withdrawn_release / "m/bundles/models.json.vsa.sigstore.json"
    signer = key if is_trusted else make_pair(tmp_path / "other")
    sign_again(summary, signer, change or (lambda statement: None))
    args = ("verify-model", "m/a.onnx", "--bundle", "m/bundles/a.sigstore.json", "--key")
    assert codes(withdrawn_release, *args, str(key.public)) == rules


def test_a_state_file_remembers_what_was_withdrawn(
    tree: Path, key: KeyPair, tmp_path: Path
) -> None:
    old, state = shutil.copytree(tree, tmp_path / "old"), tmp_path / "seen.json"
    args = ("--key", str(key.public), "--state", str(state))
    withdraw(tree, "a", "--replaced-by", "b")
    assert release(tree, key).code == 0
    assert codes(tree, "verify-release", "m", *args) == set()
    written = json.loads(state.read_text())
    (known,) = written["releases"].values()
    assert known["withdrawn"] == entries(tree)
    model = ("verify-model", "m/a.onnx", "--bundle", "m/bundles/a.sigstore.json")
    assert codes(old, *model, *args) == {"USE008", "USE012"}
    known["withdrawn"] = [{}]
    state.write_text(json.dumps(written))
    done = run_cli(*model, *args, cwd=old)
    assert (done.code, "cannot be read" in done.err) == (2, True)


def test_an_unreadable_summary_beside_a_model_does_not_matter(
    withdrawn_release: Path, key: KeyPair
) -> None:
    folder = withdrawn_release / "m/bundles"
    (folder / "models.json.vsa.sigstore.json").write_text("{}")
    (folder / "other.vsa.sigstore.json").symlink_to("nowhere")
    args = ("verify-model", "m/a.onnx", "--bundle", "m/bundles/a.sigstore.json", "--key")
    assert codes(withdrawn_release, *args, str(key.public)) == set()


def test_an_ensemble_member_can_be_withdrawn(candidate: Workspace) -> None:
    """Rows in the shape of the reference registry, whose keys are sorted."""
    done = remove(candidate.root, "quality_regressor_q_v1", "--reason", REASON)
    assert set(done["entry"]["digests"]) == {
        "quality_regressor_q_v1.onnx",
        "quality_regressor_q_v1.int8.onnx",
    }
    assert "quality_regressor_q_v1" not in candidate.registry.read_text()
