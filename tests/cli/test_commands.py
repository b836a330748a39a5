# SPDX-License-Identifier: Apache-2.0
"""The command line, as users type it."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from provenance.cli import COMMANDS
from provenance.cli.options import cores
from provenance.gate.rules import CATALOGUE
from tests.support.command import run_cli, run_process
from tests.support.keys import KeyPair
from tests.support.models import External, data, model
from tests.support.repository import Repository


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = run_cli(command, "--help")
    assert result.code == 0
    assert COMMANDS[command].rstrip(".") in " ".join(result.out.split())
    examples = result.out.partition("Example")[2].splitlines()[1:]
    assert any(line.strip().startswith(f"provenance {command}") for line in examples)


CONSUMERS = {
    "verify-model": {"--bundle", "--summary", "--predicate-type", "--require", "--state"},
    "verify-release": {"--summary", "--require", "--state"},
    "verify-blob": {"--bundle", "--predicate-type"},
}
"""The commands that read no configuration, and the options that not all of them have."""
VERIFY = {"--run", "--layout", "--layout-key", "--link-dir", "--link-key", "--require", "--state"}


@pytest.mark.parametrize(("command", "own"), [("verify", VERIFY), *CONSUMERS.items()])
def test_a_command_that_verifies_has_no_option_of_another(command: str, own: set[str]) -> None:
    listed = set(re.findall(r"^  (--[a-z-]+)", run_cli(command, "--help").out, re.MULTILINE))
    options = VERIFY.union(*CONSUMERS.values())
    assert listed & options == own
    assert {"--key", "--trust", "--identity", "--issuer", "--trusted-root"} <= listed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_the_common_options(command: str) -> None:
    text = run_cli(command, "--help").out
    assert ("--config FILE" in text) == (command not in CONSUMERS)
    for option in ("-C DIR", "--format", "--output [FORMAT=]FILE", "--offline"):
        assert option in text
    for option in ("-q, --quiet", "-v, --verbose", "--no-color"):
        assert option in text


def test_the_help_lists_every_command_and_every_exit_code() -> None:
    result = run_cli("--help")
    assert result.code == 0
    for name, help in COMMANDS.items():
        assert f"  {name}" in result.out
        assert help in " ".join(result.out.split())
    words = " ".join(result.out.split())
    assert "0 verified, 1 findings, 2 usage" in words
    assert "3 nothing to verify, 4 could not verify" in words


def test_the_version_is_the_packages() -> None:
    from provenance import __version__

    assert run_cli("--version").out == f"provenance {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["verfy"], "Did you mean 'verify'?"),
        (["zzz"], "no command 'zzz'"),
        (["check", "--fromat", "json"], "--format"),
        (["check", "--format", "yaml"], "yaml"),
        (["verify", "--bundle", "b"], "--bundle"),
        (["verify", "--row", "a"], "--row"),
        (["verify", "a.onnx"], "provenance verify-model a.onnx --key"),
        (["verify-model", "--key", "k"], "FILE..."),
        (["verify-model", "a", "b", "--bundle", "b", "--key", "k"], "exactly one FILE"),
        (["verify-model", "a"], "no trusted signer"),
        (["verify-release", "a"], "no trusted signer"),
        (["verify-blob", "a", "--bundle", "b"], "no trusted signer"),
        (["verify-blob", "a", "--key", "k"], "--bundle"),
        (["verify-blob", "a", "--bundle", "b", "--require", "production"], "--require"),
        (
            ["verify", "--key", "k", "--trust", "t"],
            "--trust cannot be used with --key or --identity",
        ),
        (
            ["verify", "--identity", "a@example.org"],
            "--identity and --issuer must be given together",
        ),
        (
            ["verify", "--trusted-root", "r", "--staging"],
            "--trusted-root and --staging cannot be used together",
        ),
        (["inspect"], "BUNDLE"),
    ],
)
def test_what_is_typed_wrong_is_a_usage_error(typed: list[str], message: str) -> None:
    result = run_cli(*typed)
    assert result.code == 2
    assert result.out == ""
    assert message in result.err
    assert "Traceback" not in result.err


def test_no_command_shows_the_help() -> None:
    result = run_cli()
    assert result.code == 2
    assert "check" in result.out + result.err


def test_exit_codes_tell_the_outcomes_apart(repository: Repository) -> None:
    assert run_cli("check", cwd=repository.save().root).code == 3
    repository.add()
    root = repository.save().root
    assert run_cli("check", cwd=root).code == 0
    assert run_cli("verify", cwd=root).code == 1
    assert run_cli("release", cwd=root).code == 4
    assert run_cli("check", "none", cwd=root).code == 2


def test_the_result_is_on_standard_output_and_the_narration_on_standard_error(
    full: Repository, tmp_path: Path
) -> None:
    checked = run_cli("check", cwd=full.root)
    assert checked.out.endswith("of them smoke\n")
    assert checked.err == ""
    loud = run_cli("keygen", "one", cwd=tmp_path)
    assert "secret" in loud.err
    assert "secret" not in loud.out
    assert run_cli("keygen", "two", "-q", cwd=tmp_path).err == ""


def test_another_folder_is_worked_in(full: Repository, tmp_path: Path) -> None:
    assert run_cli("check", "-C", full.root, cwd=tmp_path).code == 0
    missing = run_cli("check", "-C", tmp_path / "none")
    assert missing.code == 2
    assert "not a folder" in missing.err


def test_another_folder_is_worked_in_by_a_command_that_is_named_after_it(
    full: Repository, tmp_path: Path
) -> None:
    assert run_cli("-C", full.root, "check", cwd=tmp_path).code == 0


def test_a_folder_before_the_command_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    result = run_cli("-C", tmp_path / "none", "check", cwd=tmp_path)
    assert result.code == 2
    assert "does not exist" in result.err


def test_another_configuration_is_used(full: Repository, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('registry = "model/registry.json"\n')
    (full.root / "provenance.toml").write_text("broken")
    assert run_cli("check", "--config", policy, cwd=full.root).code == 0
    assert run_cli("check", cwd=full.root).code == 2


def test_the_result_goes_to_a_file_where_that_is_asked(full: Repository) -> None:
    result = run_cli("check", "--format", "json", "--output", "report.json", cwd=full.root)
    assert (result.code, result.out) == (0, "")
    assert json.loads((full.root / "report.json").read_text())["verdict"] == "verified"


def test_a_result_that_cannot_be_written_is_an_error(full: Repository) -> None:
    result = run_cli("check", "--output", "model", cwd=full.root)
    assert result.code == 2
    assert "cannot write" in result.err


def test_colour_is_for_terminals_that_want_it(full: Repository) -> None:
    def coloured(*args: str, terminal: bool = True, **env: str) -> bool:
        result = run_cli("check", *args, cwd=full.root, terminal=terminal, env=env)
        return "\x1b[" in result.out

    assert coloured(TERM="xterm")
    assert not coloured(terminal=False)
    assert not coloured("--no-color", TERM="xterm")
    assert not coloured(NO_COLOR="1", TERM="xterm")
    assert not coloured(TERM="dumb")


def test_errors_are_coloured_on_terminals_that_want_it(tmp_path: Path) -> None:
    assert "\x1b[" in run_cli("check", cwd=tmp_path, terminal=True).err
    assert "\x1b[" not in run_cli("check", cwd=tmp_path, terminal=True, env={"NO_COLOR": "1"}).err
    assert "\x1b[" not in run_cli("check", cwd=tmp_path).err


def test_verbose_shows_every_row(full: Repository) -> None:
    text = run_cli("check", "-v", cwd=full.root).out
    for row in full.rows:
        assert f"ok   {row['id']}" in text


def test_the_package_runs_as_a_module(tmp_path: Path) -> None:
    result = run_process("check", cwd=tmp_path)
    assert result.code == 2
    assert result.err.startswith("error: no configuration")


def test_a_reader_that_goes_away_is_no_traceback(full: Repository) -> None:
    script = "exec 3>&1; { %s -m provenance rules -v; echo $? >&2; } | true"
    done = subprocess.run(
        ["sh", "-c", script % sys.executable],
        capture_output=True,
        text=True,
        cwd=full.root,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_reader_that_has_gone_changes_no_exit_code(full: Repository) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "provenance", "check"]
    with os.fdopen(writer, "w") as out:
        done = subprocess.run(
            command, stdout=out, stderr=subprocess.PIPE, cwd=full.root, timeout=60, check=False
        )
    assert done.returncode == 0
    assert done.stderr == b""


def test_interrupting_is_no_traceback(full: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    from provenance.operations import check

    def interrupt(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "check", interrupt)
    result = run_cli("check", cwd=full.root)
    assert (result.code, result.err.strip()) == (130, "error: interrupted")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "not enough memory"),
        (OSError(28, "No space left on device", "/x"), "/x: No space left on device"),
        (OSError(5, "Input/output error"), "input/output: Input/output error"),
    ],
)
def test_what_the_machine_refuses_is_an_error_of_exit_2(
    full: Repository, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    from provenance.operations import check

    def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    monkeypatch.setattr(check, "check", fail)
    result = run_cli("check", cwd=full.root)
    assert result.code == 2
    assert message in result.err


def test_a_defect_of_our_own_is_no_verdict(
    full: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provenance.operations import check

    def fail(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(check, "check", fail)
    result = run_cli("check", cwd=full.root)
    assert result.code == 2
    assert "error: internal error: ZeroDivisionError: division by zero" in result.err
    assert "in fail" in result.err  # where, for the report
    assert "There is no verdict." in result.err


# init


def test_init_finds_the_registry_and_the_keys(full: Repository, key: KeyPair) -> None:
    (full.root / "provenance.toml").unlink()
    (full.root / "node_modules").mkdir()
    (full.root / "node_modules" / "registry.json").write_text('{"models": [{"onnx": "x"}]}')
    (full.root / "ssh.pub").write_text("ssh-ed25519 AAAA me@example.org\n")
    (full.root / "broken.json").write_text("{")
    result = run_cli("init", cwd=full.root)
    assert result.code == 0
    assert "model/registry.json, 5 rows" in result.out
    assert "provenance check" in result.err
    text = (full.root / "provenance.toml").read_text()
    assert 'path = "release.pub"' in text
    assert "ssh.pub" not in text
    assert run_cli("check", cwd=full.root).code == 0


def test_init_adds_a_table_to_pyproject(full: Repository) -> None:
    (full.root / "provenance.toml").unlink()
    (full.root / "release.pub").unlink()
    pyproject = full.root / "pyproject.toml"
    pyproject.write_text('[project]\nname = "x"')
    result = run_cli("init", "--format", "json", "-q", cwd=full.root)
    assert (result.json["path"], result.json["registry"]) == (
        "pyproject.toml",
        "model/registry.json",
    )
    assert (result.json["rows"], result.json["unread"]) == (5, [])
    assert pyproject.read_text().startswith('[project]\nname = "x"\n')
    assert run_cli("check", cwd=full.root).code == 0


def test_init_never_touches_a_configuration(full: Repository) -> None:
    before = (full.root / "provenance.toml").read_bytes()
    result = run_cli("init", cwd=full.root)
    assert result.code == 2
    assert "a configuration exists already" in result.err
    assert (full.root / "provenance.toml").read_bytes() == before
    (full.root / "provenance.toml").rename(full.root / "pyproject.toml")
    (full.root / "pyproject.toml").write_text('[tool.provenance]\nregistry = "x.json"\n')
    assert "a configuration exists already" in run_cli("init", cwd=full.root).err


def test_init_asks_which_of_several_registries(full: Repository) -> None:
    (full.root / "provenance.toml").unlink()
    (full.root / "other.json").write_text('{"models": [{"onnx": "x.onnx"}]}')
    result = run_cli("init", cwd=full.root)
    assert result.code == 2
    assert "model/registry.json, other.json" in result.err
    assert run_cli("init", "--registry", "./other.json", cwd=full.root).code == 0
    assert 'registry = "other.json"\n' in (full.root / "provenance.toml").read_text()


@pytest.mark.parametrize(
    ("args", "message"),
    [([], "no registry found"), (["--registry", "x.json"], "x.json: not a registry")],
)
def test_init_needs_a_registry(tmp_path: Path, args: list[str], message: str) -> None:
    (tmp_path / "x.json").write_text('{"models": []}')
    result = run_cli("init", *args, cwd=tmp_path)
    assert result.code == 2
    assert message in result.err


def test_init_beside_a_broken_pyproject_is_an_error(full: Repository) -> None:
    (full.root / "provenance.toml").unlink()
    (full.root / "pyproject.toml").write_text("[")
    result = run_cli("init", cwd=full.root)
    assert result.code == 2
    assert "not TOML" in result.err


@pytest.mark.parametrize("folder", ['mod"el', "mod'el", "modèl 模型", "a\nb"])
def test_init_writes_a_configuration_that_is_read_again(
    tmp_path: Path, key: KeyPair, folder: str
) -> None:
    repository = Repository(tmp_path, key, folder=folder)
    repository.add()
    repository.save()
    (tmp_path / "provenance.toml").unlink()
    assert run_cli("init", cwd=tmp_path).code == 0
    assert run_cli("check", cwd=tmp_path).code == 0


def test_init_looks_at_a_bounded_number_of_files(
    full: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provenance.operations.adoption import shape

    (full.root / "provenance.toml").unlink()
    monkeypatch.setattr(shape, "_MAX_FILES", 0)
    assert run_cli("init", cwd=full.root).code == 2


# keygen


def test_keygen_makes_a_pair_that_signs_and_verifies(full: Repository, tmp_path: Path) -> None:
    result = run_cli("keygen", "mine", "--format", "json", cwd=tmp_path)
    private, public = Path(result.json["private"]), Path(result.json["public"])
    assert stat.S_IMODE((tmp_path / private).stat().st_mode) == 0o600
    (full.root / "release.pub").write_bytes((tmp_path / public).read_bytes())
    assert run_cli("release", "--signer", f"file:{tmp_path / private}", cwd=full.root).code == 0
    assert run_cli("verify", cwd=full.root).code == 0


@pytest.mark.parametrize("suffix", [".key", ".pub"])
def test_keygen_never_overwrites(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"release{suffix}").symlink_to("nowhere")
    result = run_cli("keygen", cwd=tmp_path)
    assert result.code == 2
    assert "exists" in result.err
    assert os.listdir(tmp_path) == [f"release{suffix}"]
    advised = result.err.rpartition("provenance keygen ")[2].strip()
    assert run_cli("keygen", advised, cwd=tmp_path).code == 0


def test_keygen_makes_the_folder_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    result = run_cli("keygen", "../a/keys/release", cwd=tmp_path / "work")
    assert (result.code, sorted(os.listdir(tmp_path / "a" / "keys"))) == (
        0,
        ["release.key", "release.pub"],
    )
    assert stat.S_IMODE((tmp_path / "a" / "keys").stat().st_mode) == 0o700


def test_keygen_into_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "none").touch()
    result = run_cli("keygen", "none/release", cwd=tmp_path)
    assert result.code == 2
    assert "cannot write none/release" in result.err


@pytest.mark.parametrize("name", ["release", "keys/mine", "../keys/release", "../my keys/release"])
@pytest.mark.parametrize("form", ["provenance.toml", "pyproject.toml", None])
def test_what_keygen_advises_can_be_pasted(
    name: str, form: str | None, full: Repository, tmp_path: Path
) -> None:
    """Paste the command that copies the key, if there is one, and the table that trusts it."""
    root = full.root
    text = 'registry = "model/registry.json"\n'
    (root / "provenance.toml").unlink()
    (root / "release.pub").unlink()
    if form is not None:
        (root / form).write_text(
            text if form == "provenance.toml" else f"[tool.provenance]\n{text}"
        )
    shown = run_cli("keygen", name, cwd=root).err.partition("To trust it:\n")[2]
    lines = [line.strip() for line in shown.splitlines()]
    if lines[0].startswith("cp "):
        subprocess.run(["sh", "-c", lines.pop(0)], cwd=root, check=True)
    table = "\n".join(lines)
    path = root / (form or "provenance.toml")
    path.write_text((path.read_text() if form else text) + f"{table}\n")
    assert run_cli("release", "--signer", f"file:{name}.key", cwd=root).code == 0
    assert run_cli("verify", cwd=root).code == 0


def test_keygen_shows_the_id_of_the_key_in_one_form(tmp_path: Path) -> None:
    made = run_cli("keygen", "a", "--format", "json", cwd=tmp_path)
    sha256 = made.json["sha256"]
    assert f"a.pub has the fingerprint sha256 {sha256}" in made.err
    assert re.fullmatch("[0-9a-f]{64}", sha256)
    der = "openssl pkey -pubin -in a.pub -outform DER | sha256sum"
    shown = subprocess.run(["sh", "-c", der], cwd=tmp_path, check=True, capture_output=True)
    assert shown.stdout.decode().split()[0] == sha256


def test_a_private_key_without_its_public_one_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def no_room_for_two(path: str | Path, *args: int) -> int:
        if str(path).endswith(".pub"):
            raise OSError(28, "No space left on device")
        return real(path, *args)

    monkeypatch.setattr(os, "open", no_room_for_two)
    result = run_cli("keygen", cwd=tmp_path)
    assert result.code == 2
    assert "cannot write release: No space left on device" in result.err
    assert os.listdir(tmp_path) == []


# hash


def test_hash_prints_every_model_file(full: Repository) -> None:
    result = run_cli("hash", cwd=full.root)
    assert result.code == 0
    for path in full.models.iterdir():
        assert (f"model/{path.name}" in result.out) == (".onnx" in path.name)
    assert "OK: every digest in the rows is correct" in result.out


def test_hash_adds_the_digests_of_external_data(repository: Repository) -> None:
    repository.write("m.onnx.data", data(24))
    repository.add("m", model(external=External("m.onnx.data")))
    root = repository.save().root
    assert "no digest in the row" in run_cli("hash", cwd=root).out
    assert run_cli("check", cwd=root).code == 1
    assert run_cli("hash", "--write", "--add-external-data", cwd=root).code == 0
    assert run_cli("check", cwd=root).code == 0


def test_hash_adds_to_the_external_data_that_is_declared(repository: Repository) -> None:
    for name in ("a.data", "b.data"):
        repository.write(name, data(24, salt=ord(name[0])))
    external = [External(f"{n}.data", tensor=n) for n in "ab"]
    repository.add("m", model(external=external), external_data_sha256={"a.data": ""})
    repository.add("n", model(external=external, salt=1), external_data_sha256={})
    root = repository.save().root
    assert run_cli("hash", "--write", "--add-external-data", cwd=root).code == 0
    assert run_cli("check", cwd=root).code == 0


def test_hash_of_what_cannot_be_hashed_fails_and_hashes_the_rest(full: Repository) -> None:
    full.path("plain.onnx").unlink()
    full.write("q.onnx", b"not a model")
    result = run_cli("hash", cwd=full.root)
    assert result.code == 1
    assert "  model/plain.onnx  does not exist\n" in result.out
    assert "not ONNX" in result.out
    assert "FAILED: 2 files could not be hashed" in result.out
    assert "ext.onnx.data" in result.out


def test_hash_of_nothing_is_nothing(repository: Repository) -> None:
    result = run_cli("hash", cwd=repository.save().root)
    assert result.code == 3
    assert "NOTHING TO HASH" in result.out


def test_hash_as_json_says_what_is_declared(full: Repository) -> None:
    full.write("plain.onnx", model(salt=77))
    value = run_cli("hash", "plain", "--format", "json", cwd=full.root).json
    (file,) = value["files"]
    assert (file["row"], file["matches"], file["declared"]) == (
        "plain",
        False,
        full.rows[0]["sha256"],
    )
    assert file["refused"] == "it declares other bytes"
    assert (value["verdict"], value["diff"]) == ("failed", "")


def test_the_difference_is_coloured_on_a_terminal(full: Repository) -> None:
    full.write("plain.onnx", model(salt=77))
    result = run_cli(
        "hash", "--accept", "plain", cwd=full.root, terminal=True, env={"TERM": "xterm"}
    )
    assert "\x1b[38;5;64m" in result.out
    assert "\x1b[38;5;196m" in result.out


# sign, attest, release


def test_sign_and_attest_make_the_parts_of_a_release(full: Repository, key: KeyPair) -> None:
    for command in ("sign", "attest"):
        assert run_cli(command, "--signer", key.signer, cwd=full.root).code == 0
    result = run_cli("verify", "--format", "json", cwd=full.root)
    assert result.codes == [("ATT709", None)]
    rows = [str(r["id"]) for r in full.rows]
    assert run_cli("verify", *rows, cwd=full.root).code == 0


def test_sign_of_one_row_signs_no_other(full: Repository, key: KeyPair) -> None:
    result = run_cli("sign", "ext", "--signer", key.signer, "--format", "json", cwd=full.root)
    assert result.json["written"] == ["bundles/ext.onnx.sigstore.json"]
    assert os.listdir(full.root / "bundles") == ["ext.onnx.sigstore.json"]


def test_a_second_release_keeps_what_is_signed_already(full: Repository, key: KeyPair) -> None:
    full.released()
    before = {p.name: p.read_bytes() for p in (full.root / "bundles").iterdir()}
    result = run_cli("release", "--signer", key.signer, "--format", "json", cwd=full.root)
    assert result.json["written"] == []
    assert {p.name: p.read_bytes() for p in (full.root / "bundles").iterdir()} == before


def test_a_changed_row_is_signed_again_and_the_others_are_kept(
    full: Repository, key: KeyPair
) -> None:
    full.released()
    full.edit_registry('"id": "ext",\n      "kind": "fr"', '"id": "ext",\n      "kind": "nr"')
    result = run_cli("release", "--signer", key.signer, "--format", "json", cwd=full.root)
    assert sorted(result.json["written"]) == [
        "bundles/ext.onnx.sigstore.json",
        "bundles/registry.json.vsa.sigstore.json",
    ]


def test_a_bundle_by_another_key_is_replaced(
    full: Repository, key: KeyPair, other_key: KeyPair
) -> None:
    full.released()
    (full.root / "release.pub").write_bytes(other_key.public.read_bytes())
    result = run_cli("release", "--signer", other_key.signer, "--format", "json", cwd=full.root)
    assert len(result.json["written"]) == 8
    assert run_cli("verify", cwd=full.root).code == 0


def test_a_release_refuses_to_sign_what_has_findings(full: Repository, key: KeyPair) -> None:
    full.rows[1].pop("license")
    full.save()
    result = run_cli("release", "--signer", key.signer, cwd=full.root)
    assert result.code == 1
    assert "LIC201" in result.out
    assert os.listdir(full.root / "bundles") == []


def test_a_release_without_declared_trust_says_whom_to_trust(tmp_path: Path, key: KeyPair) -> None:
    repository = Repository(tmp_path)
    repository.add()
    result = run_cli("release", "--signer", key.signer, cwd=repository.save().root)
    assert result.code == 0
    assert "[[trust.key]]" in result.out


def test_a_stale_seed_is_not_attested_and_that_is_said(
    repository: Repository, key: KeyPair
) -> None:
    repository.add_ensemble(seeds=7, sha256="0" * 64)
    repository.defer("SID402", ["*"])
    result = run_cli("release", "--signer", key.signer, cwd=repository.save().root)
    assert result.code == 0
    assert "not attested" in result.out
    assert not list((repository.root / "bundles").glob("*.provenance.*"))


# verify, inspect, rules


def test_verify_with_a_key_or_a_trust_file_from_elsewhere(
    full: Repository, key: KeyPair, other_key: KeyPair, tmp_path: Path
) -> None:
    full.released()
    (tmp_path / "trust.toml").write_text('[[trust.key]]\npath = "k.pub"\n')
    (tmp_path / "k.pub").write_bytes(key.public.read_bytes())
    assert run_cli("verify", "--key", key.public, cwd=full.root).code == 0
    assert run_cli("verify", "--trust", tmp_path / "trust.toml", cwd=full.root).code == 0
    assert run_cli("verify", "--key", other_key.public, cwd=full.root).code == 1


def test_verify_of_several_files_is_one_report(full: Repository, key: KeyPair) -> None:
    full.released()
    for path in (full.root / "bundles").glob("*.onnx.sigstore.json"):
        full.path(path.name).write_bytes(path.read_bytes())
    files = ["model/plain.onnx", "model/ext.onnx"]
    result = run_cli("verify-model", *files, "--key", key.public, "--format", "json", cwd=full.root)
    assert result.code == 0
    assert [r["id"] for r in result.json["rows"]] == ["plain", "ext"]
    full.write("ext.onnx.data", data(24, salt=9))
    result = run_cli("verify-model", *files, "--key", key.public, "--format", "json", cwd=full.root)
    assert result.code == 1
    assert [r["verdict"] for r in result.json["rows"]] == ["verified", "failed"]


def test_verify_of_a_file_shows_the_deferrals_that_were_signed(
    repository: Repository, key: KeyPair
) -> None:
    repository.add_sidecar(repository.add(), sha256="0" * 64)
    repository.defer("SID402", ["m"])
    repository.released()
    bundle = repository.root / "bundles" / "m.onnx.sigstore.json"
    args = (
        "verify-model",
        "model/m.onnx",
        "--bundle",
        bundle,
        "--key",
        key.public,
        "--format",
        "json",
    )
    result = run_cli(*args, cwd=repository.root)
    assert result.code == 0
    assert result.json["rows"][0]["deferrals"][0]["reference"] == "ADR-1105"


def test_inspect_says_what_a_bundle_says(full: Repository) -> None:
    bundle = "bundles/ext.onnx.sigstore.json"
    full.released()
    assert "ext.onnx.data" in run_cli("inspect", bundle, cwd=full.root).out
    value = run_cli("inspect", bundle, "--format", "json", cwd=full.root).json
    assert value["statement"]["predicate"]["row"]["id"] == "ext"


@pytest.mark.parametrize("asked", ["SID402", "sid402", "sidecar-stale"])
def test_a_rule_is_found_by_code_or_slug(asked: str) -> None:
    assert run_cli("rules", asked).out.startswith("# SID402 sidecar-stale")


def test_all_rules_are_listed() -> None:
    listed = run_cli("rules").out
    assert all(rule.code in listed for rule in CATALOGUE)
    assert len(run_cli("rules", "--format", "json").json["rules"]) == len(CATALOGUE)


@pytest.mark.parametrize(
    ("asked", "help"),
    [("SID42", "Did you mean SID4"), ("zzzzzz", "provenance rules lists all rules")],
)
def test_an_unknown_rule_suggests_the_nearest(asked: str, help: str) -> None:
    result = run_cli("rules", asked)
    assert result.code == 2
    assert help in result.err


@pytest.mark.parametrize("field", ["sha256", "int8_sha256"])
def test_hash_is_not_content_with_a_row_that_has_no_digest(full: Repository, field: str) -> None:
    row = next(r for r in full.rows if r["id"] == "q")
    digest = row.pop(field)
    full.save()
    before = full.registry.read_bytes()
    for options in ((), ("--write",)):
        result = run_cli("hash", *options, cwd=full.root)
        assert result.code == 1
        assert "no digest in the row" in result.out
        assert "OK:" not in result.out
        assert "FAILED: 1 file without a required digest in the row" in result.out
        assert f'Add "{field}": "" to q, then: provenance hash --write' in result.out
        assert full.registry.read_bytes() == before
    assert run_cli("hash", "--format", "json", cwd=full.root).json["verdict"] == "failed"
    said = run_cli("check", cwd=full.root)
    assert said.code == 1
    assert f'Add "{field}": ""' in " ".join(said.out.split())
    row[field] = ""
    full.save()
    assert run_cli("hash", cwd=full.root).code == 1
    assert run_cli("hash", "--write", cwd=full.root).code == 0
    assert digest in full.registry.read_text()
    assert run_cli("hash", cwd=full.root).code == 0


@pytest.mark.parametrize("command", ["check", "promote", "restore"])
@pytest.mark.parametrize("given", ["", " "])
def test_an_empty_baseline_is_an_error_and_not_this_folder(
    full: Repository, command: str, given: str
) -> None:
    rows = ["plain"] if command == "promote" else []
    result = run_cli(command, *rows, "--baseline", given, cwd=full.root)
    assert (result.code, result.out) == (2, "")
    assert "the baseline is empty" in result.err


def test_a_family_lists_its_rules() -> None:
    result = run_cli("rules", "sid", "--format", "json")
    found = [rule["code"] for rule in result.json["rules"]]
    assert found == [rule.code for rule in CATALOGUE if rule.code.startswith("SID")]
    assert len(found) > 5
    assert "SID401" in run_cli("rules", "SID").out
    assert run_cli("rules", "SI").code == 2


@pytest.mark.parametrize("given", ["github:main", "gti:main", "GIT:main"])
def test_a_misspelt_commit_of_a_baseline_is_spelt_right(full: Repository, given: str) -> None:
    result = run_cli("check", "--baseline", given, cwd=full.root)
    assert result.code == 2
    assert "--baseline git:main" in result.err


def test_who_gives_an_unknown_row_is_told_what_lists_them(full: Repository) -> None:
    assert "values of `id` in the registry" in run_cli("check", "zzzzzzz", cwd=full.root).err


def test_a_step_is_told_once_though_an_id_is_a_word_of_it(repository: Repository) -> None:
    for id in ("smoke", "other", "third"):
        repository.add(id, smoke=False)
    repository.save()
    out = run_cli("check", cwd=repository.root).out
    assert out.count('say "smoke": true') == 1
    assert "3 ×  Export it" in out


def test_no_more_processes_are_started_than_there_are_cores_to_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert cores() == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == 64
