# SPDX-License-Identifier: Apache-2.0
"""Gates of the configuration: reading, evaluating and signing them, and changes of a gate."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from provenance import check, load_config
from provenance.artifacts import digest, limits
from provenance.artifacts.documents import json_schema
from provenance.artifacts.ensemble import GateVerdict, Manifest
from provenance.artifacts.sidecar import Sidecar
from provenance.config import Gates, of_text
from provenance.errors import InputError
from provenance.evidence.canonical import canonical_row
from provenance.evidence.collect import read_rows
from provenance.evidence.gates import GateResult, of_ensemble, of_model, selects
from provenance.gate.finding import Finding, Report
from provenance.operations.load_evidence import load_evidence
from tests.support.keys import KeyPair
from tests.support.repository import Repository, codes, copied

SCHEMAS = Path(__file__).parents[2] / "provenance" / "schemas"
PSNR = {"metric": "PSNR", "threshold": 38.5, "sidecar": "$.evaluation.psnr"}
RMSE = {"metric": "RMSE", "threshold": 2, "direction": "lower", "verdict": "$.metrics.rmse"}
MEMBERS = {"members": "$.metrics.of.*.rmse", "spread": 0.1, "member_threshold": 1.5}
PLCC = {"metric": "PLCC", "threshold": 0.95, "verdict": "$.gate.mean_plcc"}


def toml(*gates: dict[str, Any]) -> str:
    """The tables `[[gate]]`. JSON's strings, numbers and lists of strings are TOML's."""
    return "\n".join(
        "\n".join(["[[gate]]", *(f"{key} = {json.dumps(value)}" for key, value in gate.items())])
        for gate in gates
    )


def parsed(text: str) -> Gates:
    path = Path("/x/provenance.toml")
    config = of_text(f'registry = "r.json"\n{text}', path, path.parent)
    assert config is not None
    return config.gates


def gate(**fields: Any) -> Gates:
    return parsed(toml(fields))


def test_a_gate_is_read() -> None:
    (found,) = gate(**RMSE, **MEMBERS, rows=["a", "b*"]).declared
    assert (found.metric, found.threshold, found.direction) == ("RMSE", 2.0, "lower")
    assert (found.spread, found.member_threshold) == (0.1, 1.5)
    assert [path and path.text for path in (found.verdict, found.members, found.sidecar)] == [
        "$.metrics.rmse", "$.metrics.of.*.rmse", None,
    ]  # fmt: skip
    assert found.name == "[[gate]] 1 (RMSE)"


@pytest.mark.parametrize(
    ("change", "message", "help"),
    [
        ({"metric": None}, "`metric` is missing", 'metric = "PLCC"'),
        ({"metric": " "}, "`metric` is empty", 'metric = "PLCC"'),
        ({"metric": "a" * 101}, "at most 100 printable characters", 'metric = "PLCC"'),
        ({"metric": "a\u202eb"}, "at most 100 printable characters", 'metric = "PLCC"'),
        ({"threshold": None}, "`threshold` is missing", "threshold = 0.95"),
        ({"threshold": "0.9"}, "expected a finite number, found '0.9'", "threshold = 0.95"),
        ({"threshold": True}, "expected a finite number, found True", "threshold = 0.95"),
        ({"threshold": float("nan")}, "expected a finite number, found nan", "threshold"),
        ({"threshold": float("-inf")}, "expected a finite number, found -inf", "threshold"),
        ({"direction": "up"}, '"higher" or "lower", found \'up\'', 'direction = "lower"'),
        ({"direction": []}, '"higher" or "lower", found []', 'direction = "lower"'),
        ({"rows": []}, "expected a list of ids", 'rows = ["my_ensemble"]'),
        ({"rows": "m"}, "expected a list of ids", 'rows = ["my_ensemble"]'),
        ({"rows": [" "]}, "expected a list of ids", 'rows = ["my_ensemble"]'),
        ({"sidecar": "evaluation"}, "a path begins with $", '"$.evaluation"'),
        ({"sidecar": "$..a"}, "`..` is not supported", "Write each step"),
        ({"sidecar": "$.a[0]"}, "not selected by number", "Select them by a value"),
        ({"sidecar": ""}, "`sidecar` is empty", "remove `sidecar`"),
        ({"sidecar": None}, "`verdict`, `members` and `sidecar` are missing", "sidecar = "),
        ({"spread": 1}, "`spread` limits the values of members", "members = "),
        ({"spread": -1, "members": "$.a.*"}, "a finite number of at least 0", "spread = 0.005"),
        ({"spread": float("inf"), "members": "$.a.*"}, "at least 0, found inf", "spread"),
        ({"member_threshold": 1}, "`member_threshold` limits the values", "members = "),
        ({"treshold": 1}, "unknown key `gate.treshold`", "Did you mean `gate.threshold`?"),
    ],
)
def test_a_wrong_gate_is_an_error(change: dict[str, Any], message: str, help: str) -> None:
    fields = {key: value for key, value in (PSNR | change).items() if value is not None}
    text = toml(fields).replace("NaN", "nan").replace("Infinity", "inf")
    with pytest.raises(InputError) as caught:
        parsed(text)
    assert message in caught.value.message
    assert help in (caught.value.help or "")


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([PSNR] * (limits.GATES + 1), "201 gates; at most 200"),
        ([PSNR | {"rows": [f"r{i}" for i in range(501)]}], "501 entries in `rows`; at most 500"),
    ],
)
def test_the_number_of_gates_is_bounded(tables: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parsed(toml(*tables))


def sidecar(**fields: Any) -> Sidecar:
    return Sidecar("m.json", digest.of_bytes(b""), json.dumps(fields), fields)


def evaluated(gates: Gates, **fields: Any) -> GateResult:
    (found,) = of_model(sidecar(**fields), gates.declared)
    return found


@pytest.mark.parametrize(
    ("value", "change", "passed"),
    [
        (39, {}, True),
        (38.5, {}, True),  # the limit itself passes
        (38.4, {}, False),
        (-1e300, {}, False),
        (38.5 - 1e-10, {}, False),  # within rounding: nothing records that it passed
        (1, {"direction": "lower"}, True),
        (38.5, {"direction": "lower"}, True),
        (38.6, {"direction": "lower"}, False),
        (-3, {"threshold": -5}, True),
        (-6, {"threshold": -5}, False),
        (0, {"threshold": 0}, True),
    ],
)
def test_a_value_is_compared_with_its_threshold(
    value: float, change: dict[str, Any], passed: bool
) -> None:
    result = evaluated(gate(**(PSNR | change)), evaluation={"psnr": value})
    assert result.passed is passed
    assert bool(result.failed) is not passed
    assert result.evaluation is not None
    assert result.evaluation.as_json()["result"] == ("PROMOTE" if passed else "HOLD")


def test_within_rounding_the_record_decides() -> None:
    near = {"evaluation": {"psnr": 38.5 - 1e-10}}
    assert evaluated(gate(**PSNR), gate_passed=True, **near).passed
    assert not evaluated(gate(**PSNR), gate_passed=False, **near).passed
    assert not evaluated(gate(**PSNR), gate_passed=True, evaluation={"psnr": 38.5 - 1e-8}).passed


@pytest.mark.parametrize(
    ("evaluation", "path", "message"),
    [
        ({}, "$.evaluation.psnr", "selects nothing"),
        (None, "$.evaluation.psnr", "selects nothing"),
        ([39], "$.evaluation.psnr", "selects nothing"),
        ({"psnr": None}, "$.evaluation.psnr", "is None, expected a number"),
        ({"psnr": "39"}, "$.evaluation.psnr", "is '39', expected a number"),
        ({"psnr": True}, "$.evaluation.psnr", "is True, expected a number"),
        ({"psnr": 10**400}, "$.evaluation.psnr", "expected a number"),
        ({"psnr": {"mean": 39}}, "$.evaluation.psnr", "expected a number"),
        ({"psnr": 39, "again": 40}, "$.evaluation.*", "selects several values, expected a single"),
    ],
)
def test_a_value_that_is_missing(evaluation: Any, path: str, message: str) -> None:
    result = evaluated(gate(**(PSNR | {"sidecar": path})), evaluation=evaluation)
    assert not result.passed
    assert result.evaluation is None
    assert message in result.missing[0].message


def verdict(of: Any, rmse: Any = 1.2) -> tuple[GateVerdict, Manifest]:
    """A verdict and the manifest of an ensemble with the members e0, e1 and e2."""
    value = {"metrics": {"rmse": rmse, "of": of}}
    listed = [{"id": f"e{i}", "onnx": f"e{i}.onnx", "seed": i} for i in range(3)]
    manifest = {"id": "ens", "members": listed}
    nothing = digest.of_bytes(b"")
    return (
        GateVerdict("ens_eval.json", nothing, json.dumps(value), value),
        Manifest("ens.json", nothing, json.dumps(manifest), manifest),
    )


def each(*values: Any, names: str = "e") -> dict[str, Any]:
    return {f"{names}{i}": {"rmse": value} for i, value in enumerate(values)}


@pytest.mark.parametrize(
    ("of", "rmse", "change", "failed", "missing"),
    [
        (each(1.2, 1.25, 1.3), 1.2, {}, "", ""),
        (each(1.2, 1.25, 1.3, names=""), 1.2, {}, "", ""),  # named by seed
        (each(1.2, 1.25, 1.3, names="run "), 1.2, {}, "", ""),  # other names are only counted
        ([{"rmse": v} for v in (1.2, 1.25, 1.3)], 1.2, {}, "", ""),
        (each(1.2, 1.25, 1.3), 2.5, {}, "RMSE is 2.5; [[gate]] 1 (RMSE) requires at most 2", ""),
        (each(1.2, 1.25, 1.3), None, {}, "", "`$.metrics.rmse` is None"),
        (each(1.2, 1.25, 1.4), 1.2, {}, "the spread of RMSE is 0.2", ""),
        (each(1.5, 1.5, 1.5), 1.2, {}, "", ""),
        (each(1.5, 1.51, 1.52), 1.2, {}, "RMSE of 'e1' is 1.51 (and of 1 more)", ""),
        (each(1.2, 1.25), 1.2, {}, "", "selects 2 values, but ens.json lists 3 members"),
        (each(1.2, 1.25, 1.3, 1.3), 1.2, {}, "", "selects 4 values"),
        (each(1.2, 1.25, "1.3"), 1.2, {}, "", "the value of 'e2' is '1.3', expected a number"),
        ({"e0": {"rmse": 1}, "e1": {"rmse": 1}, "x": {"rmse": 1}}, 1, {}, "", "member 'e2'"),
        ({}, 1.2, {}, "", "selects nothing, expected a number of each member"),
        (each(1e308, -1e308, 0), 1.2, {}, "", "are too large to be compared"),
        (each(1e308, 1e308, 1e308), None, {"verdict": None}, "", "are too large to be compared"),
        (each(1.2, 1.25, 1.3), None, {"verdict": None}, "", ""),  # the mean of the members
        (each(1.2, 1.25, 1.3), None, {"verdict": None, "threshold": 1.1}, "RMSE is 1.25;", ""),
    ],
)
def test_an_ensemble(of: Any, rmse: Any, change: dict[str, Any], failed: str, missing: str) -> None:
    fields = {k: v for k, v in (RMSE | MEMBERS | change).items() if v is not None}
    (result,) = of_ensemble(*verdict(of, rmse), gate(**fields).declared)
    assert result.passed is not bool(failed or missing)
    for expected, faults in ((failed, result.failed), (missing, result.missing)):
        assert bool(faults) is bool(expected), faults
        assert expected in "; ".join(fault.message for fault in faults)


def test_many_values_are_not_read() -> None:
    (result,) = of_ensemble(
        *verdict(each(*[1] * (limits.MEMBERS + 1))), gate(**RMSE, **MEMBERS).declared
    )
    assert "selects more than 10,000 values" in result.missing[0].message


@pytest.mark.parametrize("path", ["$.*.*.none", "$.*.*[?@.none]"])
def test_the_work_on_a_document_is_bounded(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wide: dict[str, Any] = {str(i): {str(j): {} for j in range(30)} for i in range(30)}
    gates = gate(**(PSNR | {"sidecar": path}))
    assert "selects nothing" in evaluated(gates, **wide).missing[0].message
    monkeypatch.setattr(limits, "GATE_VALUES", 900)
    assert "the gates visit more than" in evaluated(gates, **wide).missing[0].message
    assert not selects(gate(**(PSNR | {"verdict": path})).declared, wide)


@pytest.mark.parametrize(
    ("rows", "models", "ensembles"),
    [
        (["*"], ["m", "M"], [["ens"], []]),
        (["m"], ["m"], [["m", "ens"]]),
        (["e*"], ["e0"], [["ens"], ["x", "e1"]]),
        (["[me]"], ["m", "e"], [["m"]]),
        (["x"], [], []),
    ],
)
def test_what_a_gate_applies_to(
    rows: list[str], models: list[str], ensembles: list[list[str]]
) -> None:
    gates = gate(**PSNR, verdict="$.v", rows=rows)
    labels = ["m", "M", "e0", "e"]
    matched = {label for label in labels if gates.of_row(label)}
    assert set(models) <= matched
    assert matched == set(models) or rows in (["*"], ["e*"])
    assert all(gates.of_ensemble(names) for names in ensembles)
    assert not gates.of_ensemble(["nothing"]) or rows == ["*"]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A production model `m` without a recorded gate, with a PSNR of 39."""
    made = Repository(tmp_path / "repository")
    made.add_sidecar(made.add("m", smoke=False), gate=None, evaluation={"psnr": 39.0})
    return made


