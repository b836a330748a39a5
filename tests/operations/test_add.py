# SPDX-License-Identifier: Apache-2.0
"""`provenance add`: rows that are filled in from the files, with minimal edits."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from provenance.schemas import MODELS_SCHEMA
from tests.support import models
from tests.support.command import Result, run_cli

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "provenance/schemas/models.schema.json").read_text("utf-8")
)
EMPTY = '{\n  "schema_version": 1,\n  "models": []\n}\n'
MIT_URL = "https://spdx.org/licenses/MIT.html"


def with_metadata(content: bytes, **entries: str) -> bytes:
    message = models.parse(content)
    for key, value in entries.items():
        message.metadata_props.add(key=key, value=value)
    found: bytes = message.SerializeToString()
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with models, a README with a license, and an empty registry."""
    root = tmp_path / "tree"
    (root / "m").mkdir(parents=True)
    (root / "provenance.toml").write_text('registry = "m/models.json"\n')
    (root / "README.md").write_text("---\nlicense: mit\n---\n")
    (root / "m/models.json").write_text(EMPTY)
    (root / "m/a.onnx").write_bytes(models.model(salt=1))
    (root / "m/c.onnx").write_bytes(models.model(salt=3, external=models.External("c.data")))
    (root / "m/c.data").write_bytes(models.data())
    (root / "m/d.onnx").write_bytes(models.model(salt=4))
    (root / "m/d.int8.onnx").write_bytes(models.model(salt=5))
    (root / "m/tok.txt").write_text("a b\n")
    return root


def rows(root: Path) -> list[dict[str, Any]]:
    value = json.loads((root / "m/models.json").read_text("utf-8"))
    Draft202012Validator(SCHEMA).validate(value)
    found: list[dict[str, Any]] = value["models"]
    return found


def add(root: Path, *args: str) -> Result:
    return run_cli("add", *args, "--format", "json", cwd=root)


def digest(root: Path, name: str) -> str:
    return sha256((root / "m" / name).read_bytes()).hexdigest()


def test_rows_have_every_value_of_their_files(tree: Path) -> None:
    assert add(tree, "m/a.onnx", "--with", "m/tok.txt").code == 0
    assert add(tree, "m/c.onnx", "m/d.int8.onnx", "m/d.onnx").code == 0
    a, c, d = rows(tree)
    assert a == {
        "id": "a",
        "onnx": "a.onnx",
        "sha256": digest(tree, "a.onnx"),
        "size": (tree / "m/a.onnx").stat().st_size,
        "opset": 17,
        "files": [{"path": "tok.txt", "sha256": digest(tree, "tok.txt"), "size": 4}],
        "license": "MIT",
        "license_url": MIT_URL,
        "sigstore_bundle": "bundles/a.sigstore.json",
    }
    assert c["external_data_sha256"] == {"c.data": digest(tree, "c.data")}
    assert d["int8_sha256"] == digest(tree, "d.int8.onnx")
    assert run_cli("check", cwd=tree).code == 0


def test_a_second_run_changes_nothing(tree: Path) -> None:
    add(tree, "m/a.onnx", "m/c.onnx", "m/d.onnx")
    before = (tree / "m/models.json").read_bytes()
    done = add(tree, "m/a.onnx", "m/c.onnx", "m/d.onnx")
    assert (done.code, done.json["diff"], done.json["written"]) == (0, "", False)
    assert (tree / "m/models.json").read_bytes() == before


def test_an_update_changes_only_what_the_bytes_change(tree: Path) -> None:
    add(tree, "m/c.onnx", "--license", "Apache-2.0")
    text = (tree / "m/models.json").read_text()
    edited = text.replace('"opset": 17', '"opset": 17,\n      "mine": [1,  2]')
    (tree / "m/models.json").write_text(edited)
    (tree / "m/c.onnx").write_bytes(models.model(salt=7))
    done = add(tree, "m/c.onnx").json
    assert done["rows"][0]["changed"] == ["sha256", "size", "external_data_sha256"]
    (row,) = rows(tree)
    assert (row["license"], row["mine"]) == ("Apache-2.0", [1, 2])
    assert '"mine": [1,  2]' in (tree / "m/models.json").read_text()
    assert "external_data_sha256" not in row


