# SPDX-License-Identifier: Apache-2.0
"""Each command imports only what it needs: users wait mostly for the start-up."""

from __future__ import annotations

import shutil
from collections.abc import Set
from pathlib import Path

import pytest

from provenance.cli import COMMANDS
from tests.support.command import run_process
from tests.support.keys import KeyPair
from tests.support.repository import Repository

HEAVY = {
    "onnx",
    "numpy",
    "onnxruntime",
    "subprocess",
    "cryptography",
    "rich",
    "jsonschema",
    "google.protobuf",
    "license_expression",
    "identify",
    "securesystemslib",
    "sigstore",
    "sigstore_models",
    "pydantic",
    "in_toto",
    "in_toto_attestation",
    "yaml",
    "requests",
    "urllib3",
    "tenacity",
    "tuf",
    "platformdirs",
    "rfc3161_client",
    "asn1crypto",
    "asyncio",
    "email",
    "http",
    "multiprocessing",
    "ssl",
    "xml",
    "concurrent.futures",
    "decimal",
    "difflib",
    "shutil",
    "statistics",
    "provenance.evidence.snapshot",
    "provenance.gate.wire",
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
READS_MODELS = {"google.protobuf"}
JUDGES = {*READS_MODELS, "license_expression"}
GIT = {"subprocess", "shutil"}
VERIFIES = frozenset({*JUDGES, "cryptography"})
COPIES = frozenset({"shutil"})
SIGNS = HEAVY - {"onnx", "numpy", "onnxruntime", "rich", "yaml", "identify", "in_toto"}
"""`securesystemslib.signer` imports the clients of all tokens and clouds that are installed."""

ALLOWED: dict[str, Set[str]] = {
    "init": {*JUDGES, *GIT, "difflib", "yaml"},
    "hash": READS_MODELS,
    "check": JUDGES,
    "promote": {*JUDGES, *GIT},
    "restore": GIT,
    "keygen": {"cryptography"},
    "sign": SIGNS,
    "attest": SIGNS,
    "release": SIGNS,
    "layout": {"shutil"},  # for the width of a usage error
    "verify": VERIFIES,
    **dict.fromkeys(("verify-model", "verify-blob"), VERIFIES | COPIES),
    "verify-release": {*VERIFIES, *COPIES, "provenance.evidence.snapshot"},
    "inspect": {"cryptography"},
    "rules": set(),
}
"""What a command may import of `HEAVY`, without the options that need more."""


def loaded(repository: Repository, *args: str | Path, code: int = 0) -> set[str]:
    result = run_process(*args, cwd=repository.root, python=("-c", LOADED))
    said, *modules = result.err.splitlines()[-1].split()
    assert said == str(code), result
    return HEAVY & set(modules)


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["check", "--help"]])
def test_help_loads_no_heavy_library(full: Repository, args: list[str]) -> None:
    assert loaded(full, *args) <= {"shutil"}  # click reads the width of the terminal


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_only_what_it_needs(
    full: Repository, key: KeyPair, tmp_path: Path, command: str
) -> None:
    args: dict[str, list[str | Path]] = {
        "init": ["-C", tmp_path / "new"],
        "inspect": [EXT],
        "keygen": [tmp_path / "new"],
        "promote": ["--ensemble", "ens"],
        "restore": ["--baseline", "."],
        **{name: ["--signer", key.signer] for name in ("sign", "attest", "release")},
        "verify-model": ["model/ext.onnx", "--bundle", EXT, "--key", key.public],
        "verify-release": [".", "--key", key.public],
        "verify-blob": ["model/ext.onnx", "--bundle", EXT, "--key", key.public],
    }
    codes = {"layout": 2, "promote": 1, "verify-blob": 1}  # a row bundle is not for blobs
    if command.startswith(("verify", "inspect")):
        full.released()
    shutil.copytree(full.root / "model", tmp_path / "new" / "model")
    found = loaded(full, command, *args.get(command, []), code=codes.get(command, 0))
    assert found <= ALLOWED[command]


@pytest.mark.parametrize(
    ("args", "more"),
    [
        (["--run"], {"subprocess", "shutil", "difflib", "concurrent.futures"}),
        (["--fix"], set()),
        (["--format", "json"], set()),
        (["--format", "sarif"], set()),
        (["--format", "junit"], {"xml"}),
        (["--format", "github"], set()),
        (["--format", "markdown"], set()),
        (["--baseline", "."], set()),
    ],
)
def test_check_imports_what_an_option_needs_and_no_more(
    full: Repository, args: list[str], more: set[str]
) -> None:
    assert loaded(full, "check", *args) <= ALLOWED["check"] | more


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


def test_importing_the_package_costs_nothing_and_offers_every_name(full: Repository) -> None:
    result = run_process(cwd=full.root, python=("-c", API))
    assert result.out.splitlines() == [
        "provenance.version",
        "module 'provenance' has no attribute 'nothing'",
    ]


OF_API = {"shutil", "provenance.evidence.snapshot"}
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


def test_opening_a_model_loads_no_runtime_before_it_is_asked_for(full: Repository) -> None:
    full.released()
    result = run_process(cwd=full.root, python=("-c", OPENED))
    found = HEAVY & set(result.out.split())
    assert found == {"google.protobuf", "cryptography", *OF_API}, result.err