def found(repository: Repository, *gates: dict[str, Any]) -> list[str]:
    """The codes of the findings that fail, under these gates."""
    repository.trust = toml(*gates)
    return codes(repository.save().check())


@pytest.mark.parametrize(
    ("row", "fields", "gates", "expected"),
    [
        ({}, {}, [], ["SID417"]),  # no gate is recorded, and none is configured
        ({}, {}, [PSNR], []),
        ({}, {}, [PSNR, PSNR | {"threshold": 40}], ["ENS522"]),
        ({}, {}, [PSNR | {"rows": ["m"]}], []),
        ({}, {}, [PSNR | {"rows": ["n"]}], ["ENS524", "SID417"]),
        ({}, {}, [PLCC | {"rows": ["m"]}], ["ENS524", "SID417"]),  # a path for ensembles only
        ({}, {}, [PLCC], ["ENS524", "SID417"]),
        ({}, {"evaluation": {"psnr": 37}}, [PSNR], ["ENS522"]),
        ({}, {"evaluation": {}}, [PSNR], ["ENS523"]),
        ({}, {"gate_passed": False}, [PSNR], ["ENS517"]),
        ({}, {"gate": {"passed": True, "mean_plcc": 0.9, "mean_plcc_threshold": 0.95}}, [PSNR],
         ["ENS511"]),
        ({}, {"sha256": "0" * 64, "evaluation": {}}, [PSNR], ["SID404"]),
        ({}, {"evaluation": {}, "origin": {"source": "x", "license": "MIT"}}, [PSNR], []),
        ({}, {"evaluation": {"psnr": 1}, "origin": {"source": "x", "license": "MIT"}}, [PSNR],
         ["ENS522"]),
        ({"smoke": True}, {"evaluation": {"psnr": 37}}, [PSNR], []),
        ({"smoke": True}, {"evaluation": {}}, [PSNR], []),
        ({"smoke": None}, {"evaluation": {"psnr": 37}}, [PSNR], ["ENS522"]),
        ({"smoke": None}, {"evaluation": {}}, [PSNR], []),
    ],
)  # fmt: skip
def test_a_single_model(
    repository: Repository,
    row: dict[str, Any],
    fields: dict[str, Any],
    gates: list[dict[str, Any]],
    expected: list[str],
) -> None:
    sidecar = json.loads(repository.path("m.json").read_text("utf-8")) | fields
    repository.write("m.json", sidecar)
    repository.rows[0] |= row
    if repository.rows[0]["smoke"] is None:
        del repository.rows[0]["smoke"]
    assert found(repository, *gates) == expected


