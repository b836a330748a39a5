# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from provenance.attestations import predicates
from provenance.attestations.signed_row import REGISTRY_ROW
from scripts.write_docs import SCHEMAS
from tests.docs.pages import ROOT, fences, read, require_none

PACKAGED = ROOT / "provenance" / "schemas"
EXPLAINED: Final = {
    "ensemble-seed.schema.json": "docs/predicates/ensemble-seed-v1.md",
    "registry-row.schema.json": "docs/predicates/registry-row-v1.md",
    "release-summary.schema.json": "docs/predicates/release-summary-v1.md",
    "report.schema.json": "docs/output.md",
}
"""The page that explains the fields of each schema."""


def test_every_schema_of_the_package_is_published() -> None:
    assert sorted(SCHEMAS) == sorted(p.name for p in PACKAGED.glob("*.json"))
    published = [p.name for p in (ROOT / "docs").rglob("*.schema.json")]
    assert sorted(published) == sorted(SCHEMAS)


def wrong_with(name: str) -> Iterator[str]:
    """Yield what is wrong with the published schema `name`."""
    published = ROOT / SCHEMAS[name] / name
    if published.read_bytes() != (PACKAGED / name).read_bytes():
        yield f"{name}: differs from the schema of the package"
    schema = json.loads(published.read_text("utf-8"))
    if schema["$schema"] != Draft202012Validator.META_SCHEMA["$id"]:
        yield f"{name}: expected draft 2020-12, found {schema['$schema']}"
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        yield f"{name}: {error.message}"


def test_published_schemas_are_those_of_the_package_and_valid() -> None:
    require_none(problem for name in SCHEMAS for problem in wrong_with(name))


def examples(page: str) -> list[Any]:
    return [json.loads(block) for language, block in fences(read(page)) if language == "json"]


@pytest.mark.parametrize(
    ("page", "predicate_type"),
    [
        ("docs/predicates/registry-row-v1.md", REGISTRY_ROW),
        ("docs/predicates/ensemble-seed-v1.md", predicates.SLSA_PROVENANCE),
    ],
)
def test_the_examples_of_a_page_fit_its_schema(page: str, predicate_type: str) -> None:
    validator = Draft202012Validator(predicates.schema(predicate_type))
    shown = examples(page)
    assert shown
    for example in shown:
        assert example["predicateType"] == predicate_type
        validator.validate(example["predicate"])
        del example["predicate"][next(iter(example["predicate"]))]
        assert not validator.is_valid(example["predicate"])


def test_the_report_that_is_shown_fits_its_schema() -> None:
    schema = json.loads(Path(PACKAGED / "report.schema.json").read_text("utf-8"))
    report = examples("docs/output.md")[0]
    Draft202012Validator(schema).validate(report)
    report["verdict"] = "fine"
    assert not Draft202012Validator(schema).is_valid(report)


def test_every_required_field_of_a_document_is_explained() -> None:
    assert EXPLAINED.keys() == set(SCHEMAS)
    require_none(
        f"{page}: no `{field}`"
        for name, page in EXPLAINED.items()
        for field in json.loads((PACKAGED / name).read_text("utf-8"))["required"]
        if f"`{field}" not in read(page)
    )
