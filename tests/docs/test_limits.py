# SPDX-License-Identifier: Apache-2.0
"""The threat model states the limits that are in force."""

from __future__ import annotations

import re

import pytest

from provenance.artifacts import limits as at
from provenance.artifacts.documents.json_schema import STEPS
from provenance.artifacts.documents.schema_work import VIOLATIONS
from provenance.artifacts.git_command import SECONDS
from tests.docs.pages import read

KIB, MIB = at.KIB, at.MIB
ROWS = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", read("docs/threat-model.md"), re.MULTILINE))
STATED = {
    "registry": f"{at.REGISTRY // MIB} MiB, {at.ROWS:,} rows",
    "sidecars, manifests, verdicts, configuration": f"{at.DOCUMENT // MIB} MiB each",
    "the entry of a row that is signed": f"{at.ENTRY // KIB} KiB",
    "bundles": f"{at.BUNDLE // MIB} MiB each",
    "layouts": f"{at.LAYOUT // MIB} MiB each",
    "links": f"{at.LINK // MIB} MiB each, {at.LINK_FILES:,} in a folder",
    "keys": f"{at.KEY // KIB} KiB each",
    "the JSON Schema of a registry": (
        f"{at.SCHEMA // MIB} MiB; {STEPS:,} steps and {VIOLATIONS:,} violations"
    ),
    "trusted roots": f"{at.TRUSTED_ROOT // MIB} MiB each",
    "license files": f"{at.LICENSE // KIB} KiB each",
    "`.git/config`": f"{at.GIT_CONFIG // MIB} MiB",
    "JSON": (f"{at.NESTING} levels (a registry {at.REGISTRY_NESTING}), {at.JSON_VALUES:,} values"),
    "TOML": (
        f"{at.TOML_KEY} names in a dotted key, {at.NESTING} levels, {at.TOML_VALUES:,} keys and "
        f"values, numbers and bare keys of {at.TOML_BARE} characters"
    ),
    "deferrals, patterns in their `rows`, trust entries": (
        f"{at.DEFERRALS:,}, {at.PATTERNS}, {at.TRUST_ENTRIES}"
    ),
    "rows, ensembles and files that one rule reports individually": f"{at.THINGS_OF_RULE:,}; …",
    "different licenses that are compared with the whole SPDX list": f"{at.SUGGESTIONS}",
    "a folder of a commit": (
        f"{at.GIT_TREE // MIB} MiB as git lists it; git has {SECONDS / 60:.0f} minutes"
    ),
    "an ONNX file": (
        f"{at.ONNX // (1024 * MIB)} GiB; {at.ONNX_STRUCTURE // MIB} MiB of structure are kept, "
        f"{at.ONNX_FIELDS:,} fields are walked"
    ),
    "external-data files of one model": f"{at.EXTERNAL_FILES:,}, …",
    "external-data files of all rows": f"{at.EXTERNAL_FILES_OF_ROWS:,}, …",
    "inputs and outputs of all rows": f"{at.TENSORS_OF_ROWS:,}, counted for each row",
    "the result of a worker": f"{at.RESULT // MIB} MiB for the rows of one task",
    "sidecars of all rows": f"{at.SIDECARS_OF_ROWS // MIB} MiB, counted for each row",
    "members of an ensemble manifest": f"{at.MEMBERS:,}; further members are not examined",
    "findings of one rule about one row, ensemble or file": (
        f"{at.FINDINGS}, and one more that counts the rest"
    ),
    "entries of a folder that is searched": f"{at.FOLDER_ENTRIES:,}",
    "workflows that `init` looks into": (
        f"{at.WORKFLOW_FILES} of {at.WORKFLOW // KIB} KiB each, {at.WORKFLOWS // MIB} MiB "
        f"together; {at.NESTING} levels, {at.YAML_EVENTS:,} values, {at.YAML_ALIASES} aliases"
    ),
}


@pytest.mark.parametrize("name", STATED)
def test_the_threat_model_states_the_limit_that_is_in_force(name: str) -> None:
    start, more, _ = STATED[name].partition("…")
    assert ROWS[name].startswith(start) if more else ROWS[name] == start


def test_the_page_on_output_states_the_number_of_findings() -> None:
    assert f"a rule has {at.FINDINGS_OF_RULE:,} findings" in read("docs/output.md")