def test_a_missing_sidecar_is_one_finding(repository: Repository) -> None:
    repository.path("m.json").unlink()
    assert found(repository, PSNR) == ["SID401"]


@pytest.fixture
def ensemble(tmp_path: Path) -> Repository:
    """A production ensemble `ens` of two members with built-in records."""
    made = Repository(tmp_path / "ensemble")
    made.add_ensemble("ens", 2, smoke=False)
    return made


FILE = "ens_seed_flip_PROMOTE.json"
RECORD: dict[str, Any] = {"metrics": {"rmse": 1.2, "of": {"0": {"rmse": 1.2}, "1": {"rmse": 1.25}}}}


def edit(repository: Repository, name: str, unset: tuple[str, ...] = (), **fields: Any) -> None:
    value = json.loads(repository.path(name).read_text("utf-8")) | fields
    repository.write(name, {k: v for k, v in value.items() if k not in unset})


@pytest.mark.parametrize(
    ("unset", "fields", "gates", "expected"),
    [
        ((), {}, [], []),
        ((), {}, [PLCC], []),
        ((), {}, [PLCC | {"threshold": 0.991}], ["ENS522"]),
        ((), {}, [PLCC | {"members": "$.gate.per_seed_plccs.*", "spread": 0}], []),
        ((), {}, [RMSE], ["ENS523"]),
        ((), RECORD, [RMSE | MEMBERS], []),
        ((), RECORD, [RMSE | {"threshold": 1}], ["ENS522"]),
        ((), RECORD, [RMSE | {"rows": ["ens_seed1"]}], []),
        ((), RECORD, [RMSE | {"rows": ["other"]}], ["ENS524"]),
        # Without a gate, the built-in one decides, and it needs its own numbers.
        ((), RECORD | {"gate": {}}, [], ["ENS511"]),
        ((), RECORD | {"gate": {}}, [RMSE], []),
        ((), RECORD | {"verdict": "HOLD"}, [RMSE], ["ENS511"]),
        ((), RECORD | {"gate": {}, "verdict": "HOLD"}, [RMSE], ["ENS512", "ENS513"]),
        # A file without `verdict` and `gate` is a verdict if it has the value of a gate.
        (("verdict", "gate"), RECORD, [RMSE], []),
        (("verdict", "gate"), RECORD, [RMSE | {"threshold": 1}], ["ENS522"]),
        (("verdict", "gate"), RECORD, [RMSE | {"verdict": "$.metrics.mae"}], ["ENS510"]),
        (("verdict", "gate"), RECORD, [], ["ENS510"]),
    ],
)  # fmt: skip
def test_a_production_ensemble(
    ensemble: Repository,
    unset: tuple[str, ...],
    fields: dict[str, Any],
    gates: list[dict[str, Any]],
    expected: list[str],
) -> None:
    edit(ensemble, FILE, unset, **fields)
    assert found(ensemble, *gates) == expected


