# SPDX-License-Identifier: Apache-2.0
"""Start-up is most of what a user waits for: each command loads only what it needs."""

from __future__ import annotations

import pytest

from tests.support.command import run_process
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
}

LOADED = """
import sys
sys.argv[0] = "provenance"
from provenance.cli import main
try:
    main()
except SystemExit as e:
    code = e.code
print(code, *sorted(sys.modules), file=sys.stderr)
"""


def loaded(repository: Repository, *args: str) -> set[str]:
    result = run_process(*args, cwd=repository.root, python=("-c", LOADED))
    code, *modules = result.err.splitlines()[-1].split()
    assert code == "0", result
    return HEAVY & set(modules)


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["check", "--help"]])
def test_help_loads_no_heavy_library(full: Repository, args: list[str]) -> None:
    assert loaded(full, *args) == set()


def test_check_loads_what_reads_models_and_licenses(full: Repository) -> None:
    assert loaded(full, "check") <= {"google.protobuf", "license_expression"}


def test_a_run_loads_the_runtime_in_other_processes_only(full: Repository) -> None:
    allowed = {"google.protobuf", "license_expression", "subprocess"}
    assert loaded(full, "check", "--run") <= allowed


def test_check_loads_no_cryptography_even_where_keys_are_trusted(full: Repository) -> None:
    assert "cryptography" not in loaded(full, "check")


def test_verify_adds_cryptography_and_nothing_that_only_signs(full: Repository) -> None:
    full.released()
    allowed = {"google.protobuf", "license_expression", "cryptography"}
    assert loaded(full, "verify") <= allowed


def test_hash_and_rules_load_little(full: Repository) -> None:
    assert loaded(full, "hash") <= {"google.protobuf"}
    assert loaded(full, "rules") <= {"google.protobuf"}


API = """
import sys
import provenance
print(len([m for m in sys.modules if m.startswith("provenance.")]))
for name in provenance.__all__:
    getattr(provenance, name)
try:
    provenance.nothing
except AttributeError as e:
    print(e)
"""


def test_importing_the_package_costs_nothing_and_offers_every_name(full: Repository) -> None:
    result = run_process(cwd=full.root, python=("-c", API))
    assert result.out.splitlines() == ["0", "module 'provenance' has no attribute 'nothing'"]


OPENED = """
import sys
from pathlib import Path
import provenance
trust = provenance.trust_from_keys([Path("release.pub")])
bundle = "bundles/ext.onnx.sigstore.json"
with provenance.open_model("model/ext.onnx", trust, bundle=bundle) as model:
    model.read_bytes()
    print(*sys.modules)
"""


def test_opening_a_model_loads_no_runtime_before_it_is_asked_for(full: Repository) -> None:
    full.released()
    result = run_process(cwd=full.root, python=("-c", OPENED))
    assert HEAVY & set(result.out.split()) == {"google.protobuf", "cryptography"}, result.err
