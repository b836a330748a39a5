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
from provenance.attestations import layout as layouts
from provenance.errors import InputError, UnavailableError
from provenance.evidence import snapshot
from tests.support.command import run_cli
from tests.support.keys import PRIVATE, private_pem
from tests.support.kms import aws
from tests.support.models import External, data, model
from tests.support.pipeline import LAYOUT, Pipeline, copied, make_pipeline
from tests.support.repository import sha256


@pytest.fixture(scope="module")
def with_layout(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A pipeline with its layout, of which no step is done. Not to be changed: copy it."""
    return make_pipeline(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture
def pipeline(with_layout: Pipeline, tmp_path: Path) -> Pipeline:
    return copied(with_layout, tmp_path)


def payload(path: Path) -> Any:
    """What a link or layout says."""
    return json.loads(base64.b64decode(json.loads(path.read_bytes())["payload"]))


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
    from in_toto.runlib import record_artifacts_as_dict

    (pipeline.root / "model" / "deep" / "er").mkdir(parents=True)
    (pipeline.root / "model" / "deep" / "er" / "ü [1].txt").write_text("x")
    (pipeline.root / "model" / "twice.txt").symlink_to("notes.txt")
    for left_out in ("a.link", "c.pyc", "d~"):
        (pipeline.root / "model" / left_out).write_text("x")
    (pipeline.root / "model" / ".git").mkdir()
    (pipeline.root / "model" / ".git" / "HEAD").write_text("x")
    pipeline.repository.release()
    theirs = record_artifacts_as_dict(
        ["model", "bundles", "provenance.toml"], base_path=str(pipeline.root)
    )
    ours = snapshot.take(pipeline.repository.config)
    assert {path: {"sha256": found} for path, found in ours.items()} == theirs
    assert "model/deep/er/ü [1].txt" in ours


def test_what_is_left_out_is_what_in_toto_leaves_out() -> None:
    from in_toto import settings

    assert list(inventory.LEFT_OUT) == settings.ARTIFACT_EXCLUDE_PATTERNS


def _row(**fields: Any) -> Callable[[Pipeline], None]:
    """What adds a row, complete, with its sidecar; its links and bundles are wherever they are."""

    def change(pipeline: Pipeline) -> None:
        repository = pipeline.repository
        repository.add_sidecar(repository.add("linked", smoke=False, **fields))
        repository.save()

    return change


def _data(name: str) -> Callable[[Pipeline], None]:
    """What adds a model with its weights in `name`."""

    def change(pipeline: Pipeline) -> None:
        weights = pipeline.repository.write(name, data(24)).read_bytes()
        content = model(salt=99, external=External(name))
        _row(content=content, external_data_sha256={name: sha256(weights)})(pipeline)

    return change


def _file(path: str) -> Callable[[Pipeline], None]:
    """What writes a file below the root."""

    def change(pipeline: Pipeline) -> None:
        target = pipeline.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("x")

    return change


UNSEEN = [
    (_row(onnx="m.link.onnx"), "model/m.link.json", "*.link*"),
    (_row(onnx="m.onnx~"), "model/m.onnx~", "*~"),
    (_row(onnx="m.pyc"), "model/m.pyc", "*.pyc"),
    (_row(onnx="m.link"), "model/m.link", "*.link*"),
    (_row(sigstore_bundle="../bundles/m.link.sigstore.json"), "bundles/m.link.sig", "*.link*"),
    (_row(sigstore_bundle="../.git/m.sigstore.json"), ".git/", ".git"),
    (_data("weights~"), "model/weights~", "*~"),
    (_file("model/seeds.link.json"), "model/seeds.link.json", "*.link*"),
    (_file("bundles/a.link.sigstore.json"), "bundles/a.link.sigstore.json", "*.link*"),
    (_file("model/x.link/deep.txt"), "model/x.link/", "*.link*"),
    (_file("model/old~/deep.txt"), "model/old~/", "*~"),
    (_file("model/old.pyc/deep.txt"), "model/old.pyc/", "*.pyc"),
]
"""What makes something of the release that in-toto leaves out, what it is, and by what pattern."""


@pytest.mark.parametrize(("make", "path", "pattern"), UNSEEN)
@pytest.mark.parametrize("during", [False, True])
def test_a_file_that_links_cannot_contain_stops_the_step(
    pipeline: Pipeline, make: Callable[[Pipeline], None], path: str, pattern: str, during: bool
) -> None:
    if not during:
        make(pipeline)
    with pytest.raises(
        InputError, match=f"a link cannot contain it: .*`{re.escape(pattern)}`"
    ) as caught:
        pipeline.do("export", change=make if during else None)
    assert path in str(caught.value) or "more are part of" in str(caught.value)
    assert "Rename it" in (caught.value.help or "")
    assert not pipeline.links.exists()


@pytest.mark.parametrize(("make", "path", "pattern"), UNSEEN)
def test_a_file_that_links_cannot_contain_stops_the_layout(
    pipeline: Pipeline, make: Callable[[Pipeline], None], path: str, pattern: str
) -> None:
    make(pipeline)
    with pytest.raises(InputError, match=f"a link cannot contain it: .*`{re.escape(pattern)}`"):
        provenance.layout(pipeline.repository.config, pipeline.key("owner").signer)


def test_a_configuration_that_links_cannot_contain_stops_the_step(pipeline: Pipeline) -> None:
    (pipeline.root / "provenance.toml").rename(pipeline.root / "x.link.toml")
    config = provenance.load_config(pipeline.root, pipeline.root / "x.link.toml")
    key = pipeline.key("ci").signer
    with (
        pytest.raises(InputError, match=r"'x\.link\.toml' is part of the release"),
        provenance.record_step("check", config, pipeline.links, key),
    ):
        pass


def test_a_registry_in_a_folder_that_links_cannot_contain_stops_the_step(
    pipeline: Pipeline,
) -> None:
    (pipeline.root / "model").rename(pipeline.root / "model.link")
    pipeline.repository.folder = "model.link"
    pipeline.repository.save()
    with pytest.raises(InputError, match=r"'model\.link/' is part of the release.*\*`$"):
        pipeline.do("check")


def test_a_step_that_fails_writes_nothing(pipeline: Pipeline) -> None:
    def fail(_pipeline: Pipeline) -> None:
        raise RuntimeError("out of clips")

    with pytest.raises(RuntimeError, match="out of clips"):
        pipeline.do("export", change=fail)
    assert not pipeline.links.exists()


def test_a_step_that_does_not_succeed_writes_nothing(pipeline: Pipeline) -> None:
    key = pipeline.key("ci").signer
    with provenance.record_step("x", pipeline.repository.config, pipeline.links, key) as step:
        step.succeeded(False)
    assert (step.link, pipeline.links.exists()) == (None, False)


def test_a_link_takes_the_place_of_an_older_one(pipeline: Pipeline) -> None:
    pipeline.do("export")
    first = pipeline.link("export").read_bytes()
    pipeline.notes.write_text("new")
    pipeline.do("export")
    assert pipeline.link("export").read_bytes() != first
    assert len(list(pipeline.links.iterdir())) == 1


def _fifo(pipeline: Pipeline) -> None:
    os.mkfifo(pipeline.root / "model" / "pipe")


def _socket(pipeline: Pipeline) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(pipeline.root / "model" / "socket"))


def _link_out(pipeline: Pipeline) -> None:
    (pipeline.root / "model" / "out.txt").symlink_to("/etc/hostname")


def _folder_link(pipeline: Pipeline) -> None:
    (pipeline.root / "model" / "folder").symlink_to(pipeline.root / "keys")


def _not_utf8(pipeline: Pipeline) -> None:
    Path(os.fsdecode(os.fsencode(pipeline.root / "model") + b"/\xff.txt")).write_text("x")


def _backslash(pipeline: Pipeline) -> None:
    (pipeline.root / "model" / "a\\b.txt").write_text("x")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_fifo, "is a FIFO"),
        (_socket, "is not a regular file"),
        (_link_out, "is a link that leaves the repository"),
        (_folder_link, "is a folder, not a regular file"),
        (_not_utf8, "cannot be recorded: it is not UTF-8"),
        (_backslash, "contains a backslash"),
    ],
)
def test_what_cannot_be_recorded_stops_the_step(
    pipeline: Pipeline, make: Callable[[Pipeline], None], why: str
) -> None:
    make(pipeline)
    with pytest.raises(InputError, match=why):
        pipeline.do("check")
    assert not pipeline.links.exists()


def test_what_cannot_be_recorded_afterwards_writes_no_link(pipeline: Pipeline) -> None:
    with pytest.raises(InputError, match="FIFO"):
        pipeline.do("export", change=_fifo)
    assert not pipeline.links.exists()


@pytest.mark.parametrize("end", [".txt", ".link.txt"])
def test_too_many_files(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setattr(limits, "FOLDER_ENTRIES", 3)
    for number in range(4):
        _file(f"many/{number}{end}")(pipeline)
    with pytest.raises(InputError, match="more than 3 files below"):
        inventory.inventory(provenance_tree(pipeline), ["many"])


def test_a_folder_that_cannot_be_listed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match="cannot list 'model': Permission denied"):
        inventory.inventory(provenance_tree(pipeline), ["model"])


def test_a_folder_that_is_not_there_holds_nothing(pipeline: Pipeline) -> None:
    found = inventory.inventory(provenance_tree(pipeline), ["nowhere"])
    assert found == inventory.Inventory((), ())


def provenance_tree(pipeline: Pipeline) -> Any:
    from provenance.artifacts.paths import Tree

    return Tree.at(pipeline.root)


def test_a_file_that_cannot_be_read_to_its_end(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("provenance.artifacts.digest.of_stream", refuse)
    with pytest.raises(InputError, match="Input/output error"):
        pipeline.do("check")


def test_a_registry_that_is_yet_to_be_made(tmp_path: Path, pipeline: Pipeline) -> None:
    registry = pipeline.repository.registry
    text = registry.read_bytes()
    registry.unlink()
    pipeline.do("export", change=lambda _p: registry.write_bytes(text))
    said = payload(pipeline.link("export"))
    assert said["products"].keys() - said["materials"].keys() == {"model/registry.json"}


@pytest.mark.parametrize("folder", ["model", "model/links", "bundles"])
def test_links_are_kept_apart_from_the_files(pipeline: Pipeline, folder: str) -> None:
    key = pipeline.key("ci").signer
    config = pipeline.repository.config
    with (
        pytest.raises(InputError, match="whose files are recorded"),
        provenance.record_step("check", config, pipeline.root / folder, key),
    ):
        pass


def test_a_folder_for_links_that_cannot_be_made(pipeline: Pipeline) -> None:
    key = pipeline.key("ci").signer
    config = pipeline.repository.config
    nowhere = pipeline.outside / "a" / "b"
    with (
        pytest.raises(InputError, match="does not exist"),
        provenance.record_step("check", config, nowhere, key),
    ):
        pass
    with (
        pytest.raises(InputError, match="cannot make the folder"),
        provenance.record_step("check", config, pipeline.links, key),
    ):
        pipeline.links.symlink_to("nowhere")


def test_a_link_is_not_written_through_a_link(pipeline: Pipeline) -> None:
    pipeline.links.mkdir()
    name = f"check.{pipeline.key_id('ci')[:8]}.link"
    (pipeline.links / name).symlink_to(pipeline.sidecar)
    before = pipeline.sidecar.read_bytes()
    with pytest.raises(InputError, match="is a link, expected a regular file"):
        pipeline.do("check")
    assert pipeline.sidecar.read_bytes() == before


@pytest.mark.parametrize("name", ["", "../check", "a/b", ".hidden", "x" * 65])
def test_an_invalid_name_of_a_step(pipeline: Pipeline, name: str) -> None:
    with pytest.raises(InputError, match="is not a valid name for a step"):
        pipeline.do(name, by="ci")


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("keyless", "in-toto supports keys only"),
        ("file:/nowhere.key", "does not exist"),
        ("file:{public}", "a public key"),
        ("kms:k", "--link-key kms: unknown kind of signer"),
    ],
)
def test_a_key_that_cannot_sign(pipeline: Pipeline, uri: str, why: str) -> None:
    key = uri.format(public=pipeline.key("ci").public)
    with (
        pytest.raises(InputError, match=why),
        provenance.record_step("check", pipeline.repository.config, pipeline.links, key),
    ):
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

    config, uri = pipeline.repository.config, f"file:{encrypted}"
    with provenance.record_step("check", config, pipeline.links, uri, ask=ask) as step:
        pass
    assert step.link is not None
    assert asked == [f"passphrase of the key {encrypted}"]


def test_a_key_in_a_kms_signs_a_link_where_its_public_key_is_known(pipeline: Pipeline) -> None:
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


def test_the_private_key_is_in_no_link_and_no_layout(pipeline: Pipeline) -> None:
    pipeline.release()
    secret = b"".join(pipeline.key("ci").private.read_bytes().splitlines()[1:-1])
    for path in (pipeline.layout, *pipeline.links.iterdir()):
        text = path.read_bytes() + json.dumps(payload(path)).encode()
        assert b"PRIVATE" not in text
        assert secret[:40] not in text


def test_without_in_toto_the_extra_is_named(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec

    def absent(name: str, package: str | None = None) -> Any:
        return None if name == "in_toto" else find_spec(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", absent)
    for do in (
        lambda: pipeline.do("check"),
        pipeline.ours,
        lambda: provenance.layout(pipeline.repository.config, pipeline.key("owner").signer),
    ):
        with pytest.raises(UnavailableError, match="in-toto, which is not installed") as caught:
            do()
        assert caught.value.help == "pip install 'onnx-provenance[layout]'"


# --- the layout ----------------------------------------------------------------------------------


def test_a_layout_says_who_may_do_what(pipeline: Pipeline) -> None:
    said = payload(pipeline.layout)
    builder, ci, release = (pipeline.key_id(n) for n in ("builder", "ci", "release"))
    assert [(s["name"], s["pubkeys"]) for s in said["steps"]] == [
        *(("export", [builder]), ("check", [ci])),
        *(("sign", [release]), ("verify", [ci])),
    ]
    assert said["keys"].keys() == {builder, ci, release}
    (inspection,) = said["inspect"]
    assert inspection["run"] == ["true"]
    required = {rule[1] for rule in inspection["expected_materials"] if rule[0] == "REQUIRE"}
    assert {"provenance.toml", "model/registry.json", "model/plain.json"} <= required
    assert {"model/ext.onnx.data", "model/q.int8.onnx"} <= required
    assert "bundles/registry.json.vsa.sigstore.json" in required
    assert "bundles/plain.onnx.sigstore.json" in required
    assert "model/notes.txt" not in required


def test_without_a_table_the_trusted_keys_may_do_all_steps(pipeline: Pipeline) -> None:
    pipeline.configure("")
    pipeline.write_layout()
    said = payload(pipeline.layout)
    assert {tuple(s["pubkeys"]) for s in said["steps"]} == {(pipeline.key_id("release"),)}


def test_a_layout_is_for_a_number_of_days_or_until_a_date(pipeline: Pipeline) -> None:
    pipeline.configure(LAYOUT.replace("expires = 30", "expires = 2099-12-31"))
    made = provenance.layout(pipeline.repository.config, pipeline.key("owner").signer)
    assert made.expires == "2100-01-01T00:00:00Z"  # the date is the last day


def test_names_with_patterns_in_them_are_names(tmp_path: Path) -> None:
    pipeline = make_pipeline(tmp_path / "plain")
    moved = pipeline.root / "mod[el]*"
    (pipeline.root / "model").rename(moved)
    config = pipeline.root / "provenance.toml"
    text = config.read_text("utf-8").replace("model/registry.json", "mod[el]*/registry.json")
    config.write_text(text, "utf-8")
    pipeline.repository.folder = "mod[el]*"
    pipeline.write_layout()
    pipeline.release()
    assert pipeline.in_toto() == 0, pipeline.said
    assert pipeline.ours().exit_code == 0
    (moved / "extra.txt").write_text("x")
    assert pipeline.refusal()[0] == "PIP011"


def test_a_registry_at_the_root_makes_the_whole_repository_the_release(tmp_path: Path) -> None:
    pipeline = make_pipeline(tmp_path)
    for path in list((pipeline.root / "model").iterdir()):
        path.rename(pipeline.root / path.name)
    registry = pipeline.root / "registry.json"
    registry.write_text(registry.read_text("utf-8").replace("../bundles", "bundles"), "utf-8")
    config = pipeline.root / "provenance.toml"
    config.write_text(config.read_text("utf-8").replace("model/", ""), "utf-8")
    pipeline.repository.folder = "."
    pipeline.write_layout()
    pipeline.release()
    assert pipeline.in_toto() == 0, pipeline.said
    assert pipeline.ours().exit_code == 0
    (pipeline.root / "keys" / "extra.txt").write_text("x")
    assert pipeline.refusal()[0] == "PIP011"


def test_more_files_than_in_toto_bears_are_not_required_by_name(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provenance.operations.layout.MOST_REQUIRED", 3)
    done = pipeline.cli(
        *("layout", "--signer", pipeline.key("owner").signer, "--output", pipeline.layout)
    )
    assert "not required by name: 15 of the files" in done.err
    (inspection,) = payload(pipeline.layout)["inspect"]
    required = {rule[1] for rule in inspection["expected_materials"] if rule[0] == "REQUIRE"}
    summary = "bundles/registry.json.vsa.sigstore.json"
    assert required == {"provenance.toml", "model/registry.json", summary}


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("[layout]\nexpire = 3", "unknown key `layout.expire`"),
        ("layout = 3", "`layout`: expected a table"),
        ("[layout]\nexpires = 0", "expected a date, or a number of days"),
        ("[layout]\nexpires = true", "expected a date, or a number of days"),
        ("[layout]\nexpires = 2030-01-01T00:00:00Z", "expected a date, or a number of days"),
        ("[layout]\nkeys = 'x.pub'", "`layout.keys`: expected a list of public key files"),
        (
            "[[layout.step]]\nname = 'chek'",
            "expected one of export, check, sign, verify, found 'chek'",
        ),
        (
            "[[layout.step]]\nname = 'zzz'",
            "expected one of export, check, sign, verify, found 'zzz'",
        ),
        ("[[layout.step]]\nthreshold = 1", "`name` is missing; expected one of export"),
        ("[[layout.step]]\nname = 'check'\nkey = 'x'", "unknown key `layout.step.key`"),
        ("[[layout.step]]\nname = 'check'\nthreshold = 0", "`threshold`: expected a whole number"),
        (
            "[[layout.step]]\nname = 'check'\nthreshold = true",
            "`threshold`: expected a whole number",
        ),
        ("[[layout.step]]\nname = 'check'\nkeys = ['']", "`keys`: expected a list"),
        (
            "[[layout.step]]\nname = 'check'\n[[layout.step]]\nname = 'check'",
            "the step 'check' is repeated",
        ),
        ("[layout]\nstep = 3", "expected tables"),
    ],
)
def test_a_table_that_is_wrong(pipeline: Pipeline, table: str, why: str) -> None:
    config = pipeline.root / "provenance.toml"
    config.write_text(f'registry = "r.json"\n{table}\n', "utf-8")
    with pytest.raises(InputError, match=re.escape(why)):
        provenance.load_config(pipeline.root)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("[layout]\nkeys = ['nowhere.pub']", "layout key: 'nowhere.pub' does not exist"),
        ("[layout]\nkeys = ['../outside/keys/ci.pub']", "leaves the repository"),
        ("[layout]\nkeys = ['provenance.toml']", "provenance.toml: not an ECDSA P-256 key"),
        (
            "[[layout.step]]\nname = 'sign'\nthreshold = 2",
            "has a threshold of 2: expected as many different keys, found 1",
        ),
    ],
)
def test_a_layout_that_cannot_be_fulfilled_is_refused(
    pipeline: Pipeline, table: str, why: str
) -> None:
    pipeline.configure(table)
    with pytest.raises(InputError, match=why):
        provenance.layout(pipeline.repository.config, pipeline.key("owner").signer)


def test_a_layout_without_any_keys(pipeline: Pipeline) -> None:
    pipeline.repository.key = None
    pipeline.configure("")
    with pytest.raises(InputError, match="no key may perform the step 'export'"):
        provenance.layout(pipeline.repository.config, pipeline.key("owner").signer)


def test_in_toto_has_a_say_in_what_is_signed() -> None:
    with pytest.raises(InputError, match="in-toto does not accept the layout"):
        layouts.layout(
            [layouts.Step(s, ()) for s in layouts.STEPS],
            expires="some day",
            folders=(),
            bundle_folders=(),
            config=None,
            required=(),
        )


def test_the_layout_is_no_part_of_the_policy_that_is_signed_with_a_release(
    pipeline: Pipeline,
) -> None:
    before = pipeline.repository.config.policy_sha256
    pipeline.configure(LAYOUT.replace("30", "31"))
    assert pipeline.repository.config.policy_sha256 == before


def test_keys_of_other_kinds_are_refused(pipeline: Pipeline) -> None:
    path = pipeline.outside / "rsa.key"
    path.write_bytes(PRIVATE["rsa"]())
    with pytest.raises(InputError, match="an RSA key"):
        provenance.layout(pipeline.repository.config, f"file:{path}")


# --- the command line ----------------------------------------------------------------------------


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
    owner = pipeline.key("owner").public
    done = pipeline.cli(
        *("verify", "--layout", pipeline.layout, "--layout-key", owner),
        *("--link-dir", pipeline.links),
    )
    assert done.code == 0, done.out


def test_the_key_of_links_may_be_in_the_environment(pipeline: Pipeline) -> None:
    from tests.support.command import run_cli

    environment = {"PROVENANCE_LINK_KEY": pipeline.key("ci").signer}
    done = run_cli("check", "--link-dir", pipeline.links, cwd=pipeline.root, env=environment)
    assert (done.code, pipeline.link("check").exists()) == (0, True)
    # Elsewhere it waits for a command that records.
    assert run_cli("check", cwd=pipeline.root, env=environment).code == 0


def test_links_lie_beside_the_layout_unless_it_is_said(pipeline: Pipeline) -> None:
    pipeline.release()
    moved = pipeline.links / "release.layout"
    pipeline.layout.rename(moved)
    owner = pipeline.key("owner").public
    assert pipeline.cli("verify", "--layout", moved, "--layout-key", owner).code == 0


@pytest.mark.parametrize("command", ["check", "verify", "release"])
def test_a_command_that_finds_something_writes_no_link(pipeline: Pipeline, command: str) -> None:
    pipeline.repository.edit_registry('"id": "plain",', '"id": "plain", "license": "",')
    signer = ("--signer", pipeline.key("release").signer) if command == "release" else ()
    link = ("--link-dir", pipeline.links, "--link-key", pipeline.key("ci").signer)
    assert pipeline.cli(command, *signer, *link).code == 1
    assert not pipeline.links.exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["check", "plain", "--link-dir", "x", "--link-key", "file:k"], "do not name rows"),
        (
            ["check", "--fix", "--link-dir", "x", "--link-key", "file:k"],
            "--fix cannot be used with --link-dir",
        ),
        (["check", "--link-dir", "x"], "no key to sign the link with"),
        (["check", "--link-key", "file:k"], "--link-key needs --link-dir"),
        (["verify", "plain", "--link-dir", "x", "--link-key", "file:k"], "do not name rows"),
        (["verify", "plain", "--layout", "x"], "do not name rows"),
        (["verify", "--link-key", "file:k"], "--link-key needs --link-dir DIR"),
        (["verify", "plain", "--link-key", "file:k"], "--link-key needs --link-dir DIR"),
        (["verify", "--layout-key", "x"], "--layout-key needs --layout"),
    ],
)
def test_options_that_do_not_go_together(
    pipeline: Pipeline, arguments: list[str], why: str
) -> None:
    done = pipeline.cli(*arguments)
    assert (done.code, why in done.err) == (2, True), done.err


def test_a_step_is_recorded_before_its_layout_is_verified(pipeline: Pipeline) -> None:
    owner = pipeline.key("owner").public
    layout = ("verify", "--layout", pipeline.layout, "--layout-key", owner, "--link-dir", "keys")
    done = pipeline.cli(*layout, "--link-key", pipeline.key("ci").signer)
    assert (done.code, "--link-dir DIR" in done.err) == (2, False)
    assert "--link-key and --layout cannot be used together" in done.err
    assert "first record the step `verify` without --layout" in done.err


def test_a_key_of_links_in_the_environment_is_no_mistake_of_a_consumer(pipeline: Pipeline) -> None:
    pipeline.release()
    environment = {"PROVENANCE_LINK_KEY": pipeline.key("ci").signer}
    key, owner = pipeline.key("release").public, pipeline.key("owner").public
    bundle = pipeline.root / "bundles" / "plain.onnx.sigstore.json"
    for arguments in (
        ("verify-model", "model/plain.onnx", "--bundle", bundle, "--key", key),
        (
            "verify",
            "--layout",
            pipeline.layout,
            "--layout-key",
            owner,
            "--link-dir",
            pipeline.links,
        ),
    ):
        done = run_cli(*arguments, cwd=pipeline.root, env=environment)
        assert done.code == 0, done


def test_a_layout_needs_a_key_from_elsewhere(pipeline: Pipeline) -> None:
    done = pipeline.cli("verify", "--layout", pipeline.layout)
    assert done.code == 2
    assert "--layout-key owner.pub" in done.err


@pytest.mark.parametrize("what", ["layout", "links"])
def test_what_is_not_there_at_all_is_unreadable_input(pipeline: Pipeline, what: str) -> None:
    pipeline.release()
    if what == "layout":
        pipeline.layout.unlink()
    owner = pipeline.key("owner").public
    folder = pipeline.links if what == "layout" else pipeline.outside / "nowhere"
    done = pipeline.cli(
        *("verify", "--layout", pipeline.layout, "--layout-key", owner, "--link-dir", folder)
    )
    assert (done.code, "does not exist" in done.err or "not a folder" in done.err) == (2, True)


def test_a_folder_of_links_with_too_many_files(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.release()
    monkeypatch.setattr(limits, "LINK_FILES", 3)
    with pytest.raises(InputError, match="more than 3 files"):
        pipeline.ours()


def test_a_folder_of_links_that_cannot_be_listed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.release()
    listdir = os.listdir

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
    assert pipeline.cli("layout").code == 2