def test_the_report_is_the_same_from_an_executor(ensemble: Repository) -> None:
    edit(ensemble, FILE, ("verdict", "gate"), **RECORD)
    ensemble.trust = toml(RMSE | {"threshold": 1})
    config = ensemble.save().config
    with ThreadPoolExecutor(1) as executor:
        assert check(config, executor=executor) == check(config)


def test_one_row_is_judged_by_the_gate_of_its_ensemble(ensemble: Repository) -> None:
    edit(ensemble, FILE, ("verdict", "gate"), **RECORD)
    ensemble.trust = toml(RMSE | {"threshold": 1, "rows": ["ens"]})
    assert codes(ensemble.save().check("ens_seed0")) == ["SID417"]


def test_an_ensemble_of_placeholders_may_fail(tmp_path: Path) -> None:
    placeholders = Repository(tmp_path)
    placeholders.add_ensemble("ens", 2)
    placeholders.trust = toml(PLCC | {"threshold": 0.999})
    report = placeholders.save().check()
    assert (codes(report), [f.code for f in report.findings]) == ([], [])
    placeholders.trust = toml(PLCC)
    assert {f.code for f in placeholders.save().check().findings} == {"SID418"}


def signed_gate(repository: Repository, index: int = 0) -> Any:
    evidence = load_evidence(repository.config)
    row = list(read_rows(evidence))[index]
    return canonical_row(evidence, row).get("gate")


