# SPDX-License-Identifier: Apache-2.0
"""Each command imports only what it needs: users wait mostly for the start-up."""

from __future__ import annotations

import shutil

import pytest

from provenance.cli import COMMANDS
from tests.support.command import run_process
from tests.support.keys import KeyPair
from tests.support.repository import Repository

HEAVY = {
    *("onnx", "numpy", "onnxruntime", "google.protobuf", "rich", "jsonschema", "yaml", "identify"),
    *("license_expression", "in_toto", "in_toto_attestation", "asn1crypto", "cryptography"),
    *("securesystemslib", "sigstore", "sigstore_models", "pydantic", "tuf", "rfc3161_client"),
    *("requests", "urllib3", "tenacity", "platformdirs", "asyncio", "email", "http", "ssl", "xml"),
    *("multiprocessing", "concurrent.futures", "subprocess", "shutil", "decimal", "difflib"),
    *("statistics", "provenance.evidence.snapshot", "provenance.gate.wire"),
}

LOADED = """
import sys
before = set(sys.modules)  # with what measures coverage of processes
sys.argv[0] = "provenance"
from provenance.cli import main
try:
    main()
except SystemExit as e:
    code = e.code
print(code, *sorted(sys.modules.keys() - before), file=sys.stderr)
"""

EXT = "bundles/ext.onnx.sigstore.json"
JUDGES = {"google.protobuf", "license_expression"}
VERIFIES = {*JUDGES, "cryptography"}
# `securesystemslib.signer` imports the clients of all tokens and clouds that are installed.
SIGNS = HEAVY - {"onnx", "numpy", "onnxruntime", "rich", "yaml", "identify", "in_toto"}
WIDTH = {"shutil"}  # click reads the width of the terminal

COMMAND_LINES: dict[str, tuple[str, set[str]]] = {
    "init": ("-C ../new", {*JUDGES, "subprocess", "shutil", "difflib", "yaml"}),
    "hash": ("", {"google.protobuf"}),
    "add": ("model/ext.onnx", {*JUDGES, "subprocess", "shutil", "difflib"}),
    "list": ("", {*VERIFIES, "shutil"}),
    "remove": ("ext --reason text", {*JUDGES, "subprocess", "shutil", "difflib"}),
    "check": ("", JUDGES),
    "promote": ("--ensemble ens", {*JUDGES, "subprocess", "shutil"}),
    "restore": ("--baseline .", {"subprocess", "shutil"}),
    "keygen": ("../new", {"cryptography"}),
    "sign": ("--signer {signer}", SIGNS),
    "attest": ("--signer {signer}", SIGNS),
    "release": ("--signer {signer}", SIGNS),
    "layout": ("", WIDTH),
    "verify": ("", VERIFIES),
    "verify-model": (f"model/ext.onnx --bundle {EXT} --key {{key}}", {*VERIFIES, "shutil"}),
    "verify-blob": (f"model/ext.onnx --bundle {EXT} --key {{key}}", {*VERIFIES, "shutil"}),
    "verify-release": (". --key {key}", {*VERIFIES, "shutil", "provenance.evidence.snapshot"}),
    "inspect": (EXT, {"cryptography"}),
    "rules": ("", set()),
}
"""For each command its arguments, and what it may import of `HEAVY`."""


def loaded(repository: Repository, *args: str, code: int = 0) -> set[str]:
    result = run_process(*args, cwd=repository.root, python=("-c", LOADED))
    said, *modules = result.err.splitlines()[-1].split()
    assert said == str(code), result
    return HEAVY & set(modules)


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["check", "--help"]])
def test_help_loads_no_heavy_library(full: Repository, args: list[str]) -> None:
    assert loaded(full, *args) <= WIDTH


@pytest.mark.parametrize("command", COMMANDS)
def test_command_imports_only_what_it_needs(full: Repository, key: KeyPair, command: str) -> None:
    arguments, allowed = COMMAND_LINES[command]
    if command.startswith(("verify", "inspect")):
        full.released()
    shutil.copytree(full.models, full.root.parent / "new" / "model")
    typed = arguments.format(signer=key.signer, key=key.public).split()
    code = {"layout": 2, "promote": 1, "verify-blob": 1}.get(command, 0)  # a blob is no row
    assert loaded(full, command, *typed, code=code) <= allowed


@pytest.mark.parametrize(
    ("option", "more"),
    [
        ("--run", {"subprocess", "shutil", "difflib", "concurrent.futures"}),
        ("--fix", set()),
        *[(f"--format {name}", set()) for name in ("json", "sarif", "github", "markdown")],
        ("--format junit", {"xml"}),
        ("--baseline .", set()),
    ],
)
def test_check_imports_only_what_an_option_needs(
    full: Repository, option: str, more: set[str]
) -> None:
    assert loaded(full, "check", *option.split()) <= JUDGES | more


API = """
import sys
import provenance
print(*(m for m in sys.modules if m.startswith("provenance.")))
for name in provenance.__all__:
    getattr(provenance, name)
try:
    provenance.nothing
except AttributeError as e:
    print(e)
"""


def test_package_imports_its_modules_only_when_a_name_is_used(full: Repository) -> None:
    result = run_process(cwd=full.root, python=("-c", API))
    assert result.out.splitlines() == [
        "provenance.version",
        "module 'provenance' has no attribute 'nothing'",
    ]


OPENS = {"google.protobuf", "cryptography", "shutil", "provenance.evidence.snapshot"}
OPENED = """
import sys
before = set(sys.modules)
from pathlib import Path
import provenance
trust = provenance.trust_from_keys([Path("release.pub")])
bundle = "bundles/ext.onnx.sigstore.json"
with provenance.open_model("model/ext.onnx", trust, bundle=bundle) as model:
    model.read_bytes()
    print(*(sys.modules.keys() - before))
"""


def test_open_model_loads_no_runtime_before_a_session(full: Repository) -> None:
    full.released()
    result = run_process(cwd=full.root, python=("-c", OPENED))
    assert HEAVY & set(result.out.split()) == OPENS, result.err
