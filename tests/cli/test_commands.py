# SPDX-License-Identifier: Apache-2.0
"""The command line, as users type it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from provenance import __version__
from provenance.cli import COMMANDS
from provenance.cli.options import cores
from provenance.gate.rules import CATALOGUE
from provenance.operations import check as check_operation
from provenance.operations.adoption import disk
from tests.support.command import Result, run_cli
from tests.support.keys import KeyPair
from tests.support.models import model
from tests.support.repository import Repository


def words(text: str) -> str:
    return " ".join(text.split())


# --- help and usage errors ---------------------------------------------------------------------

OWN_OPTIONS = {
    "verify": {"--run", "--layout", "--layout-key", "--link-dir", "--link-key"}
    | {"--require", "--state"},
    "verify-model": {"--bundle", "--summary", "--predicate-type", "--require", "--state"},
    "verify-release": {"--summary", "--require", "--state"},
    "verify-blob": {"--bundle", "--predicate-type"},
}
"""The options that only some of the verifying commands have."""
TRUST_OPTIONS = {"--key", "--trust", "--identity", "--issuer", "--trusted-root"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_a_command_with_an_example(command: str) -> None:
    result = run_cli(command, "--help")
    assert result.code == 0
    assert COMMANDS[command].rstrip(".") in words(result.out)
    examples = result.out.partition("Example")[2].splitlines()[1:]
    assert any(line.strip().startswith(f"provenance {command}") for line in examples)
    for option in ("-C DIR", "--format", "--output [FORMAT=]FILE", "--offline", "-q, --quiet"):
        assert option in result.out
    assert "-v, --verbose" in result.out
    assert "--no-color" in result.out
    assert ("--config FILE" in result.out) == (command == "verify" or command not in OWN_OPTIONS)


@pytest.mark.parametrize("command", OWN_OPTIONS)
def test_verifying_command_has_only_its_own_options(command: str) -> None:
    listed = set(re.findall(r"^  (--[a-z-]+)", run_cli(command, "--help").out, re.MULTILINE))
    assert listed & set().union(*OWN_OPTIONS.values()) == OWN_OPTIONS[command]
    assert listed >= TRUST_OPTIONS


def test_help_lists_every_command_and_exit_code() -> None:
    result = run_cli("--help")
    assert result.code == 0
    for name, help in COMMANDS.items():
        assert f"  {name}" in result.out
        assert help in words(result.out)
    assert "0 verified, 1 findings, 2 usage" in words(result.out)
    assert "3 nothing to verify, 4 could not verify" in words(result.out)
    assert run_cli().code == 2
    assert run_cli("--version").out == f"provenance {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "check"),
        ("verfy", "Did you mean 'verify'?"),
        ("zzz", "no command 'zzz'"),
        ("check --fromat json", "--format"),
        ("check --format yaml", "yaml"),
        ("check -C none", "not a folder"),
        ("-C none check", "does not exist"),
        ("verify --bundle b", "--bundle"),
        ("verify --row a", "--row"),
        ("verify a.onnx", "provenance verify-model a.onnx --key"),
        ("verify-model --key k", "FILE..."),
        ("verify-model a b --bundle b --key k", "exactly one FILE"),
        ("verify-model a", "no trusted signer"),
        ("verify-release a", "no trusted signer"),
        ("verify-blob a --bundle b", "no trusted signer"),
        ("verify-blob a --key k", "--bundle"),
        ("verify-blob a --bundle b --require production", "--require"),
        ("verify --key k --trust t", "--trust cannot be used with --key, --identity or --repo"),
        ("verify --identity a@example.org", "--identity and --issuer must be given together"),
        ("verify --trusted-root r --staging", "--staging cannot be used together"),
        ("inspect", "BUNDLE"),
        ("rules SI", "provenance rules lists all rules"),
        ("rules SID42", "Did you mean SID4"),
        ("rules zzzzzz", "provenance rules lists all rules"),
        ("check", "no configuration"),
    ],
)
def test_usage_error(typed: str, message: str, tmp_path: Path) -> None:
    result = run_cli(*typed.split(), cwd=tmp_path)
    assert result.code == 2
    assert result.out == ""
    assert message in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["check", "zzzzzzz"], "values of `id` in the registry"),
        (["check", "--baseline", ""], "the baseline is empty"),
        (["check", "--baseline", " "], "the baseline is empty"),
        (["restore", "--baseline", ""], "the baseline is empty"),
        (["promote", "plain", "--baseline", " "], "the baseline is empty"),
        (["check", "--baseline", "github:main"], "--baseline git:main"),
        (["check", "--baseline", "gti:main"], "--baseline git:main"),
        (["check", "--baseline", "GIT:main"], "--baseline git:main"),
    ],
    ids=" ".join,
)
def test_wrong_argument(full: Repository, typed: list[str], message: str) -> None:
    result = run_cli(*typed, cwd=full.root)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


# --- what all commands share -------------------------------------------------------------------


def test_exit_codes_tell_the_outcomes_apart(repository: Repository) -> None:
    assert run_cli("check", cwd=repository.save().root).code == 3
    assert run_cli("hash", cwd=repository.root).code == 3
    repository.add()
    root = repository.save().root
    assert run_cli("check", cwd=root).code == 0
    assert run_cli("verify", cwd=root).code == 1
    assert run_cli("release", cwd=root).code == 4
    assert run_cli("check", "none", cwd=root).code == 2


def test_result_is_on_stdout_and_notes_are_on_stderr(full: Repository, tmp_path: Path) -> None:
    checked = run_cli("check", "-v", cwd=full.root)
    assert checked.out.endswith("of them smoke\n")
    assert checked.err == ""
    assert all(f"ok   {row['id']}" in checked.out for row in full.rows)
    loud = run_cli("keygen", "one", cwd=tmp_path)
    assert "secret" in loud.err
    assert "secret" not in loud.out
    assert run_cli("keygen", "two", "-q", cwd=tmp_path).err == ""


def test_command_runs_in_another_folder_with_another_configuration(
    full: Repository, tmp_path: Path
) -> None:
    assert run_cli("check", "-C", full.root, cwd=tmp_path).code == 0
    assert run_cli("-C", full.root, "check", cwd=tmp_path).code == 0
    policy = tmp_path / "policy.toml"
    policy.write_text('registry = "model/registry.json"\n')
    (full.root / "provenance.toml").write_text("broken")
    assert run_cli("check", "--config", policy, cwd=full.root).code == 0
    assert run_cli("check", cwd=full.root).code == 2


def test_colour_needs_a_terminal_that_shows_it(full: Repository, tmp_path: Path) -> None:
    def coloured(*args: str, terminal: bool = True, **env: str) -> bool:
        result = run_cli("check", *args, cwd=full.root, terminal=terminal, env=env)
        return "\x1b[" in result.out

    assert coloured(TERM="xterm")
    assert not coloured(terminal=False)
    assert not coloured("--no-color", TERM="xterm")
    assert not coloured(NO_COLOR="1", TERM="xterm")
    assert not coloured(TERM="dumb")
    assert "\x1b[" in run_cli("check", cwd=tmp_path, terminal=True).err
    assert "\x1b[" not in run_cli("check", cwd=tmp_path, terminal=True, env={"NO_COLOR": "1"}).err
    assert "\x1b[" not in run_cli("check", cwd=tmp_path).err


DISK = OSError(28, "No space left on device", "/x")
DEFECT = "internal error: ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("error", "code", "messages"),
    [
        (KeyboardInterrupt(), 130, ["error: interrupted"]),
        (MemoryError(), 2, ["not enough memory"]),
        (DISK, 2, ["/x: No space left on device"]),
        (OSError(5, "Input/output error"), 2, ["input/output: Input/output error"]),
        (ZeroDivisionError("division by zero"), 2, [DEFECT, "in fail", "There is no verdict."]),
    ],
    ids=["interrupt", "memory", "full disk", "input and output", "defect"],
)
def test_unexpected_error_gives_no_verdict(
    full: Repository,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    messages: list[str],
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    monkeypatch.setattr(check_operation, "check", fail)
    result = run_cli("check", cwd=full.root)
    assert (result.code, result.out) == (code, "")
    assert all(message in result.err for message in messages)


def test_next_step_is_printed_once_even_if_it_contains_an_id(repository: Repository) -> None:
    for id in ("smoke", "other", "third"):
        repository.add(id, smoke=False)
    out = run_cli("check", cwd=repository.save().root).out
    assert out.count('say "smoke": true') == 1
    assert "3 ×  Export it" in out


def test_processes_are_limited_to_the_available_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert cores() == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == 64


# --- init --------------------------------------------------------------------------------------


@pytest.fixture
def bare(full: Repository) -> Repository:
    """A repository without a configuration."""
    (full.root / "provenance.toml").unlink()
    return full


def test_init_finds_the_registry_and_the_keys(bare: Repository) -> None:
    (bare.root / "node_modules").mkdir()
    (bare.root / "node_modules" / "registry.json").write_text('{"models": [{"onnx": "x"}]}')
    (bare.root / "ssh.pub").write_text("ssh-ed25519 AAAA me@example.org\n")
    (bare.root / "broken.json").write_text("{")
    result = run_cli("init", cwd=bare.root)
    assert result.code == 0
    assert "model/registry.json, 5 rows" in result.out
    assert "provenance check" in result.err
    text = (bare.root / "provenance.toml").read_text()
    assert 'path = "release.pub"' in text
    assert "ssh.pub" not in text
    assert run_cli("check", cwd=bare.root).code == 0


def test_init_adds_a_table_to_pyproject(bare: Repository) -> None:
    (bare.root / "release.pub").unlink()
    pyproject = bare.root / "pyproject.toml"
    pyproject.write_text('[project]\nname = "x"')
    made = run_cli("init", "--format", "json", "-q", cwd=bare.root).json
    assert (made["path"], made["registry"]) == ("pyproject.toml", "model/registry.json")
    assert (made["rows"], made["mapped"]) == (5, False)
    assert pyproject.read_text().startswith('[project]\nname = "x"\n')
    assert run_cli("check", cwd=bare.root).code == 0


ROW = json.dumps({"models": [{"id": "x", "onnx": "x.onnx", "sha256": "0" * 64}]})


@pytest.mark.parametrize(
    ("name", "content", "args", "message"),
    [
        ("provenance.toml", "", [], "a configuration exists already"),
        ("pyproject.toml", "[tool.provenance]", [], "a configuration exists already"),
        ("pyproject.toml", "[", [], "not TOML"),
        ("x.json", '{"models": []}', ["--registry", "x.json"], "x.json: not an index of models"),
    ],
)
def test_init_refuses(
    bare: Repository, name: str, content: str, args: list[str], message: str
) -> None:
    (bare.root / name).write_text(content)
    result = run_cli("init", *args, cwd=bare.root)
    assert result.code == 2
    assert message in result.err
    assert (bare.root / name).read_text() == content


def test_init_takes_the_registry_that_is_named(bare: Repository) -> None:
    (bare.root / "other.json").write_text(ROW)
    assert run_cli("init", "--registry", "./other.json", cwd=bare.root).code == 0
    assert 'registry = "other.json"\n' in (bare.root / "provenance.toml").read_text()


def test_init_looks_at_a_bounded_number_of_files(
    bare: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "MAX_FILES", 0)
    assert run_cli("init", cwd=bare.root).code == 2


@pytest.mark.parametrize("folder", ['mod"el', "mod'el", "modèl 模型", "a\nb"])
def test_init_quotes_the_path_of_the_registry(tmp_path: Path, key: KeyPair, folder: str) -> None:
    repository = Repository(tmp_path, key, folder=folder)
    repository.add()
    repository.save()
    (tmp_path / "provenance.toml").unlink()
    assert run_cli("init", cwd=tmp_path).code == 0
    assert run_cli("check", cwd=tmp_path).code == 0


# --- keygen ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".key", ".pub"])
def test_keygen_never_overwrites_a_file(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"release{suffix}").symlink_to("nowhere")
    result = run_cli("keygen", cwd=tmp_path)
    assert result.code == 2
    assert "exists" in result.err
    assert os.listdir(tmp_path) == [f"release{suffix}"]
    advised = result.err.rpartition("provenance keygen ")[2].strip()
    assert run_cli("keygen", advised, cwd=tmp_path).code == 0


def test_keygen_makes_private_files_in_a_private_folder(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    made = run_cli("keygen", "../a/keys/mine", "--format", "json", cwd=tmp_path / "work")
    folder = tmp_path / "a" / "keys"
    assert sorted(os.listdir(folder)) == ["mine.key", "mine.pub"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "mine.key").stat().st_mode) == 0o600
    base64_of_der = "".join((folder / "mine.pub").read_text().splitlines()[1:-1])
    assert made.json["sha256"] == hashlib.sha256(base64.b64decode(base64_of_der)).hexdigest()
    assert f"has the fingerprint sha256 {made.json['sha256']}" in made.err
    (tmp_path / "none").touch()
    result = run_cli("keygen", "none/release", cwd=tmp_path)
    assert result.code == 2
    assert "cannot write none/release" in result.err


@pytest.mark.parametrize("name", ["release", "keys/mine", "../keys/release", "../my keys/release"])
@pytest.mark.parametrize("form", ["provenance.toml", "pyproject.toml", None])
def test_advice_of_keygen_can_be_pasted(name: str, form: str | None, bare: Repository) -> None:
    """Paste the command that copies the key, if there is one, and the table that trusts it."""
    root = bare.root
    text = 'registry = "model/registry.json"\n'
    (root / "release.pub").unlink()
    if form is not None:
        table = "[tool.provenance]\n" if form == "pyproject.toml" else ""
        (root / form).write_text(table + text)
    shown = run_cli("keygen", name, cwd=root).err.partition("To trust it:\n")[2]
    lines = [line.strip() for line in shown.splitlines()]
    if lines[0].startswith("cp "):
        subprocess.run(["sh", "-c", lines.pop(0)], cwd=root, check=True)
    path = root / (form or "provenance.toml")
    path.write_text("\n".join([path.read_text() if form else text, *lines, ""]))
    assert run_cli("release", "--signer", f"file:{name}.key", cwd=root).code == 0
    assert run_cli("verify", cwd=root).code == 0


def test_keygen_leaves_no_private_key_without_its_public_key(
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


# --- hash --------------------------------------------------------------------------------------


def test_hash_prints_every_model_file(full: Repository) -> None:
    result = run_cli("hash", cwd=full.root)
    assert result.code == 0
    for path in full.models.iterdir():
        assert (f"model/{path.name}" in result.out) == (".onnx" in path.name)
    assert "OK: every digest in the rows is correct" in result.out


def test_hash_continues_after_a_file_that_it_cannot_hash(full: Repository) -> None:
    full.path("plain.onnx").unlink()
    full.write("q.onnx", b"not a model")
    result = run_cli("hash", cwd=full.root)
    assert result.code == 1
    for part in ("  model/plain.onnx  does not exist\n", "not ONNX", "ext.onnx.data"):
        assert part in result.out
    assert "FAILED: 2 files could not be hashed" in result.out


def test_hash_shows_another_digest_than_declared(full: Repository) -> None:
    full.write("plain.onnx", model(salt=77))
    value = run_cli("hash", "plain", "--format", "json", cwd=full.root).json
    (file,) = value["files"]
    assert (file["row"], file["matches"]) == ("plain", False)
    assert (file["declared"], file["refused"]) == (
        full.rows[0]["sha256"],
        "it declares other bytes",
    )
    assert (value["verdict"], value["diff"]) == ("failed", "")
    accept = ("hash", "--accept", "plain")
    shown = run_cli(*accept, cwd=full.root, terminal=True, env={"TERM": "xterm"}).out
    assert "\x1b[38;5;64m" in shown
    assert "\x1b[38;5;196m" in shown


@pytest.mark.parametrize("field", ["sha256", "int8_sha256"])
def test_hash_fails_for_a_row_without_a_digest(full: Repository, field: str) -> None:
    row = next(r for r in full.rows if r["id"] == "q")
    digest = row.pop(field)
    before = full.save().registry.read_bytes()
    for options in ((), ("--write",)):
        result = run_cli("hash", *options, cwd=full.root)
        assert result.code == 1
        assert "OK:" not in result.out
        assert "FAILED: 1 file without a required digest in the row" in result.out
        assert f'Add "{field}": "" to q, then: provenance hash --write' in result.out
        assert full.registry.read_bytes() == before
    assert run_cli("hash", "--format", "json", cwd=full.root).json["verdict"] == "failed"
    checked = run_cli("check", cwd=full.root)
    assert checked.code == 1
    assert f'Add "{field}": ""' in words(checked.out)
    row[field] = ""
    full.save()
    assert [run_cli("hash", *o, cwd=full.root).code for o in ((), ("--write",), ())] == [1, 0, 0]
    assert digest in full.registry.read_text()


# --- sign, attest, release ---------------------------------------------------------------------


def release(repository: Repository, *args: str) -> Result:
    assert repository.key is not None
    return run_cli("release", "--signer", repository.key.signer, *args, cwd=repository.root)


def written(repository: Repository) -> list[str]:
    return sorted(release(repository, "--format", "json").json["written"])


def test_sign_and_attest_make_the_parts_of_a_release(full: Repository, key: KeyPair) -> None:
    first = run_cli("sign", "ext", "--signer", key.signer, "--format", "json", cwd=full.root)
    assert first.json["written"] == ["bundles/ext.onnx.sigstore.json"]
    assert os.listdir(full.root / "bundles") == ["ext.onnx.sigstore.json"]
    for command in ("sign", "attest"):
        assert run_cli(command, "--signer", key.signer, cwd=full.root).code == 0
    result = run_cli("verify", "--format", "json", cwd=full.root)
    assert result.codes == [("ATT709", None)]
    rows = [str(r["id"]) for r in full.rows]
    assert run_cli("verify", *rows, cwd=full.root).code == 0


def test_release_signs_only_what_changed(full: Repository, other_key: KeyPair) -> None:
    full.released()
    before = {p.name: p.read_bytes() for p in (full.root / "bundles").iterdir()}
    assert written(full) == []
    assert {p.name: p.read_bytes() for p in (full.root / "bundles").iterdir()} == before
    full.edit_registry('"id": "ext",\n      "kind": "fr"', '"id": "ext",\n      "kind": "nr"')
    summary = "bundles/registry.json.vsa.sigstore.json"
    assert written(full) == ["bundles/ext.onnx.sigstore.json", summary]
    full.key = other_key  # a bundle signed with another key is replaced
    (full.root / "release.pub").write_bytes(other_key.public.read_bytes())
    assert len(written(full)) == 8
    assert run_cli("verify", cwd=full.root).code == 0


def test_release_refuses_to_sign_rows_with_findings(full: Repository) -> None:
    full.rows[1].pop("license")
    result = release(full.save())
    assert result.code == 1
    assert "LIC201" in result.out
    assert os.listdir(full.root / "bundles") == []


def test_release_without_declared_trust_names_its_key(tmp_path: Path, key: KeyPair) -> None:
    repository = Repository(tmp_path)
    repository.add()
    result = run_cli("release", "--signer", key.signer, cwd=repository.save().root)
    assert result.code == 0
    assert "[[trust.key]]" in result.out


def test_release_reports_that_it_does_not_attest_stale_seeds(repository: Repository) -> None:
    repository.add_ensemble(seeds=7, sha256="0" * 64)
    repository.defer("SID402", ["*"])
    result = release(repository.save())
    assert result.code == 0
    assert "not attested" in result.out
    assert not list((repository.root / "bundles").glob("*.provenance.*"))


# --- verify, inspect, rules --------------------------------------------------------------------


def test_verify_takes_a_key_or_a_trust_file_from_elsewhere(
    full: Repository, key: KeyPair, other_key: KeyPair, tmp_path: Path
) -> None:
    full.released()
    (tmp_path / "trust.toml").write_text('[[trust.key]]\npath = "k.pub"\n')
    (tmp_path / "k.pub").write_bytes(key.public.read_bytes())
    assert run_cli("verify", "--key", key.public, cwd=full.root).code == 0
    assert run_cli("verify", "--trust", tmp_path / "trust.toml", cwd=full.root).code == 0
    assert run_cli("verify", "--key", other_key.public, cwd=full.root).code == 1


def test_rules_finds_a_rule_a_family_or_all_rules() -> None:
    for asked in ("SID402", "sid402", "sidecar-stale"):
        assert run_cli("rules", asked).out.startswith("# SID402 sidecar-stale")
    all_codes = [rule.code for rule in CATALOGUE]
    for typed, codes in (
        (["rules"], all_codes),
        (["rules", "sid"], [code for code in all_codes if code.startswith("SID")]),
    ):
        assert [r["code"] for r in run_cli(*typed, "--format", "json").json["rules"]] == codes
        assert len(codes) > 5
        shown = run_cli(*typed).out
        assert all(code in shown for code in codes)