@pytest.mark.parametrize(
    ("gates", "expected"),
    [
        ([], None),
        ([PSNR], ("PSNR", "at-least", 38.5, 39.0, "PROMOTE")),
        ([PSNR | {"threshold": 40}], ("PSNR", "at-least", 40.0, 39.0, "HOLD")),
        ([PSNR | {"direction": "lower"}], ("PSNR", "at-most", 38.5, 39.0, "HOLD")),
        ([PSNR | {"sidecar": "$.x"}], None),
    ],
)
def test_the_gate_of_a_model_is_signed(
    repository: Repository, gates: list[dict[str, Any]], expected: tuple[Any, ...] | None
) -> None:
    repository.trust = toml(*gates)
    gate = signed_gate(repository.save())
    keys = ("metric", "direction", "threshold", "value", "result")
    assert (gate and tuple(gate[key] for key in keys)) == expected


def test_the_gate_of_an_ensemble_is_signed(ensemble: Repository) -> None:
    edit(ensemble, FILE, **RECORD)
    ensemble.trust = toml(RMSE | MEMBERS)
    assert signed_gate(ensemble.save(), 1) == {
        "metric": "RMSE",
        "direction": "at-most",
        "threshold": 2.0,
        "value": 1.2,
        "values": {"0": 1.2, "1": 1.25},
        "count": 2,
        "most": 1.5,
        "spread": pytest.approx(0.05),
        "spread_limit": 0.1,
        "result": "PROMOTE",
    }


