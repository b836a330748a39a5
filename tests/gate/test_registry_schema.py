# SPDX-License-Identifier: Apache-2.0
"""REG114: which schema a registry follows, what is reported, and with which advice."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from provenance import check, load_config
from tests.support.findings import line_of, listed, only
from tests.support.repository import Repository, codes

NUMBERS = {"properties": {"models": {"items": {"properties": {"mine": {"type": "number"}}}}}}


def under(repository: Repository, schema: Any, named: str = "./s.json") -> Repository:
    """The repository, whose registry names a schema; a string is written as it is."""
    repository.write("s.json", schema if isinstance(schema, str) else json.dumps(schema))
    repository.save()
    repository.edit_registry('"models": [', f'"$schema": {json.dumps(named)}, "models": [')
    return repository


def not_judged(report: Any) -> list[str]:
    return [part for part in report.not_judged if "schema" in part]


@pytest.fixture
def two_rows(repository: Repository) -> Repository:
    """Rows with a field of their own that is no number."""
    repository.add("m", mine="x")
    repository.add("n", mine=[])
    return repository


def test_every_row_follows_the_schema(two_rows: Repository) -> None:
    report = under(two_rows, NUMBERS).check()
    assert listed(report.findings) == "REG114 m, REG114 n"
    assert report.findings[0].message == (
        "`mine`: expected a number, found a string (model/s.json)"
    )
    assert [line_of(f, two_rows) for f in report.findings] == ['"mine": "x"', '"mine": []']


def test_only_selected_rows_are_reported(two_rows: Repository) -> None:
    report = under(two_rows, {"required": ["more"], **NUMBERS}).check("n")
    assert listed(report.findings) == "REG114 n"


def test_repeated_part_of_the_schema_is_reported_once(two_rows: Repository) -> None:
    assert codes(under(two_rows, {"allOf": [NUMBERS, NUMBERS]}).check()) == ["REG114", "REG114"]


def test_violation_can_be_deferred_until_it_is_gone(two_rows: Repository) -> None:
    two_rows.defer("REG114", ["m", "n"])
    assert codes(under(two_rows, NUMBERS).check()) == []
    for row in two_rows.rows:
        row["mine"] = 1
    two_rows.deferrals.clear()
    two_rows.defer("REG114", ["m", "n"])
    assert set(codes(under(two_rows, NUMBERS).check())) == {"DEF901"}


@pytest.mark.parametrize(
    ("named", "held"),
    [
        ("s.json", True),
        ("./s.json", True),
        ("../model/s.json", True),
        ("%73.json", True),
        ("s.json#", True),
        ("s.json#/properties", False),
        ("#/$defs/x", False),
        ("", False),
        ("https://example.org/s.json", False),
        ("//example.org/s.json", False),
        ("file:s.json", False),
    ],
)
def test_schema_is_a_path_relative_to_the_registry(
    two_rows: Repository, named: str, held: bool
) -> None:
    report = under(two_rows, NUMBERS, named).check()
    assert ("REG114" in codes(report), not_judged(report)) == (held, [])


UNREAD = {
    "missing": ("gone.json", NUMBERS, "'model/gone.json' does not exist"),
    "outside": ("../../s.json", NUMBERS, "leaves the repository"),
    "absolute": ("/s.json", NUMBERS, "is an absolute path"),
    "a folder": ("..", NUMBERS, "is a folder"),
    "not JSON": ("s.json", "{", "is not JSON"),
    "ambiguous": ("s.json", '{"type": 1, "type": 2}', "twice"),
    "too large": ("s.json", " " * (1 << 20) + "{}", "is larger than"),
    "not whole": ("s.json#/gone", NUMBERS, "its target does not exist"),
    "elsewhere": ("s.json", {"$ref": "https://example.org/s.json"}, "to another document"),
    "hostile": ("s.json", {"properties": {"models": {"$ref": "#/properties/models"}}}, "itself"),
}


@pytest.mark.parametrize(("named", "schema", "why"), UNREAD.values(), ids=list(UNREAD))
def test_schema_that_is_not_evaluated_is_named_as_not_judged(
    two_rows: Repository, named: str, schema: Any, why: str
) -> None:
    report = under(two_rows, schema, named).check()
    assert "REG114" not in codes(report)
    (part,) = not_judged(report)
    assert part.startswith("parts of the registry's schema, ")
    assert why in part


def test_parts_that_are_not_evaluated_are_counted(two_rows: Repository) -> None:
    schema = {"allOf": [{"$ref": f"#/{number}"} for number in range(5)]}
    (part,) = not_judged(under(two_rows, schema).check())
    assert part.endswith("; and 2 more")


def closed(repository: Repository, *without: str) -> Any:
    """A schema that allows the fields of the rows, except some."""
    known: dict[str, Any] = {
        key: {} for row in repository.rows for key in row if key not in without
    }
    row = {"additionalProperties": False, "properties": known}
    return {"properties": {"models": {"items": row}}}


@pytest.mark.parametrize(
    ("field", "compared", "help"),
    [
        ("mine", False, "Remove `mine`, or declare it in the schema: model/s.json#"),
        ("mine", True, "Declare `mine` in the schema: model/s.json#"),  # BAS802 would miss it
        (
            "external_data_sha256",
            False,
            "Declare `external_data_sha256` in the schema: model/s.json#",
        ),
    ],
)
def test_field_that_another_rule_may_require_is_not_to_be_removed(
    repository: Repository, tmp_path: Path, field: str, compared: bool, help: str
) -> None:
    repository.add("m")[field] = {}
    shutil.copytree(repository.save().root, tmp_path / "then")
    under(repository, closed(repository, field))
    baseline = str(tmp_path / "then") if compared else None
    found = only(check(load_config(repository.root), baseline=baseline), "REG114")
    assert found.help.startswith(help)


@pytest.mark.parametrize(
    ("field", "code", "help"),
    [
        ("external_data_sha256", "ART306", "Then: provenance hash --write --add-external-data"),
        ("license", "LIC201", "Add the SPDX expression"),
        ("license_url", "LIC202", "Add the address"),
        ("sigstore_bundle", "LIC203", 'Add "sigstore_bundle": "<onnx>.sigstore.json" below `onnx`'),
        ("int8_sha256", "ART308", 'Add "int8_sha256": "" to the row, then: provenance hash q'),
        ("mine", "BAS802", "Put it back: provenance restore x"),
    ],
)
@pytest.mark.parametrize("is_closed", [True, False])
def test_advice_to_add_a_field_declares_it_in_a_closed_schema_first(
    repository: Repository, tmp_path: Path, field: str, code: str, help: str, is_closed: bool
) -> None:
    repository.add_external("x")["mine"] = 1
    repository.add_int8("q")
    repository.add("m")
    shutil.copytree(repository.save().root, tmp_path / "then")
    for row in repository.rows:
        row.pop(field, None)
    schema = closed(repository)
    if not is_closed:
        del schema["properties"]["models"]["items"]["additionalProperties"]
    under(repository, schema)
    baseline = str(tmp_path / "then") if code == "BAS802" else None
    report = check(load_config(repository.root), baseline=baseline)
    found = [f for f in report.findings if f.code == code]
    assert found
    declare = f"Declare `{field}` in the schema: model/s.json#/properties/models/items/properties. "
    expected = f"{declare}{help}" if is_closed else help.removeprefix("Then: ")
    for finding in found:
        assert finding.help.startswith(expected)
        assert not (is_closed and finding.fixes)


def test_hostile_name_in_the_schema_is_cut(repository: Repository) -> None:
    repository.add("m")
    schema = {"properties": {"models": {"items": {"required": ["x" * 5_000]}}}}
    (finding,) = under(repository, schema).check().findings
    assert len(finding.message) < 200


def test_registry_without_a_schema_loads_no_evaluator(repository: Repository) -> None:
    repository.add("m")
    repository.save()
    program = (
        "import sys, provenance; from pathlib import Path; "
        "provenance.check(provenance.load_config(Path())); "
        "print('provenance.artifacts.documents.json_schema' in sys.modules)"
    )

    def loaded() -> str:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=repository.root,
            env={"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    assert loaded() == "False"
    under(repository, {})
    assert loaded() == "True"
