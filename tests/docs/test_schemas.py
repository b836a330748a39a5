# SPDX-License-Identifier: Apache-2.0
"""The schemas of the package are published and explained, and examples in the docs fit them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from provenance.attestations import predicates
from provenance.attestations.signed_row import REGISTRY_ROW
from scripts.write_docs import SCHEMAS
from tests.docs.pages import ROOT, fences, read, require_none

PACKAGED = ROOT / "provenance" / "schemas"
EXPLAINED = {
    "ensemble-seed.schema.json": "docs/predicates/ensemble-seed-v1.md",
    "models.schema.json": "docs/registry.md",
    "registry-row.schema.json": "docs/predicates/registry-row-v1.md",
    "release-summary.schema.json": "docs/predicates/release-summary-v1.md",
    "report.schema.json": "docs/output.md",
}
"""The page that explains the fields of each schema."""


def test_every_schema_of_the_package_is_published() -> None:
    packaged = sorted(p.name for p in PACKAGED.glob("*.json"))
    published = sorted(p.name for p in (ROOT / "docs").rglob("*.schema.json"))
    assert packaged == published == sorted(SCHEMAS) == sorted(EXPLAINED)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_published_schema_is_that_of_the_package_and_explained(name: str) -> None:
    content = (ROOT / SCHEMAS[name] / name).read_bytes()
    assert content == (PACKAGED / name).read_bytes()
    schema = json.loads(content)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)
    page = EXPLAINED[name]
    require_none(f"{page}: no `{f}`" for f in schema["required"] if f"`{f}" not in read(page))


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
    assert examples(page)
    for example in examples(page):
        assert example["predicateType"] == predicate_type
        validator.validate(example["predicate"])
        del example["predicate"][next(iter(example["predicate"]))]
        assert not validator.is_valid(example["predicate"])


def test_the_report_on_the_page_fits_its_schema() -> None:
    validator = Draft202012Validator(json.loads((PACKAGED / "report.schema.json").read_text()))
    report = examples("docs/output.md")[0]
    validator.validate(report)
    assert not validator.is_valid(report | {"verdict": "fine"})
