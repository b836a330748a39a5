# SPDX-License-Identifier: Apache-2.0
"""Recording a step, and writing the layout."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import provenance
from provenance.artifacts import inventory, limits
from provenance.artifacts.paths import Tree
from provenance.attestations import layout as layouts
from provenance.errors import InputError, UnavailableError
from provenance.evidence import snapshot
from tests.support.command import run_cli
from tests.support.keys import PRIVATE, private_pem
from tests.support.kms import aws
from tests.support.models import External, data, model
from tests.support.pipeline import LAYOUT, Change, Pipeline, copied, make_pipeline
from tests.support.repository import replace_once, sha256

SUMMARY = "bundles/registry.json.vsa.sigstore.json"


@pytest.fixture(scope="module")
def with_layout(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A pipeline with its layout, before its first step. Not to be changed: copy it."""
    return make_pipeline(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture
def pipeline(with_layout: Pipeline, tmp_path: Path) -> Pipeline:
    return copied(with_layout, tmp_path)


def payload(path: Path) -> Any:
    """The payload of a link or layout."""
    return json.loads(base64.b64decode(json.loads(path.read_bytes())["payload"]))


def required_files(pipeline: Pipeline) -> set[str]:
    (inspection,) = payload(pipeline.layout)["inspect"]
    assert inspection["run"] == ["true"]
    return {rule[1] for rule in inspection["expected_materials"] if rule[0] == "REQUIRE"}


def record(pipeline: Pipeline, *, links: Path | None = None, uri: str = "", **options: Any) -> Any:
    """Record the step `check` around a block."""
    config, key = pipeline.repository.config, uri or pipeline.key("ci").signer
    return provenance.record_step("check", config, links or pipeline.links, key, **options)


def write_layout(pipeline: Pipeline, signer: str = "") -> Any:
    return provenance.layout(pipeline.repository.config, signer or pipeline.key("owner").signer)


# --- the content of a link ------------------------------------------------------------------------


def test_a_link_names_every_file_of_the_release_before_and_after(pipeline: Pipeline) -> None:
    before = pipeline.notes.read_bytes()
    pipeline.do("train", by="ci", change=lambda p: p.notes.write_text("new"))
    (link,) = pipeline.links.iterdir()
    assert link.name == f"train.{pipeline.key_id('ci')[:8]}.link"
    said = payload(link)
    assert said["materials"].keys() == said["products"].keys()
    assert said["materials"]["model/notes.txt"] == {"sha256": sha256(before)}
    assert said["products"]["model/notes.txt"] == {"sha256": sha256(b"new")}
    assert {"provenance.toml", "model/registry.json", "model/ext.onnx.data"} <= {*said["products"]}
    assert "release.pub" not in said["products"]  # it is in no folder of the release
    assert (said["_type"], said["name"], said["command"]) == ("link", "train", [])


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # in in-toto
def test_a_link_holds_what_in_toto_itself_would_record(pipeline: Pipeline) -> None:
    from in_toto import settings
    from in_toto.runlib import record_artifacts_as_dict

    assert list(inventory.LEFT_OUT) == settings.ARTIFACT_EXCLUDE_PATTERNS
    models = pipeline.root / "model"
    for name in ("deep/er/ü [1].txt", "a.link", "c.pyc", "d~", ".git/HEAD"):
        pipeline.repository.write(name, "x")
    (models / "twice.txt").symlink_to("notes.txt")
    pipeline.repository.release()
    theirs = record_artifacts_as_dict(
        ["model", "bundles", "provenance.toml"], base_path=str(pipeline.root)
    )
    ours = snapshot.take(pipeline.repository.config)
    assert {path: {"sha256": found} for path, found in ours.items()} == theirs
    assert "model/deep/er/ü [1].txt" in ours


def test_a_link_replaces_an_older_one(pipeline: Pipeline) -> None:
    pipeline.do("export")
    first = pipeline.link("export").read_bytes()
    pipeline.notes.write_text("new")
    pipeline.do("export")
    assert pipeline.link("export").read_bytes() != first
    assert len(list(pipeline.links.iterdir())) == 1


def test_a_step_may_create_the_registry(pipeline: Pipeline) -> None:
    registry = pipeline.repository.registry
    text = registry.read_bytes()
    registry.unlink()
    pipeline.do("export", change=lambda _: registry.write_bytes(text))
    said = payload(pipeline.link("export"))
    assert said["products"].keys() - said["materials"].keys() == {"model/registry.json"}


def test_the_private_key_is_in_no_link_and_no_layout(pipeline: Pipeline) -> None:
    pipeline.release()
    secret = b"".join(pipeline.key("ci").private.read_bytes().splitlines()[1:-1])
    for path in (pipeline.layout, *pipeline.links.iterdir()):
        text = path.read_bytes() + json.dumps(payload(path)).encode()
        assert b"PRIVATE" not in text
        assert secret[:40] not in text


# --- files that a link cannot contain -------------------------------------------------------------


def row(**fields: Any) -> Change:
    """Add a complete row with its sidecar."""

    def change(pipeline: Pipeline) -> None:
        repository = pipeline.repository
        repository.add_sidecar(repository.add("linked", smoke=False, **fields))
        repository.save()

    return change


def row_with_data(name: str) -> Change:
    def change(pipeline: Pipeline) -> None:
        weights = pipeline.repository.write(name, data(24)).read_bytes()
        content = model(salt=99, external=External(name))
        row(content=content, external_data_sha256={name: sha256(weights)})(pipeline)

    return change


def file(path: str) -> Change:
    return lambda pipeline: pipeline.repository.write(f"../{path}", "x")


EXCLUDED = [
    (row(onnx="m.link.onnx"), "model/m.link.json", "*.link*"),
    (row(onnx="m.onnx~"), "model/m.onnx~", "*~"),
    (row(onnx="m.pyc"), "model/m.pyc", "*.pyc"),
    (row(onnx="m.link"), "model/m.link", "*.link*"),
    (row(sigstore_bundle="../bundles/m.link.sigstore.json"), "bundles/m.link.sig", "*.link*"),
    (row(sigstore_bundle="../.git/m.sigstore.json"), ".git/", ".git"),
    (row_with_data("weights~"), "model/weights~", "*~"),
    (file("model/seeds.link.json"), "model/seeds.link.json", "*.link*"),
    (file("bundles/a.link.sigstore.json"), "bundles/a.link.sigstore.json", "*.link*"),
    (file("model/x.link/deep.txt"), "model/x.link/", "*.link*"),
    (file("model/old~/deep.txt"), "model/old~/", "*~"),
    (file("model/old.pyc/deep.txt"), "model/old.pyc/", "*.pyc"),
]
"""A change that makes a file part of the release, the file, and the pattern that excludes it."""


@pytest.mark.parametrize(("make", "path", "pattern"), EXCLUDED, ids=[e[1] for e in EXCLUDED])
@pytest.mark.parametrize("when", ["before", "during", "layout"])
def test_a_file_that_in_toto_excludes_stops_the_step_and_the_layout(
    pipeline: Pipeline, make: Change, path: str, pattern: str, when: str
) -> None:
    if when != "during":
        make(pipeline)
    why = f"a link cannot contain it: .*`{re.escape(pattern)}`"
    change = make if when == "during" else None
    do = write_layout if when == "layout" else lambda p: p.do("export", change=change)
    with pytest.raises(InputError, match=why) as caught:
        do(pipeline)
    assert path in str(caught.value) or "more are part of" in str(caught.value)
    assert "Rename it" in (caught.value.help or "")
    assert not pipeline.links.exists()


def test_a_configuration_that_in_toto_excludes_stops_the_step(pipeline: Pipeline) -> None:
    config = pipeline.root / "x.link.toml"
    (pipeline.root / "provenance.toml").rename(config)
    step = provenance.record_step(
        "check",
        provenance.load_config(pipeline.root, config),
        pipeline.links,
        pipeline.key("ci").signer,
    )
    with pytest.raises(InputError, match=r"'x\.link\.toml' is part of the release"), step:
        pass


def test_a_registry_in_a_folder_that_in_toto_excludes_stops_the_step(pipeline: Pipeline) -> None:
    (pipeline.root / "model").rename(pipeline.root / "model.link")
    pipeline.repository.folder = "model.link"
    pipeline.repository.save()
    with pytest.raises(InputError, match=r"'model\.link/' is part of the release.*\*`"):
        pipeline.do("check")


def add_fifo(pipeline: Pipeline) -> None:
    os.mkfifo(pipeline.root / "model" / "pipe")


def add_socket(pipeline: Pipeline) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(pipeline.root / "model" / "socket"))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (add_fifo, "is a FIFO"),
        (add_socket, "is not a regular file"),
        (
            lambda p: p.repository.path("out.txt").symlink_to("/etc/hostname"),
            "is a link that leaves the repository",
        ),
        (
            lambda p: p.repository.path("folder").symlink_to(p.root / "keys"),
            "is a folder, not a regular file",
        ),
        (
            lambda p: p.repository.write(os.fsdecode(b"\xff.txt"), "x"),
            "cannot be recorded: it is not UTF-8",
        ),
        (lambda p: p.repository.write("a\\b.txt", "x"), "contains a backslash"),
    ],
    ids=["FIFO", "socket", "link out", "link to a folder", "not UTF-8", "backslash"],
)
@pytest.mark.parametrize("during", [False, True])
def test_a_file_that_cannot_be_recorded_stops_the_step(
    pipeline: Pipeline, make: Change, why: str, during: bool
) -> None:
    if not during:
        make(pipeline)
    with pytest.raises(InputError, match=why):
        pipeline.do("export", change=make if during else None)
    assert not pipeline.links.exists()


