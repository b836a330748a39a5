# SPDX-License-Identifier: Apache-2.0
"""Claims of a row, the origin of an imported model, and gates judged by their numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provenance.evidence.classification import classification, evaluated_gate, origin
from provenance.evidence.evidence import Evidence
from provenance.evidence.origin import MAX_TEXT
from provenance.evidence.rows import RowEvidence
from provenance.operations.promote import promote
from provenance.output.grouping import by_state, summary
from provenance.registry.rows import Classification
from tests.support.production import FOLDS, production
from tests.support.repository import PASSED, Repository, codes, seed_gate, verdict_gate
from tests.support.whole import read_whole

ORIGIN = {"source": "https://github.com/m-tassano/fastdvdnet", "license": "MIT"}
OTHER = {"sha256": "0" * 64}
NON_EMPTY = "expected a non-empty string of at most 2,048 characters"


def first(repository: Repository) -> tuple[Evidence, RowEvidence]:
    evidence = read_whole(repository.save().config)
    return evidence, evidence.rows[0]


def gate_of(repository: Repository) -> Any:
    return evaluated_gate(*first(repository))


@pytest.mark.parametrize(
    ("smoke", "claims"),
    [
        ({"smoke": True}, "smoke"),
        ({"smoke": False}, "production"),
        ({"smoke": None}, "unclaimed"),
        ({"smoke": 0}, "unclaimed"),
        ({"smoke": "no"}, "unclaimed"),
        ({}, "unclaimed"),
    ],
)
def test_the_claim_of_a_row_is_the_value_of_smoke(
    repository: Repository, smoke: dict[str, Any], claims: str
) -> None:
    del repository.add("m")["smoke"]
    repository.rows[0] |= smoke
    assert classification(first(repository)[1]) is Classification(claims)


# --- origins ------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"revision": "c8fdf618", "sha256": "0" * 64}])
def test_an_origin_is_read_from_the_sidecar_of_these_bytes(
    repository: Repository, more: dict[str, str]
) -> None:
    row = repository.add("m", smoke=None)
    repository.add_sidecar(row, origin=ORIGIN | more | {"comment": "not kept"})
    assert origin(first(repository)[1]) == ORIGIN | more
    for without in ({"origin": ORIGIN} | OTHER, {}):
        repository.add_sidecar(row, **without)
        assert origin(first(repository)[1]) is None


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (None, "`origin`: expected an object, found None"),
        ("https://example.org", "`origin`: expected an object"),
        ({"license": "MIT"}, "`origin.source` is missing"),
        ({"source": "here"}, "`origin.license` is missing"),
        (ORIGIN | {"source": " "}, f"`origin.source`: {NON_EMPTY}"),
        (ORIGIN | {"source": 5}, f"`origin.source`: {NON_EMPTY}"),
        (ORIGIN | {"source": "a" * (MAX_TEXT + 1)}, f"`origin.source`: {NON_EMPTY}"),
        (ORIGIN | {"license": "MIT MIT"}, "expected an SPDX license expression, found 'MIT MIT'"),
        (ORIGIN | {"sha256": "abc"}, "`origin.sha256`: expected a SHA-256 digest, found 'abc'"),
        (ORIGIN | {"license": "Zlib"}, "in the row `license` is 'MIT'"),
    ],
)
def test_an_origin_that_is_malformed_or_contradicts_the_row_is_reported(
    repository: Repository, declared: Any, message: str
) -> None:
    repository.add_sidecar(repository.add("m", smoke=False), gate=None, origin=declared)
    (found,) = repository.save().check().failing
    assert found.code == "SID419"
    assert message in found.message
    assert found.help.startswith("Decide" if "in the row" in message else "Write it as")


@pytest.mark.parametrize(
    ("license", "code"), [({}, "LIC201"), ({"license": ""}, "LIC201"), ({"license": 5}, "REG101")]
)
def test_an_origin_is_not_compared_with_an_invalid_license(
    repository: Repository, license: dict[str, Any], code: str
) -> None:
    row = repository.add("m")
    del row["license"]
    row |= license
    repository.add_sidecar(row, gate=None, origin=ORIGIN)
    assert codes(repository.save().check()) == [code]


@pytest.mark.parametrize(
    "record",
    [
        {"gate": PASSED},
        {"seed": 0},
        {"ensemble_id": "ens"},
        {"training_recipe": {"epochs": 1}},
        {"training": {}},
        {"gate_passed": False},
        {"verdict": "PROMOTE"},
        {"Seed": 0},
        {"seeds": [0, 1]},
        {"epochs": 30},
        {"gates": {"result": "HOLD"}},
        {"evaluation": {"runs": [{"Verdict": "HOLD"}]}},
        {"loso_mean_srocc": 0.2},
    ],
)
def test_an_origin_beside_a_record_of_training_is_reported(
    repository: Repository, record: dict[str, Any]
) -> None:
    row = repository.add("m", smoke=False)
    repository.add_sidecar(row, **{"gate": None, "origin": ORIGIN} | record)
    report = repository.save().check()
    (found,) = (f for f in report.failing if f.code == "SID419")
    assert found.help == "Remove `origin`, or the record: the model has only one of them."
    assert "SID417" not in codes(report)
    assert origin(first(repository)[1]) is None


@pytest.mark.parametrize(
    ("declared", "help"),
    [(ORIGIN, "Remove `origin`"), (ORIGIN | {"license": "MIT MIT"}, "Write it as")],
)
def test_a_seed_of_an_ensemble_is_not_imported(
    repository: Repository, declared: Any, help: str
) -> None:
    rows = repository.add_ensemble("ens", 1, smoke=False)
    sidecar = {"id": "ens_seed0", "sha256": rows[0]["sha256"], "origin": declared}
    repository.write("ens_seed0.json", sidecar)
    assert origin(first(repository)[1]) is None
    (found,) = (f for f in repository.check().failing if f.code == "SID419")
    assert found.help.startswith(help)


# --- gates --------------------------------------------------------------------------------------


def test_the_gate_of_a_seed_is_that_of_its_ensemble(repository: Repository) -> None:
    repository.add_ensemble("ens", 2)
    assert gate_of(repository) == {
        "metric": "PLCC",
        "direction": "at-least",
        "threshold": 0.95,
        "value": 0.99,
        "values": {"0": 0.99, "1": 0.99},
        "count": 2,
        "least": 0.95,
        "spread": 0.0,
        "spread_limit": 0.005,
        "result": "PROMOTE",
    }
    for needed in ("ens_seed_flip_PROMOTE.json", "ens.json"):
        repository.path(needed).unlink()
        assert gate_of(repository) is None


LOSO = {"loso_mean_plcc": 0.97, "ship_gate_mean_plcc": 0.95}
NAMED = [{"plcc": 0.9}, {"held_out": "a", "plcc": 0.8}, 5]


@pytest.mark.parametrize(
    ("claims", "result", "values"),
    [
        ({"gate": PASSED}, "PROMOTE", {}),
        ({"gate": PASSED} | OTHER, None, {}),
        ({"gate": PASSED | {"mean_plcc": 0.9}}, "HOLD", {}),
        ({"gate": seed_gate(0.99)}, "PROMOTE", {"this_seed": 0.99}),
        ({"gate": seed_gate(0.99) | {"this_seed_loso_plcc": 0.5}}, "HOLD", {"this_seed": 0.5}),
        ({"gate": seed_gate(0.99) | {"plcc_spread": 0.5}}, "HOLD", {"this_seed": 0.99}),
        ({"gate": seed_gate(0.99) | {"plcc_spread": "0"}}, "HOLD", {"this_seed": 0.99}),
        ({"gate": {"passed": True}}, None, {}),
        ({"gate": PASSED | {"mean_plcc": 1.5}}, None, {}),
        ({"gate": PASSED | {"mean_plcc_threshold": None}}, None, {}),
        # On the limit, within the rounding of a sum, the record decides.
        ({"gate": PASSED | {"mean_plcc": 0.95 - 1e-12}}, "PROMOTE", {}),
        ({"gate": {"mean_plcc": 0.95 - 1e-12, "mean_plcc_threshold": 0.95}}, "HOLD", {}),
        (LOSO, "PROMOTE", {}),
        ({"training": LOSO | {"loso_folds": NAMED}}, "PROMOTE", {"0": 0.9, "a": 0.8}),
    ],
)
def test_the_numbers_of_a_record_give_its_outcome(
    repository: Repository, claims: dict[str, Any], result: str | None, values: dict[str, float]
) -> None:
    repository.add_sidecar(repository.add("m"), **claims)
    found = gate_of(repository)
    assert (found and found["result"], found["values"] if found else {}) == (result, values)


def test_the_names_and_number_of_folds_are_limited(repository: Repository) -> None:
    folds = [{"held_out": f"{i:03}" * 99, "plcc": 0.99} for i in range(150)]
    training = {"loso_folds": folds, "ship_gate_mean_plcc": 0.95}
    repository.add_sidecar(repository.add("m"), training=training)
    found = gate_of(repository)
    assert (found["count"], len(found["values"]), found["result"]) == (150, 100, "PROMOTE")
    assert max(map(len, found["values"])) == 100


def test_the_mean_is_that_of_the_folds(tmp_path: Path) -> None:
    evidence = read_whole(production(tmp_path / "tree").config)
    plain = next(row for row in evidence.rows if row.label == "plain")
    found = evaluated_gate(evidence, plain)
    assert isinstance(found, dict)
    assert found["values"] == FOLDS
    assert found["value"] == pytest.approx(sum(FOLDS.values()) / 3)


# --- advice about promotion ---------------------------------------------------------------------


def test_an_ensemble_is_ready_only_if_all_of_its_seeds_are(repository: Repository) -> None:
    repository.add_ensemble("ens", 2)
    assert [f.code for f in repository.save().check().findings] == ["SID418", "SID418"]
    assert repository.check("ens_seed0").findings == ()
    sidecar = json.loads(repository.path("ens_seed1.json").read_text("utf-8"))
    repository.write("ens_seed1.json", sidecar | {"smoke": True})
    assert repository.check().findings == ()


@pytest.mark.parametrize("name", ["a.json", "z.json"])
def test_a_seed_is_ready_only_with_the_ensemble_that_its_sidecar_names(
    repository: Repository, name: str
) -> None:
    """Another ensemble, of the first seed alone, has a verdict too."""
    repository.add_ensemble("ens", 2)
    manifest, verdict, seed = (
        json.loads(repository.path(file).read_text("utf-8"))
        for file in ("ens.json", "ens_seed_flip_PROMOTE.json", "ens_seed1.json")
    )
    repository.write(name, manifest | {"id": "other", "members": manifest["members"][:1]})
    repository.write("other_PROMOTE.json", verdict | {"ensemble_id": "other"})
    repository.write("ens_seed1.json", seed | {"smoke": True})
    assert "SID418" not in {f.code for f in repository.save().check().findings}


@pytest.mark.parametrize(
    ("opset", "step"), [(17, "run: "), (18, "correct the errors of this row, then: ")]
)
def test_a_row_is_promoted_after_its_errors_are_corrected(
    repository: Repository, opset: int, step: str
) -> None:
    repository.add_sidecar(repository.add("m", opset=opset), gate=PASSED)
    (found,) = (f for f in repository.save().check().findings if f.code == "SID418")
    assert found.help == f"If the model is meant for use, {step}provenance promote m"


@pytest.mark.parametrize(
    ("claims", "where"),
    [({}, ""), ({"smoke": False}, " in the row and in its sidecar"), ({"smoke": 0}, "")],
)
def test_a_row_without_a_gate_is_changed_wherever_it_claims_production(
    repository: Repository, claims: dict[str, Any], where: str
) -> None:
    repository.add_sidecar(repository.add("m", smoke=False), gate=None, **claims)
    (found,) = (f for f in repository.save().check().failing if f.code == "SID417")
    assert found.help.endswith(f' Until then say "smoke": true{where}.')
    assert found.about == "model/m.json"


def test_a_row_that_claims_nothing_is_promoted_on_evidence(repository: Repository) -> None:
    repository.add_sidecar(repository.add_unclaimed("m"), gate=PASSED)
    done = promote(repository.save().config, rows=["m"])
    assert (done.flipped, done.exit_code) == (("m",), 0)
    (written,) = json.loads(repository.registry.read_text("utf-8"))["models"]
    assert list(written.items())[-1] == ("smoke", False)
    assert repository.check().findings == ()


@pytest.mark.parametrize(
    ("smoke", "origins", "says"),
    [
        ((True, False), False, ", 1 of them smoke"),
        ((True, None, None), False, ", 1 of them smoke, 2 unclaimed"),
        ((None,), True, ", unclaimed, imported"),
        ((False, False), True, ", 2 of them imported"),
        ((False,), False, ""),
    ],
)
def test_a_report_counts_the_rows_of_each_state(
    repository: Repository, smoke: tuple[Any, ...], origins: bool, says: str
) -> None:
    for number, value in enumerate(smoke):
        row = repository.add_unclaimed(f"m{number}")
        if value is not None:
            row["smoke"] = value
        repository.add_sidecar(row, **({"gate": None, "origin": ORIGIN} if origins else {}))
    report = repository.save().check()
    rows = "1 row" if len(smoke) == 1 else f"{len(smoke)} rows"
    assert summary(report) == f"OK: {rows} passed{says}"
    listed = sum(len(ids) for _, ids in by_state(report.rows))
    assert listed == sum(value is not False for value in smoke) + origins * len(smoke)


# --- production without evidence ----------------------------------------------------------------


SEED, VERDICT = seed_gate(0.99), verdict_gate({"0": 0.99})
FLAT = {"gate": None, "gate_passed": True, "loso_mean_plcc": 0.99}


@pytest.mark.parametrize(
    ("record", "code"),
    [
        # limits that every number passes
        ({"gate": PASSED | {"mean_plcc_threshold": 0}}, "SID417"),
        ({"gate": PASSED | {"mean_plcc": 0.0, "mean_plcc_threshold": 1e-10}}, "SID417"),
        ({"gate": PASSED | {"mean_plcc": -0.9, "mean_plcc_threshold": -1}}, "SID417"),
        ({"gate": PASSED | {"plcc_spread": 0.5, "plcc_spread_max": 1}}, "SID417"),
        ({"gate": SEED | {"per_seed_min_threshold": 0}}, "SID417"),
        ({"gate": VERDICT | {"mean_plcc_threshold": 0}}, "SID417"),
        ({"gate": VERDICT | {"per_seed_min": -1}}, "SID417"),
        ({"gate": VERDICT | {"plcc_spread_max": 1e300}}, "SID417"),
        (FLAT | {"ship_gate_mean_plcc": 0}, "SID417"),
        # values that are no numbers of a gate
        ({"gate": PASSED | {"plcc_spread": -5, "plcc_spread_max": 0.005}}, "SID417"),
        ({"gate": PASSED | {"mean_plcc": True, "mean_plcc_threshold": False}}, "ENS511"),
        ({"gate": PASSED | {"per_seed_plccs": {}}}, "SID417"),
        ({"gate": PASSED | {"per_seed_plccs": [0.1]}}, "SID417"),
        # a failure that is recorded elsewhere, or with other words
        ({"gate": PASSED, "training": {"gate": {"passed": False}}}, "ENS511"),
        ({"gate": PASSED, "training": {"gate": {"verdict": "HOLD"}}}, "ENS511"),
        ({"gate": PASSED, "training": {"verdict": "HOLD"}}, "ENS511"),
        ({"gate": PASSED, "verdict": "FAILED"}, "SID417"),
        ({"gate": PASSED | {"verdict": "Hold"}}, "SID417"),
    ],
)
def test_a_gate_that_every_model_passes_is_no_evidence(
    repository: Repository, record: dict[str, Any], code: str
) -> None:
    repository.add_sidecar(repository.add("m", smoke=False), **record)
    assert codes(repository.save().check()) == [code]


@pytest.mark.parametrize(
    "record", [{"gate_passed": False}, {"verdict": "HOLD"}, {"gate": {"verdict": "FAILED"}}, {}]
)
def test_a_variant_that_failed_its_gate_is_not_production(
    repository: Repository, record: dict[str, Any]
) -> None:
    row = repository.add_int8("m", smoke=False)
    repository.add_sidecar(row)
    repository.write("m.int8.json", {"id": "m", "sha256": row["int8_sha256"]} | record)
    assert codes(repository.save().check()) == (["SID417"] if record else [])


@pytest.mark.parametrize("name", ["m.onnx", "m.int8.onnx"])
def test_the_bytes_of_a_placeholder_are_not_production(repository: Repository, name: str) -> None:
    repository.add_sidecar(repository.add_int8("m", smoke=False))
    other = repository.add("other", repository.path(name).read_bytes())
    (found,) = repository.save().check().failing
    assert (found.code, found.about) == ("SID417", "model/registry.json")
    repository.add_sidecar(repository.rows[0], gate=None)
    (found,) = repository.check().failing
    assert (found.code, found.about) == ("SID417", "model/registry.json")
    repository.add_sidecar(repository.rows[0])
    del other["smoke"]
    assert codes(repository.save().check()) == []
