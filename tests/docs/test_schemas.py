# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from provenance.attestations import predicates
from provenance.attestations.signed_row import REGISTRY_ROW
from scripts.write_docs import SCHEMAS
from tests.docs.pages import ROOT, fences, read

PACKAGED = ROOT / "provenance" / "schemas"


def test_every_schema_of_the_package_is_published() -> None:
    assert sorted(SCHEMAS) == sorted(p.name for p in PACKAGED.glob("*.json"))
    published = [p.name for p in (ROOT / "docs").rglob("*.schema.json")]
    assert sorted(published) == sorted(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_published_schema_is_that_of_the_package_and_valid(name: str) -> None:
    published = ROOT / SCHEMAS[name] / name
    assert published.read_bytes() == (PACKAGED / name).read_bytes()
    schema = json.loads(published.read_text("utf-8"))
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)


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


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_required_field_of_a_document_is_explained(name: str) -> None:
    pages = {
        "ensemble-seed.schema.json": "docs/predicates/ensemble-seed-v1.md",
        "registry-row.schema.json": "docs/predicates/registry-row-v1.md",
        "release-summary.schema.json": "docs/predicates/release-summary-v1.md",
        "report.schema.json": "docs/output.md",
    }
    text = read(pages[name])
    for field in json.loads((PACKAGED / name).read_text("utf-8"))["required"]:
        assert f"`{field}" in text, field