@pytest.mark.parametrize("end", [".txt", ".link.txt"])
def test_the_number_of_files_is_bounded(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(limits, "FOLDER_ENTRIES", 3)
    for number in range(4):
        file(f"many/{number}{end}")(pipeline)
    with pytest.raises(InputError, match="more than 3 files below"):
        inventory.inventory(Tree.at(pipeline.root), ["many"])


def test_a_missing_folder_is_empty(pipeline: Pipeline) -> None:
    found = inventory.inventory(Tree.at(pipeline.root), ["nowhere"])
    assert found == inventory.Inventory((), ())


@pytest.mark.parametrize(
    ("call", "error", "why"),
    [
        ("os.scandir", PermissionError(13, "denied"), "cannot list '.*': denied"),
        ("provenance.artifacts.digest.of_stream", OSError(5, "I/O error"), "I/O error"),
    ],
)
def test_a_folder_or_file_that_cannot_be_read_stops_the_step(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, call: str, error: OSError, why: str
) -> None:
    def refuse(*_: object) -> None:
        raise error

    config = pipeline.repository.config
    monkeypatch.setattr(call, refuse)
    with pytest.raises(InputError, match=why):
        snapshot.take(config)


# --- when no link is written ----------------------------------------------------------------------


def test_a_step_that_fails_writes_no_link(pipeline: Pipeline) -> None:
    with pytest.raises(RuntimeError, match="out of clips"), record(pipeline):
        raise RuntimeError("out of clips")
    with record(pipeline) as step:
        step.succeeded(False)
    assert (step.link, pipeline.links.exists()) == (None, False)


@pytest.mark.parametrize("folder", ["model", "model/links", "bundles"])
def test_links_are_kept_apart_from_the_files(pipeline: Pipeline, folder: str) -> None:
    with (
        pytest.raises(InputError, match="whose files are recorded"),
        record(pipeline, links=pipeline.root / folder),
    ):
        pass


def test_a_folder_for_links_that_cannot_be_made_is_an_error(pipeline: Pipeline) -> None:
    nowhere = pipeline.outside / "a" / "b"
    with pytest.raises(InputError, match="does not exist"), record(pipeline, links=nowhere):
        pass
    with pytest.raises(InputError, match="cannot make the folder"), record(pipeline):
        pipeline.links.symlink_to("nowhere")


def test_a_link_is_not_written_through_a_symbolic_link(pipeline: Pipeline) -> None:
    pipeline.links.mkdir()
    name = f"check.{pipeline.key_id('ci')[:8]}.link"
    (pipeline.links / name).symlink_to(pipeline.sidecar)
    before = pipeline.sidecar.read_bytes()
    with pytest.raises(InputError, match="is a link, expected a regular file"):
        pipeline.do("check")
    assert pipeline.sidecar.read_bytes() == before


@pytest.mark.parametrize("name", ["", "../check", "a/b", ".hidden", "x" * 65])
def test_an_invalid_name_of_a_step_is_an_error(pipeline: Pipeline, name: str) -> None:
    with pytest.raises(InputError, match="is not a valid name for a step"):
        pipeline.do(name, by="ci")


# --- the key of a link ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("keyless", "in-toto supports keys only"),
        ("file:/nowhere.key", "does not exist"),
        ("file:{public}", "a public key"),
        ("kms:k", "--link-key kms: unknown kind of signer"),
    ],
)
def test_a_key_that_cannot_sign_a_link_is_an_error(pipeline: Pipeline, uri: str, why: str) -> None:
    key = uri.format(public=pipeline.key("ci").public)
    with pytest.raises(InputError, match=why), record(pipeline, uri=key):
        pass