def test_a_release_under_gates(tmp_path: Path, key: KeyPair) -> None:
    made = Repository(tmp_path / "repository", key)
    row = made.add("m", smoke=False)
    made.add_sidecar(row, gate=None, evaluation={"psnr": 39.0, "ssim": 0.98})
    ssim = {"metric": "SSIM", "threshold": 0.97, "sidecar": "$.evaluation.ssim"}
    made.trust = toml(PSNR, ssim)
    made.released()
    assert codes(made.verify()) == []
    gates = signed_gate(made)
    assert [gate["metric"] for gate in gates] == ["PSNR", "SSIM"]
    schema = json.loads((SCHEMAS / "registry-row.schema.json").read_text("utf-8"))
    definition = {
        "$defs": schema["$defs"],
        "anyOf": schema["properties"]["row"]["properties"]["gate"]["anyOf"],
    }
    for value in (gates, gates[0]):
        assert json_schema.evaluate(definition, value).violations == ()
    assert json_schema.evaluate(definition, gates[:1]).violations
    made.trust = toml(PSNR, ssim | {"threshold": 0.975})
    assert codes(made.save().verify()) == ["ATT710"]
    assert codes(made.verify("m")) == ["ATT703"]


def compared(repository: Repository, then: str, now: str, tmp_path: Path) -> Report:
    """The report on a repository whose configuration ended in `then` and ends in `now`."""
    repository.trust = then
    former = copied(repository.save(), tmp_path / "former")
    repository.trust = now
    repository.save()
    return check(load_config(repository.root), baseline=str(former.root))


def loosened(report: Report) -> list[Finding]:
    return [f for f in report.findings if f.code == "BAS816"]


A = PSNR | {"rows": ["m", "n*"]}
E = RMSE | MEMBERS


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        ([], [PSNR], []),
        ([PSNR], [PSNR], []),
        ([PSNR, E], [E, PSNR], []),  # the order does not matter
        ([PSNR], [PSNR | {"threshold": 38.6}], []),
        ([PSNR], [PSNR | {"threshold": 38}], ["(PSNR): `threshold` is 38; @ has 38.5"]),
        ([E], [E | {"threshold": 1.9}], []),
        ([E], [E | {"threshold": 2.1}], ["(RMSE): `threshold` is 2.1; @ has 2"]),
        ([E], [E | {"spread": 0.05}], []),
        ([E], [E | {"spread": 0.2}], ["`spread` is 0.2; @ has 0.1"]),
        ([E], [RMSE | {"members": E["members"], "member_threshold": 1.5}],
         ["`spread` is missing; @ has 0.1"]),
        ([E], [E | {"member_threshold": 1.6}], ["`member_threshold` is 1.6; @ has 1.5"]),
        ([E], [E | {"threshold": 9, "spread": 9}],
         ["`threshold` is 9; @ has 2", "`spread` is 9; @ has 0.1"]),
        ([E], [E | {"direction": "higher"}], ["`direction` is 'higher'; @ has 'lower'"]),
        ([PSNR], [PSNR | {"sidecar": "$.b"}], ["`sidecar` is '$.b'; @ has '$.evaluation.psnr'"]),
        ([PSNR], [PSNR | {"verdict": "$.psnr"}], []),  # it applies to more than before
        ([PSNR | {"verdict": "$.psnr"}], [PSNR], ["`verdict` is missing; @ has '$.psnr'"]),
        ([PSNR], [], ["no gate by PSNR; @ requires at least 38.5"]),
        ([A], [], ["no gate by PSNR; @ requires at least 38.5 for m, n*"]),
        ([PSNR], [PSNR | {"metric": "SSIM"}], ["no gate by PSNR"]),
        ([PSNR], [PSNR | {"rows": ["*"]}], []),
        ([PSNR], [A], ["the gates by PSNR apply to m, n*, and no longer to all rows, as at @"]),
        ([A], [PSNR | {"rows": ["m"]}], ["apply to m, and no longer to n*, as at @"]),
        ([A], [PSNR | {"rows": ["m", "n?"]}], ["no longer to n*"]),
        ([A], [PSNR | {"rows": ["m*", "n**"]}], []),
        ([A], [PSNR], []),
        ([A], [PSNR | {"rows": ["m"]}, PSNR | {"rows": ["n*"], "threshold": 39}], []),
        ([A], [PSNR | {"rows": ["m"]}, PSNR | {"rows": ["n*"], "threshold": 30}],
         ["[[gate]] 2 (PSNR): `threshold` is 30; @ has 38.5"]),
        ([A], [A, A | {"threshold": 1}], []),  # the stricter one still applies
    ],
)  # fmt: skip
def test_a_gate_since_the_baseline(
    tmp_path: Path,
    repository: Repository,
    then: list[dict[str, Any]],
    now: list[dict[str, Any]],
    expected: list[str],
) -> None:
    repository.rows[0]["smoke"] = True  # the row is not what is judged
    report = compared(repository, toml(*then), toml(*now), tmp_path)
    found = loosened(report)
    name = str(tmp_path / "former")
    assert len(found) == len(expected), [f.message for f in found]
    for finding, message in zip(found, expected, strict=True):
        assert message.replace("@", name) in finding.message
        assert finding.path == "provenance.toml"
        others = [f for f in report.findings if f.code == "BAS810"]
        assert finding.position not in {f.position for f in others if "[[gate]]" in f.message}