FRONT = "---\n{}\n---\n"
LICENSES = [
    # name, README.md, model_license, LICENSE, expression or the start of a TODO, start of the URL
    ("hub id", "license: apache-2.0", None, None, "Apache-2.0", "https://spdx.org/"),
    ("own name", "license: other\nlicense_name: Mine!\nlicense_link: https://e.org/l", None, None,
     "LicenseRef-Mine", "https://e.org/l"),
    ("own name, file", "license: other\nlicense_name: x\nlicense_link: LICENSE", None, "text",
     "LicenseRef-x", "../LICENSE"),
    ("a link out of the tree", "license: other\nlicense_name: x\nlicense_link: ../../x", None, None,
     "LicenseRef-x", "TODO"),
    ("family", "license: bsd", None, None, "TODO: the front matter of README.md says", "TODO"),
    ("list", "license: [mit, apache-2.0]", None, None, "TODO: the front matter", "TODO"),
    ("alias bomb", "a: &a [x]\nlicense: *a", None, None, "TODO: the front matter", "TODO"),
    ("other without a name", "license: other", "MIT License", None, "MIT", MIT_URL),
    ("not YAML", "license: [", "mit", None, "MIT", MIT_URL),
    ("in the model", "", "https://www.apache.org/licenses/LICENSE-2.0", None, "Apache-2.0",
     "https://spdx.org/"),
    ("odd text in the model", "", "see\x1b the\nsite", None, "TODO: `model_license`", "TODO"),
    ("sources disagree", "license: mit", "GPL-3.0", None, "TODO: the front matter", "TODO"),
    ("sources agree", "license: mit", "MIT", None, "MIT", MIT_URL),
    ("tag", "", None, "SPDX-License-Identifier: MIT", "MIT", MIT_URL),
    ("unknown text", "", None, "All rights reserved.", "TODO: the SPDX expression of the license",
     "../LICENSE"),
    ("nothing", "", None, None, "TODO: the SPDX expression of the model's license", "TODO"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("readme", "metadata", "file", "expression", "url"),
    [case[1:] for case in LICENSES],
    ids=[case[0] for case in LICENSES],
)
def test_license_of_each_source(
    tree: Path, readme: str, metadata: str | None, file: str | None, expression: str, url: str
) -> None:
    (tree / "README.md").write_text(FRONT.format(readme))
    if metadata is not None:
        content = with_metadata(models.model(padding=100_000), model_license=metadata)
        (tree / "m/a.onnx").write_bytes(content)
    if file is not None:
        (tree / "LICENSE").write_text(file)
    done = add(tree, "m/a.onnx").json["rows"][0]
    (row,) = rows(tree)
    assert row["license"].startswith(expression)
    assert row["license_url"].startswith(url)
    assert ("license" in done["todo"]) == expression.startswith("TODO")
    assert row["license"].isprintable()


def test_a_todo_is_replaced_and_a_license_is_kept(tree: Path) -> None:
    (tree / "README.md").write_text("no front matter\n")
    add(tree, "m/a.onnx")
    assert run_cli("check", cwd=tree).code == 1
    (tree / "README.md").write_text(FRONT.format("license: mit"))
    add(tree, "m/a.onnx")
    assert rows(tree)[0]["license"] == "MIT"
    (tree / "README.md").write_text(FRONT.format("license: isc"))
    add(tree, "m/a.onnx")
    assert (rows(tree)[0]["license"], rows(tree)[0]["license_url"]) == ("MIT", MIT_URL)


REFUSED = [
    ("no such file", ["m/none.onnx"], "'m/none.onnx' does not exist"),
    ("not a model", ["m/tok.txt"], "expected the name of a .onnx file"),
    ("other bytes", ["m/bad.onnx"], "is not an ONNX model"),
    ("outside", ["../x.onnx"], "not below"),
    ("above the registry", ["top.onnx"], "not below m"),
    ("one id for two", ["m/a.onnx", "m/c.onnx", "--id", "x"], "an id belongs to one row"),
    ("id of another row", ["m/d.onnx", "--id", "x"], "'d.onnx' is the model of the row 'd'"),
    ("license", ["m/a.onnx", "--license", "Apache2"], "not on the SPDX license list"),
    ("family", ["m/a.onnx", "--license", "gpl"], "not on the SPDX license list"),
    ("expression", ["m/a.onnx", "--license", "MIT OR ("], "not an SPDX license expression"),
    ("itself", ["m/a.onnx", "--with", "m/a.onnx"], "the model itself"),
    ("sidecar", ["m/a.onnx", "--with", "m/a.json"], "it is the sidecar of the model"),
    ("missing companion", ["m/a.onnx", "--with", "m/none.txt"], "does not exist"),
    ("shared by two", ["m/a.onnx", "m/c.onnx", "--with", "m/tok.txt"], 'shared = "allow"'),
    ("shared with a row", ["m/a.onnx", "--with", "m/of_d.txt"], 'shared = "allow"'),
]


@pytest.mark.parametrize(
    ("args", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_refused(tree: Path, args: list[str], message: str) -> None:
    (tree / "m/of_d.txt").write_text("d")
    (tree / "m/bad.onnx").write_text("not a model at all")
    (tree / "top.onnx").write_bytes(models.model())
    assert add(tree, "m/d.onnx", "--with", "m/of_d.txt").code == 0
    before = (tree / "m/models.json").read_bytes()
    done = run_cli("add", *args, cwd=tree)
    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert (tree / "m/models.json").read_bytes() == before


def test_a_row_can_get_another_file(tree: Path) -> None:
    add(tree, "m/a.onnx", "--id", "x")
    assert add(tree, "m/d.onnx", "--id", "x").code == 0
    (row,) = rows(tree)
    assert (row["onnx"], row["sha256"]) == ("d.onnx", digest(tree, "d.onnx"))


def test_new_rows_are_written_as_their_neighbours_are(tree: Path) -> None:
    row = '{\n\t\t\t"id": "%s",\n\t\t\t"onnx": "%s.onnx",\n\t\t\t"sha256": "",\n'
    row += '\t\t\t"sigstore_bundle": "b/%s.onnx.sigstore.json"\n\t\t}'
    two = ",\n\t\t".join(row % (n, n, n) for n in ("b", "d"))
    text = f'{{\n\t"models": [\n\t\t{two}\n\t]\n}}\n'
    (tree / "m/models.json").write_text(text)
    add(tree, "m/c.onnx")
    after = (tree / "m/models.json").read_text()
    assert [r["id"] for r in rows(tree)] == ["b", "c", "d"]
    added = rows(tree)[1]
    assert list(added) == sorted(added)
    assert added["sigstore_bundle"] == "b/c.onnx.sigstore.json"
    assert '\t\t{\n\t\t\t"external_data_sha256": {\n\t\t\t\t"c.data"' in after
    start = after.index('\n\t\t{\n\t\t\t"external')
    end = after.index("\n\t\t},", start) + len("\n\t\t},")
    assert after[:start] + after[end:] == text


MAPPED = [
    ("member and path", "json", '[{"name": "a", "w": {"file": "a.onnx", "sha": "00"}}]', "$[*]",
     {"id": "name", "onnx": "$.w.file", "sha256": "$.w.sha"},
     {"name": "d", "w": {"file": "d.onnx", "sha": "SHA"}}),
    ("key and template", "json", '{"a": {"f": "a.onnx"}}', "$.*",
     {"id": "~", "onnx": "{$.f}"}, {"d": {"f": "d.onnx"}}),
    ("digest", "json", '[{"n": "a", "f": "a.onnx", "d": "x"}]', "$[*]",
     {"id": "n", "onnx": "f", "digest": "d"}, {"n": "d", "f": "d.onnx", "d": "sha256:SHA"}),
    ("yaml", "yaml", "- {n: a, f: a.onnx, s: x}\n", "$[*]",
     {"id": "n", "onnx": "f", "size": "s"}, [{"n": "d", "f": "d.onnx", "s": "SIZE"}]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("format", "index", "path", "fields", "row"),
    [case[1:] for case in MAPPED],
    ids=[case[0] for case in MAPPED],
)
def test_a_mapped_registry_is_not_edited(
    tree: Path, format: str, index: str, path: str, fields: dict[str, str], row: Any
) -> None:
    import yaml

    lines = [f'[registry]\npath = "m/i.{format}"\nrows = "{path}"\n[registry.fields]']
    lines += [f'{key} = "{value}"' for key, value in fields.items()]
    (tree / "provenance.toml").write_text("\n".join(lines) + "\n")
    (tree / f"m/i.{format}").write_text(index)
    done = add(tree, "m/d.onnx", "--license", "MIT")
    if done.code:
        pytest.fail(done.err)
    (proposal,) = done.json["proposals"]
    text = proposal["text"]
    found = yaml.safe_load(text if not text.startswith('"') else "{" + text + "}")
    size = str((tree / "m/d.onnx").stat().st_size)
    expected = json.dumps(row).replace("SHA", digest(tree, "d.onnx")).replace('"SIZE"', size)
    assert found == json.loads(expected)
    assert proposal["left"] == []
    assert (tree / f"m/i.{format}").read_text() == index


def test_a_local_schema_decides_which_optional_fields_are_written(tree: Path) -> None:
    names = ("id", "onnx", "sha256", "license", "license_url", "sigstore_bundle")
    row = {"type": "object", "additionalProperties": False, "properties": {n: {} for n in names}}
    schema = {"properties": {"models": {"items": row}}}
    (tree / "m/s.json").write_text(json.dumps(schema))
    (tree / "m/models.json").write_text(EMPTY.replace("{", '{\n  "$schema": "s.json",', 1))
    assert add(tree, "m/a.onnx").json["rows"][0]["left_out"] == ["size", "opset"]
    assert "REG114" not in run_cli("check", cwd=tree).out


SHAPES: list[tuple[str, Any, bool]] = [
    ("a plain row", {"id": "m", "onnx": "m.onnx", "sha256": "a" * 64}, True),
    ("a spelled digest", {"id": "m", "onnx": "m.onnx", "sha256": "sha256:" + "A" * 64}, True),
    ("fields of its own", {"id": "m", "onnx": "m.onnx", "mine": {"x": 1}, "smoke": True}, True),
    ("only files", {"id": "m", "files": [{"path": "a.bin", "md5": "0" * 32}]}, True),
    ("only an address", {"id": "m", "url": "https://e.org/m.onnx"}, True),
    ("no id", {"onnx": "m.onnx"}, False),
    ("no file", {"id": "m"}, False),
    ("a number as id", {"id": 1, "onnx": "m.onnx"}, False),
    ("a list as row", [], False),
    ("a short digest", {"id": "m", "onnx": "m.onnx", "sha256": "abc"}, False),
    ("another suffix", {"id": "m", "onnx": "m.pt"}, False),
    ("a text as opset", {"id": "m", "onnx": "m.onnx", "opset": "17"}, False),
    ("a text as smoke", {"id": "m", "onnx": "m.onnx", "smoke": "true"}, False),
    ("a negative size", {"id": "m", "onnx": "m.onnx", "size": -1}, False),
    ("external data as a list", {"id": "m", "onnx": "m.onnx", "external_data_sha256": []}, False),
    ("a file without a name", {"id": "m", "files": [{"sha256": "a" * 64}]}, False),
    ("a mode of its own", {"id": "m", "onnx": "m.onnx", "quant_mode": "int4"}, False),
    ("a bundle of another kind", {"id": "m", "onnx": "m.onnx", "sigstore_bundle": "m.sig"}, False),
]


@pytest.mark.parametrize(
    ("row", "is_valid"), [case[1:] for case in SHAPES], ids=[case[0] for case in SHAPES]
)
def test_schema_of_a_registry(row: Any, is_valid: bool) -> None:
    value = {"$schema": MODELS_SCHEMA, "schema_version": 1, "models": [row]}
    assert Draft202012Validator(SCHEMA).is_valid(value) is is_valid


def test_schema_accepts_the_registry_of_this_repository() -> None:
    path = Path(__file__).parents[2] / "model/registry.json"
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == MODELS_SCHEMA
    Draft202012Validator(SCHEMA).validate(json.loads(path.read_text("utf-8")))