def test_an_encrypted_key_signs_a_link_with_its_passphrase(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    encrypted = tmp_path / "ci.key"
    encrypted.write_bytes(private_pem(pipeline.key("ci").key, b"correct horse"))
    asked: list[str] = []

    def ask(what: str) -> str:
        asked.append(what)
        return "correct horse"

    with record(pipeline, uri=f"file:{encrypted}", ask=ask) as step:
        pass
    assert step.link is not None
    assert asked == [f"passphrase of the key {encrypted}"]


def test_a_key_in_a_kms_signs_a_link_if_its_public_key_is_known(pipeline: Pipeline) -> None:
    key = pipeline.key("ci")
    arguments = ("check", "--link-dir", pipeline.links, "--link-key", "awskms:k")
    with aws(key) as environment:
        unknown = run_cli(*arguments, cwd=pipeline.root, env=environment)
        public = {"PROVENANCE_LINK_PUBLIC_KEY": str(key.public)}
        done = run_cli(*arguments, cwd=pipeline.root, env=environment | public)
    assert unknown.code == 2
    assert "--link-key awskms: the public key is missing" in unknown.err
    assert "in PROVENANCE_LINK_PUBLIC_KEY" in unknown.err
    assert (done.code, "link: " in done.err) == (0, True), done


def test_without_in_toto_the_error_names_the_extra(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec

    def absent(name: str, package: str | None = None) -> Any:
        return None if name == "in_toto" else find_spec(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", absent)
    for do in (lambda: pipeline.do("check"), pipeline.ours, lambda: write_layout(pipeline)):
        with pytest.raises(UnavailableError, match="in-toto, which is not installed") as caught:
            do()
        assert caught.value.help == "pip install 'onnx-provenance[layout]'"


# --- the layout -----------------------------------------------------------------------------------


def test_a_layout_names_the_keys_of_each_step_and_the_required_files(pipeline: Pipeline) -> None:
    said = payload(pipeline.layout)
    builder, ci, release = (pipeline.key_id(n) for n in ("builder", "ci", "release"))
    steps = {"export": [builder], "check": [ci], "sign": [release], "verify": [ci]}
    assert [(s["name"], s["pubkeys"]) for s in said["steps"]] == [*steps.items()]
    assert said["keys"].keys() == {builder, ci, release}
    required = required_files(pipeline)
    models = {"registry.json", "plain.json", "ext.onnx.data", "q.int8.onnx"}
    assert {f"model/{name}" for name in models} <= required
    assert {"provenance.toml", SUMMARY, "bundles/plain.onnx.sigstore.json"} <= required
    assert "model/notes.txt" not in required


def test_without_a_table_the_trusted_keys_may_perform_all_steps(pipeline: Pipeline) -> None:
    pipeline.configure("")
    pipeline.write_layout()
    said = payload(pipeline.layout)
    assert {tuple(s["pubkeys"]) for s in said["steps"]} == {(pipeline.key_id("release"),)}


def test_the_expiry_date_of_a_layout_is_its_last_day(pipeline: Pipeline) -> None:
    pipeline.configure(LAYOUT.replace("expires = 30", "expires = 2099-12-31"))
    assert write_layout(pipeline).expires == "2100-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("folder", "extra"),
    [("mod[el]*", "mod[el]*/extra.txt"), (".", "keys/extra.txt")],
    ids=["a folder whose name looks like a pattern", "the root"],
)
def test_a_registry_in_another_folder_is_a_release_like_any_other(
    tmp_path: Path, folder: str, extra: str
) -> None:
    pipeline = make_pipeline(tmp_path)
    repository, former = pipeline.repository, pipeline.root / "model"
    if folder == ".":
        for path in list(former.iterdir()):
            path.rename(pipeline.root / path.name)
        registry = pipeline.root / "registry.json"
        registry.write_text(registry.read_text("utf-8").replace("../bundles", "bundles"), "utf-8")
    else:
        former.rename(pipeline.root / folder)
    replace_once(pipeline.root / "provenance.toml", '"model/', f'"{folder}/'.replace("./", ""))
    repository.folder = folder
    pipeline.write_layout()
    pipeline.release()
    assert pipeline.in_toto() == 0, pipeline.said
    assert pipeline.ours().exit_code == 0
    (pipeline.root / extra).write_text("x")
    assert pipeline.refusal()[0] == "PIP011"


def test_only_so_many_files_are_required_by_name(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provenance.operations.layout.MOST_REQUIRED", 3)
    owner = pipeline.key("owner").signer
    done = pipeline.cli("layout", "--signer", owner, "--output", pipeline.layout)
    assert "not required by name: 15 of the files" in done.err
    assert required_files(pipeline) == {"provenance.toml", "model/registry.json", SUMMARY}


CHECK = "[[layout.step]]\nname = 'check'\n"
EXPIRES = "expected a date, or a number of days"
STEPS = "expected one of export, check, sign, verify"


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("[layout]\nexpire = 3", "unknown key `layout.expire`"),
        ("layout = 3", "`layout`: expected a table"),
        ("[layout]\nexpires = 0", EXPIRES),
        ("[layout]\nexpires = true", EXPIRES),
        ("[layout]\nexpires = 2030-01-01T00:00:00Z", EXPIRES),
        ("[layout]\nkeys = 'x.pub'", "`layout.keys`: expected a list of public key files"),
        ("[layout]\nstep = 3", "expected tables"),
        ("[[layout.step]]\nname = 'chek'", f"{STEPS}, found 'chek'"),
        ("[[layout.step]]\nname = 'zzz'", f"{STEPS}, found 'zzz'"),
        ("[[layout.step]]\nthreshold = 1", "`name` is missing; expected one of export"),
        (f"{CHECK}key = 'x'", "unknown key `layout.step.key`"),
        (f"{CHECK}threshold = 0", "`threshold`: expected a whole number"),
        (f"{CHECK}threshold = true", "`threshold`: expected a whole number"),
        (f"{CHECK}keys = ['']", "`keys`: expected a list"),
        (f"{CHECK}{CHECK}", "the step 'check' is repeated"),
    ],
)
def test_an_invalid_table_is_an_error(pipeline: Pipeline, table: str, why: str) -> None:
    config = pipeline.root / "provenance.toml"
    config.write_text(f'registry = "r.json"\n{table}\n', "utf-8")
    with pytest.raises(InputError, match=re.escape(why)):
        provenance.load_config(pipeline.root)


@pytest.mark.parametrize(
    ("table", "trusted", "why"),
    [
        ("[layout]\nkeys = ['nowhere.pub']", True, "layout key: 'nowhere.pub' does not exist"),
        ("[layout]\nkeys = ['../outside/keys/ci.pub']", True, "leaves the repository"),
        ("[layout]\nkeys = ['provenance.toml']", True, "provenance.toml: not an ECDSA P-256 key"),
        (
            "[[layout.step]]\nname = 'sign'\nthreshold = 2",
            True,
            "has a threshold of 2: expected as many different keys, found 1",
        ),
        ("", False, "no key may perform the step 'export'"),
    ],
)
def test_a_layout_that_cannot_be_fulfilled_is_refused(
    pipeline: Pipeline, table: str, trusted: bool, why: str
) -> None:
    if not trusted:
        pipeline.repository.key = None
    pipeline.configure(table)
    with pytest.raises(InputError, match=why):
        write_layout(pipeline)


def test_a_layout_that_in_toto_does_not_accept_is_not_signed() -> None:
    with pytest.raises(InputError, match="in-toto does not accept the layout"):
        layouts.layout(
            [layouts.Step(s, ()) for s in layouts.STEPS],
            expires="some day",
            folders=(),
            bundle_folders=(),
            others=(),
            required=(),
        )


def test_the_layout_is_not_part_of_the_signed_policy(pipeline: Pipeline) -> None:
    before = pipeline.repository.config.policy_sha256
    pipeline.configure(LAYOUT.replace("30", "31"))
    assert pipeline.repository.config.policy_sha256 == before


def test_an_rsa_key_signs_no_layout(pipeline: Pipeline) -> None:
    path = pipeline.outside / "rsa.key"
    path.write_bytes(PRIVATE["rsa"]())
    with pytest.raises(InputError, match="an RSA key"):
        write_layout(pipeline, f"file:{path}")


# --- the command line -----------------------------------------------------------------------------


def verify_arguments(pipeline: Pipeline) -> tuple[str | Path, ...]:
    return ("verify", "--layout", pipeline.layout, "--layout-key", pipeline.key("owner").public)


def test_the_commands_record_their_steps(pipeline: Pipeline) -> None:
    links = ("--link-dir", "../outside/links", "--link-key")
    pipeline.do("export")
    for command, by in (("check", "ci"), ("release", "release"), ("verify", "ci")):
        signer = ("--signer", pipeline.key("release").signer) if command == "release" else ()
        done = pipeline.cli(command, *signer, *links, pipeline.key(by).signer)
        assert done.code == 0, done.out + done.err
        step = {"release": "sign"}.get(command, command)
        assert f"link: ../outside/links/{pipeline.link(step, by).name}" in done.err
    assert pipeline.in_toto() == 0, pipeline.said
    done = pipeline.cli(*verify_arguments(pipeline), "--link-dir", pipeline.links)
    assert done.code == 0, done.out


def test_the_key_of_links_may_be_in_the_environment(pipeline: Pipeline) -> None:
    environment = {"PROVENANCE_LINK_KEY": pipeline.key("ci").signer}
    done = run_cli("check", "--link-dir", pipeline.links, cwd=pipeline.root, env=environment)
    assert (done.code, pipeline.link("check").exists()) == (0, True)
    pipeline.release()
    key = pipeline.key("release").public
    bundle = pipeline.root / "bundles" / "plain.onnx.sigstore.json"
    for arguments in (  # commands that record nothing ignore it
        ("check",),
        ("verify-model", "model/plain.onnx", "--bundle", bundle, "--key", key),
        (*verify_arguments(pipeline), "--link-dir", pipeline.links),
    ):
        done = run_cli(*arguments, cwd=pipeline.root, env=environment)
        assert done.code == 0, done


def test_links_lie_beside_the_layout_by_default(pipeline: Pipeline) -> None:
    pipeline.release()
    moved = pipeline.layout.rename(pipeline.links / "release.layout")
    owner = pipeline.key("owner").public
    assert pipeline.cli("verify", "--layout", moved, "--layout-key", owner).code == 0


@pytest.mark.parametrize("command", ["check", "verify", "release"])
def test_a_command_with_findings_writes_no_link(pipeline: Pipeline, command: str) -> None:
    pipeline.repository.edit_registry('"id": "plain",', '"id": "plain", "license": "",')
    signer = ("--signer", pipeline.key("release").signer) if command == "release" else ()
    link = ("--link-dir", pipeline.links, "--link-key", pipeline.key("ci").signer)
    assert pipeline.cli(command, *signer, *link).code == 1
    assert not pipeline.links.exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("check plain --link-dir x --link-key file:k", "do not name rows"),
        ("check --fix --link-dir x --link-key file:k", "--fix cannot be used with --link-dir"),
        ("check --link-dir x", "no key to sign the link with"),
        ("check --link-key file:k", "--link-key needs --link-dir"),
        ("verify plain --link-dir x --link-key file:k", "do not name rows"),
        ("verify plain --layout x", "do not name rows"),
        ("verify --link-key file:k", "--link-key needs --link-dir DIR"),
        ("verify plain --link-key file:k", "--link-key needs --link-dir DIR"),
        ("verify --layout-key x", "--layout-key needs --layout"),
        ("verify --layout x", "--layout-key owner.pub"),
        (
            "verify --layout x --layout-key k --link-dir keys --link-key file:k",
            "--link-key and --layout cannot be used together",
        ),
        (
            "verify --layout x --layout-key k --link-dir keys --link-key file:k",
            "first record the step `verify` without --layout",
        ),
        ("layout", "--signer"),
    ],
)
def test_options_that_do_not_go_together_are_an_error(
    pipeline: Pipeline, arguments: str, why: str
) -> None:
    done = pipeline.cli(*arguments.split())
    assert (done.code, why in done.err) == (2, True), done.err