def test_a_loosened_gate_can_be_deferred(tmp_path: Path, repository: Repository) -> None:
    repository.defer("BAS816", ["provenance.toml"])
    report = compared(repository, toml(PSNR), toml(PSNR | {"threshold": 38}), tmp_path)
    assert codes(report) == []
    assert [f.deferred is not None for f in loosened(report)] == [True]


@pytest.mark.parametrize(
    ("gates", "expected"),
    [
        ([PLCC], ""),
        ([PLCC | {"threshold": 0.9}], "its `threshold` is 0.9, not 0.95"),
        ([PLCC | {"threshold": 2, "direction": "lower"}], "its `direction` is 'lower'"),
        ([RMSE], "replaces the built-in gate by PLCC for ens, but its metric is not PLCC"),
        ([RMSE, PLCC], ""),  # the other gate is as strict as the built-in one
    ],
)
def test_a_gate_in_place_of_the_built_in_one(
    tmp_path: Path, ensemble: Repository, gates: list[dict[str, Any]], expected: str
) -> None:
    edit(ensemble, FILE, **RECORD)
    found = loosened(compared(ensemble, "", toml(*gates), tmp_path))
    assert len(found) == bool(expected)
    assert all(expected in f.message for f in found)


@pytest.mark.parametrize(
    ("record", "limit", "expected"),
    [
        ("mean_plcc_threshold", 0.9, "`mean_plcc_threshold` is 0.9; @ has 0.95"),
        ("mean_plcc_threshold", 0.96, ""),
        ("per_seed_min", 0.5, "`per_seed_min` is 0.5; @ has 0.95"),
        ("plcc_spread_max", 0.5, "`plcc_spread_max` is 0.5; @ has 0.005"),
        ("plcc_spread_max", 0.001, ""),
    ],
)
def test_a_recorded_limit_since_the_baseline(
    tmp_path: Path, ensemble: Repository, record: str, limit: float, expected: str
) -> None:
    former = copied(ensemble.save(), tmp_path / "former")
    value = json.loads(ensemble.path(FILE).read_text("utf-8"))
    gate = deepcopy(value["gate"]) | {record: limit}
    edit(ensemble, FILE, gate=gate)
    report = check(load_config(ensemble.root), baseline=str(former.root))
    found = loosened(report)
    assert [f.message for f in found] == (
        [expected.replace("@", str(former.root))] if expected else []
    )
    assert all(f.path == f"model/{FILE}" and f.position is not None for f in found)


