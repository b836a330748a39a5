# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import provenance
from provenance.artifacts import limits
from provenance.artifacts.documents import json_schema
from provenance.artifacts.documents.schema_work import VIOLATIONS
from provenance.artifacts.git_command import SECONDS
from tests.docs.pages import fences, read


def test_the_threat_model_states_the_limits_that_are_in_force() -> None:
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", read("docs/threat-model.md"), re.MULTILINE))
    mib = limits.MIB
    assert rows["registry"] == f"{limits.REGISTRY // mib} MiB, {limits.ROWS:,} rows"
    documents = rows["sidecars, manifests, verdicts, configuration"]
    assert documents == f"{limits.DOCUMENT // mib} MiB each"
    assert rows["bundles"] == f"{limits.BUNDLE // mib} MiB each"
    assert rows["layouts"] == f"{limits.LAYOUT // mib} MiB each"
    links = f"{limits.LINK // mib} MiB each, {limits.LINK_FILES:,} in a folder"
    assert rows["links"] == links
    assert rows["keys"] == f"{limits.KEY // limits.KIB} KiB each"
    schema = f"{json_schema.STEPS:,} steps and {VIOLATIONS:,} violations"
    assert rows["the JSON Schema of a registry"] == f"{limits.SCHEMA // mib} MiB; {schema}"
    assert rows["trusted roots"] == f"{limits.TRUSTED_ROOT // mib} MiB each"
    assert rows["license files"] == f"{limits.LICENSE // limits.KIB} KiB each"
    assert rows["`.git/config`"] == f"{limits.GIT_CONFIG // mib} MiB"
    assert rows["JSON"] == (
        f"{limits.NESTING} levels (a registry {limits.REGISTRY_NESTING}), "
        f"{limits.JSON_VALUES:,} values"
    )
    assert rows["TOML"] == (
        f"{limits.TOML_KEY} names in a dotted key, {limits.NESTING} levels, "
        f"{limits.TOML_VALUES:,} keys and values, numbers and bare keys of {limits.TOML_BARE} "
        "characters"
    )
    assert rows["deferrals, patterns in their `rows`, trust entries"] == (
        f"{limits.DEFERRALS:,}, {limits.PATTERNS}, {limits.TRUST_ENTRIES}"
    )
    things = rows["rows, ensembles and files that one rule reports individually"]
    assert things.startswith(f"{limits.THINGS_OF_RULE:,}; ")
    licenses = rows["different licenses that are compared with the whole SPDX list"]
    assert licenses == str(limits.SUGGESTIONS)
    tree = f"{limits.GIT_TREE // mib} MiB as git lists it; git has {SECONDS / 60:.0f} minutes"
    assert rows["a folder of a commit"] == tree
    assert rows["an ONNX file"] == (
        f"{limits.ONNX // (1024 * mib)} GiB; {limits.ONNX_STRUCTURE // mib} MiB of structure are "
        f"kept, {limits.ONNX_FIELDS:,} fields are walked"
    )
    assert rows["external-data files of one model"].startswith(f"{limits.EXTERNAL_FILES:,}, ")
    rows_need = rows["external-data files of all rows"]
    assert rows_need.startswith(f"{limits.EXTERNAL_FILES_OF_ROWS:,}, ")
    tensors = rows["inputs and outputs of all rows"]
    assert tensors == f"{limits.TENSORS_OF_ROWS:,}, counted for each row"
    result = rows["the result of a worker"]
    assert result == f"{limits.RESULT // mib} MiB for the rows of one task"
    sidecars = rows["sidecars of all rows"]
    assert sidecars == f"{limits.SIDECARS_OF_ROWS // mib} MiB, counted for each row"
    members = f"{limits.MEMBERS:,}; further members are not examined"
    assert rows["members of an ensemble manifest"] == members
    reported = rows["findings of one rule about one row, ensemble or file"]
    assert reported == f"{limits.FINDINGS}, and one more that counts the rest"
    assert f"a rule has {limits.FINDINGS_OF_RULE:,} findings" in read("docs/output.md")
    assert rows["entries of a folder that is searched"] == f"{limits.FOLDER_ENTRIES:,}"
    workflows = (
        f"{limits.WORKFLOW_FILES} of {limits.WORKFLOW // limits.KIB} KiB each, "
        f"{limits.WORKFLOWS // mib} MiB together; {limits.NESTING} levels, "
        f"{limits.YAML_EVENTS:,} values, {limits.YAML_ALIASES} aliases"
    )
    assert rows["workflows that `init` looks into"] == workflows


def test_the_python_example_uses_public_names_only() -> None:
    (example,) = (block for kind, block in fences(read("docs/output.md")) if kind == "python")
    compile(example, "docs/output.md", "exec")
    used = set(re.findall(r"\bprovenance\.(\w+)", example))
    assert used
    assert used <= set(provenance.__all__)