@pytest.mark.parametrize("missing", ["layout", "links"])
def test_a_layout_or_folder_of_links_that_is_missing_is_an_error(
    pipeline: Pipeline, missing: str
) -> None:
    pipeline.release()
    if missing == "layout":
        pipeline.layout.unlink()
    folder = pipeline.links if missing == "layout" else pipeline.outside / "nowhere"
    done = pipeline.cli(*verify_arguments(pipeline), "--link-dir", folder)
    why = {"layout": "does not exist", "links": "not a folder"}[missing]
    assert (done.code, why in done.err) == (2, True), done.err


def test_the_number_of_links_is_bounded(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.release()
    monkeypatch.setattr(limits, "LINK_FILES", 3)
    with pytest.raises(InputError, match="more than 3 files"):
        pipeline.ours()


def test_a_folder_of_links_that_cannot_be_listed_is_an_error(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.release()
    listdir: Callable[[Any], list[str]] = os.listdir

    def refuse(path: Any = ".") -> list[str]:
        if Path(path) == pipeline.links:
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        pipeline.ours()


def test_the_layout_goes_to_standard_output_as_one_document(pipeline: Pipeline) -> None:
    signer = ("layout", "--signer", pipeline.key("owner").signer)
    plain, as_json = pipeline.cli(*signer), pipeline.cli(*signer, "--format", "json")
    assert plain.json.keys() == as_json.json.keys() == {"payload", "payloadType", "signatures"}
    assert "export: 1 of keys/builder.pub" in plain.err