def test_a_limit_in_a_renamed_verdict(tmp_path: Path, ensemble: Repository) -> None:
    former = copied(ensemble.save(), tmp_path / "former")
    value = json.loads(ensemble.path(FILE).read_text("utf-8"))
    value["gate"] |= {"plcc_spread_max": 0.5}
    ensemble.path(FILE).unlink()
    ensemble.write("ens_PROMOTE.json", value)
    report = check(load_config(ensemble.root), baseline=str(former.root))
    assert [f.path for f in loosened(report)] == ["model/ens_PROMOTE.json"]


@pytest.mark.parametrize(
    ("then", "now", "gates", "expected"),
    [
        ({"ship_gate_mean_plcc": 0.95}, {"ship_gate_mean_plcc": 0.96}, [], ""),
        ({"ship_gate_mean_plcc": 0.95}, {"ship_gate_mean_plcc": 0.9}, [],
         "`ship_gate_mean_plcc` is 0.9; @ has 0.95"),
        ({"ship_gate_mean_plcc": 0.95}, {"training": {"ship_gate_mean_plcc": 0.9}}, [],
         "`ship_gate_mean_plcc` is 0.9; @ has 0.95"),
        ({"ship_gate_mean_plcc": 0.95}, {"training": {"ship_gate_mean_plcc": 0.95}}, [], ""),
        ({"ship_gate_mean_plcc": 0.95},
         {"gate": {"mean_plcc": 0.99, "mean_plcc_threshold": 0.9, "passed": True}}, [],
         "`mean_plcc_threshold` is 0.9; @ has 0.95"),
        ({"ship_gate_mean_plcc": 0.95}, {"ship_gate_mean_plcc": 0.9},
         [PLCC | {"sidecar": "$.loso_mean_plcc"}], ""),  # the limit of the configuration counts
    ],
)  # fmt: skip
def test_a_limit_in_a_sidecar_since_the_baseline(
    tmp_path: Path,
    repository: Repository,
    then: dict[str, Any],
    now: dict[str, Any],
    gates: list[dict[str, Any]],
    expected: str,
) -> None:
    row, record = repository.rows[0], {"gate_passed": True, "loso_mean_plcc": 0.99}
    repository.add_sidecar(row, **record, **then)
    repository.trust = toml(*gates)
    former = copied(repository.save(), tmp_path / "former")
    repository.add_sidecar(row, **record, **now)
    report = check(load_config(repository.root), baseline=str(former.root))
    found = loosened(report)
    assert [(f.row, f.message) for f in found] == (
        [("m", expected.replace("@", str(former.root)))] if expected else []
    )
    repository.defer("BAS816", ["m"])
    report = check(load_config(repository.save().root), baseline=str(former.root))
    assert codes(report) == ([] if expected else ["DEF901"])


MAPPED = """[registry]
path = "index.json"
rows = "$.nets.*"
[registry.fields]
id = "~"
onnx = "file"
sha256 = "sum"
license = "license"
smoke = "draft"
[registry.defaults]
license_url = "https://example.org/LICENSE"
sigstore_bundle = "bundles/{id}.sigstore.json"
"""


@pytest.mark.parametrize(
    ("defaults", "psnr", "expected"),
    [
        ('sidecar = "{onnx|stem}.json"\n', 39, []),
        ('sidecar = "{onnx|stem}.json"\n', 37, ["ENS522"]),
        ('sidecar = "{onnx|stem}.json"\n', None, ["ENS523"]),
        ("", 39, ["ENS523"]),  # the mapping names no sidecar, so there is no value
    ],
)
def test_a_mapped_registry(
    repository: Repository, defaults: str, psnr: float | None, expected: list[str]
) -> None:
    row = repository.rows[0]
    if defaults:
        repository.write("../m.json", {"sha256": row["sha256"], "evaluation": {"psnr": psnr}})
    (repository.root / "m.onnx").write_bytes(repository.path("m.onnx").read_bytes())
    net = {"file": "m.onnx", "sum": row["sha256"], "license": "MIT", "draft": False}
    repository.write("../index.json", {"nets": {"m": net}})
    text = f"{MAPPED}{defaults}{toml(PSNR)}\n"
    (repository.root / "provenance.toml").write_text(text, "utf-8")
    assert codes(repository.check()) == expected
