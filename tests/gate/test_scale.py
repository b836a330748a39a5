# SPDX-License-Identifier: Apache-2.0
"""What a row costs in a large registry, counted in calls, reads and bytes.

`python -m tests.benchmarks.scale` measures seconds.
"""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from provenance.artifacts import limits
from provenance.artifacts.documents import source_map
from provenance.config import Config, load
from provenance.evidence.read_rows import RowReader
from provenance.evidence.rows import RowEvidence
from provenance.evidence.workers import TASK_ROWS
from provenance.gate import rounds
from provenance.gate.finding import Finding, Report, Verdict
from provenance.gate.judge import Terms, conclude
from provenance.operations.check import check
from provenance.operations.fix import fix
from provenance.operations.hashing import hash_models
from provenance.operations.load_evidence import load_evidence, today_utc
from provenance.operations.promote import promote
from provenance.operations.restore import restore
from provenance.operations.sign import release
from provenance.operations.verify import verify
from provenance.output.formats import render
from provenance.output.text import Style
from provenance.signing.signers import open_signer
from tests.benchmarks.many_rows import GROUP, Shape, write
from tests.support import counting
from tests.support.keys import KeyPair

BYTES = 24_000
"""What a row may take, evidence and report together (tests/benchmarks/scale.py)."""


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge each registry as a large one: no row that was read is kept in memory."""
    monkeypatch.setattr(rounds, "LARGE", 1)


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do all work in this thread, so that it is counted."""
    name = "provenance.evidence.collect_models.map_in_threads"
    monkeypatch.setattr(name, lambda work, items: [work(i) for i in items])


def assert_linear(measure: Callable[[int], float], rows: int = 50, limit: float = 2.2) -> None:
    """Check that a measure grows with the number of rows, and not with its square."""
    measure(10)  # what is done once for all
    small, middle, large = (measure(n) for n in (rows, 2 * rows, 4 * rows))
    assert (large - middle) / (middle - small) < limit


def unchanged(root: Path) -> None:
    """Leave a registry as it is."""


def registry(root: Path, rows: int, change: Callable[[Path], None] = unchanged) -> Config:
    """Write a registry of so many rows, with 3 KB of sidecar each, and change it."""
    write(root, Shape(rows))
    change(root)
    return load(root)


def test_every_file_is_opened_and_parsed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []
    walked: list[int] = []
    decode, places = json.JSONDecoder.decode, source_map._Places.__init__

    def counted(self: json.JSONDecoder, text: str) -> Any:
        parsed.append(text)
        return decode(self, text)

    def counted_places(self: Any, text: str, start: int) -> None:
        walked.append(start)
        places(self, text, start)

    config = registry(tmp_path / "r", GROUP)
    monkeypatch.setattr(json.JSONDecoder, "decode", counted)
    monkeypatch.setattr(source_map._Places, "__init__", counted_places)
    opened = counting.opened_files(monkeypatch)
    assert check(config).findings == ()
    files = set((config.root / "model").iterdir())
    assert {path: opened[path] for path in files} == dict.fromkeys(files, 1)
    texts = {path.read_text("utf-8") for path in files if path.suffix == ".json"}
    assert sorted(text for text in parsed if text in texts) == sorted(texts)
    assert len(walked) == 2  # positions: the registry, and `models` in it


def _without_digests(config: Config) -> Config:
    path = config.root / config.registry
    value = json.loads(path.read_text("utf-8"))
    for row in value["models"]:
        del row["sha256"]
    path.write_text(json.dumps(value), "utf-8")
    return config


def _with_wrong_opsets(config: Config) -> Config:
    for path in (config.root / "model").glob("row_*.json"):
        value = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps({**value, "opset": 3}), "utf-8")
    return config


Operation = Callable[[Config, Path, KeyPair], object]

OPERATIONS: dict[str, Operation] = {
    "check": lambda config, _before, _key: check(config),
    "fix": lambda config, _before, _key: fix(_with_wrong_opsets(config)),
    "hash": lambda config, _before, _key: hash_models(config),
    "promote": lambda config, _before, _key: promote(config, rows=["row_00011"]),
    "release": lambda config, _before, key: release(config, open_signer(f"file:{key.private}")),
    "restore": lambda config, before, _key: restore(_without_digests(config), str(before)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_more_than_a_task_is_in_memory(
    tmp_path: Path, key: KeyPair, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    config = registry(tmp_path / "r", 5 * GROUP)
    registry(tmp_path / "before", 5 * GROUP)
    most = number = 0
    read = RowReader._row

    def counted(*arguments: Any, **options: Any) -> RowEvidence:
        nonlocal most, number
        found = read(*arguments, **options)
        number += 1
        if number % TASK_ROWS == 0:
            most = max(most, sum(isinstance(each, RowEvidence) for each in gc.get_objects()))
        return found

    monkeypatch.setattr(RowReader, "_row", counted)
    OPERATIONS[name](config, tmp_path / "before", key)
    assert 0 < most <= 2 * TASK_ROWS


def traced(work: Callable[[], object]) -> tuple[int, int]:
    """Return the bytes that work leaves in memory, and the most that it takes."""
    gc.collect()
    tracemalloc.start()
    kept = work()
    gc.collect()
    measured = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return measured


def test_a_row_takes_little_memory(tmp_path: Path) -> None:
    check(registry(tmp_path / "warm", GROUP))

    def kept(rows: int) -> int:
        config = registry(tmp_path / str(rows), rows)
        terms = Terms(trust=None, today=today_utc())
        return traced(lambda: conclude(load_evidence(config), config, terms))[0]

    assert 0 < (kept(400) - kept(200)) / 200 < BYTES


# --- work that grows with the registry, and not with its square ---------------------------------


def change_rows(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = root / "model" / "registry.json"
    value = json.loads(path.read_text("utf-8"))
    for row in value["models"]:
        change(row)
    path.write_text(json.dumps(value, indent=2), "utf-8")


def models(root: Path) -> list[Path]:
    return sorted((root / "model").glob("row_?????.onnx"))


def without_license(root: Path) -> None:
    change_rows(root, lambda row: row.pop("license"))


def with_one_id(root: Path) -> None:
    change_rows(root, lambda row: row.update(id="same"))


def with_strays(root: Path) -> None:
    """Break each model, and add a stray for it."""
    for path in models(root):
        path.write_bytes(b"no model")
        path.with_name(f"stray_{path.name}").write_bytes(b"no model")


def with_renamed_data(root: Path) -> None:
    for path in (root / "model").glob("*.onnx.data"):
        path.rename(path.with_name(f"{path.name}.old"))


def with_one_deferral(root: Path) -> None:
    change_rows(root, lambda row: row.update(opset=16))
    defer(root, "ART310", [path.stem for path in models(root)])


def with_many_deferrals(root: Path) -> None:
    change_rows(root, lambda row: row.update(opset=16))
    defer(root, "ART310", *([path.stem] for path in models(root)))


def defer(root: Path, rule: str, *each: Sequence[str]) -> None:
    with (root / "provenance.toml").open("a") as stream:
        for rows in each:
            stream.write(f'[[deferral]]\nrule = "{rule}"\nrows = {json.dumps(rows)}\n')
            stream.write('reason = "a test"\nreference = "ADR-1105"\n')


def with_stale_sidecars(root: Path) -> None:
    for path in (root / "model").glob("row_*.json"):
        sidecar = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps(sidecar | {"sha256": "0" * 64}, indent=2), "utf-8")


CHANGES = (
    *(unchanged, without_license, with_strays, with_renamed_data, with_one_deferral),
    *(with_many_deferrals, with_one_id, with_stale_sidecars),
)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("change", CHANGES)
def test_work_grows_with_the_rows_and_not_with_their_square(
    change: Callable[[Path], None], tmp_path: Path
) -> None:
    def calls(rows: int) -> int:
        config = registry(tmp_path / str(rows), rows, change)
        count, report = counting.calls(lambda: check(config))
        assert len(report.rows) == rows
        return count

    assert_linear(calls, 100, 2.1)


@pytest.mark.usefixtures("one_thread")
def test_work_on_signatures_grows_with_the_rows_and_not_with_their_square(
    tmp_path: Path, key: KeyPair
) -> None:
    def trust(root: Path) -> None:
        (root / "release.pub").write_bytes(key.public.read_bytes())
        with (root / "provenance.toml").open("a") as stream:
            stream.write('[[trust.key]]\npath = "release.pub"\n')

    def calls(rows: int) -> int:
        config = registry(tmp_path / str(rows), rows, trust)
        release(config, open_signer(key.signer))
        count, report = counting.calls(lambda: verify(config))
        assert report.verdict is Verdict.VERIFIED
        return count

    assert_linear(calls, 50, 2.05)


# --- rows as small as a hostile registry can make them ------------------------------------------

MINIMAL: dict[str, Callable[[int], object]] = {
    "empty rows": lambda _: {},
    "rows that are no objects": lambda _: "",
    "rows of one id": lambda _: {"id": "a"},
    "rows of an id each": lambda n: {"id": f"a{n}"},
    "rows without an id": lambda n: {"onnx": f"a{n}.onnx"},
    "rows of one missing model": lambda n: {"id": f"a{n}", "onnx": "a.onnx"},
    "rows of a missing model each": lambda n: {"id": f"a{n}", "onnx": f"a{n}.onnx"},
    "rows of one missing bundle": lambda n: {
        "id": f"a{n}",
        "onnx": f"a{n}.onnx",
        "sigstore_bundle": "a.sigstore.json",
    },
    "rows of one digest": lambda n: {"id": f"a{n}", "onnx": f"a{n}.onnx", "sha256": "0" * 64},
    "rows that say production": lambda n: {"id": f"a{n}", "onnx": "a.onnx", "smoke": False},
    "rows that claim one ensemble": lambda n: {"id": f"ens_seed{n}", "onnx": f"ens_seed{n}.onnx"},
    "rows of names that climb": lambda n: {"id": f"a{n}", "onnx": f"../{n}.onnx"},
    "rows of external data": lambda n: {"id": f"a{n}", "external_data_sha256": {f"x{n}": "0"}},
    "rows of a license each": lambda n: {"id": f"a{n}", "license": f"L{n}", "license_url": f"u{n}"},
}


def minimal(root: Path, row: Callable[[int], object], rows: int) -> Config:
    root.mkdir()
    text = json.dumps({"schema_version": 1, "models": [row(n) for n in range(rows)]}, indent=1)
    (root / "registry.json").write_text(text)
    (root / "provenance.toml").write_text('registry = "registry.json"\n')
    return load(root)


def full_report(config: Config) -> Report:
    """The report on a registry, written in the formats of people and machines."""
    report = check(config)
    for format in ("human", "json"):
        render(report, format, Style())
    return report


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("row", MINIMAL.values(), ids=MINIMAL)
@pytest.mark.parametrize("things", [10, limits.THINGS_OF_RULE])
def test_work_grows_with_minimal_rows_and_not_with_their_square(
    row: Callable[[int], object], things: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "THINGS_OF_RULE", things)
    monkeypatch.setattr(limits, "SUGGESTIONS", 10)

    def calls(rows: int) -> int:
        config = minimal(tmp_path / str(rows), row, rows)
        count, report = counting.calls(lambda: full_report(config))
        assert report.exit_code == 1
        return count

    assert_linear(calls)


def test_a_finding_about_all_rows_is_not_searched_for_each_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searching a tuple is no call, so the subjects that are returned for it are counted."""
    monkeypatch.setattr(limits, "THINGS_OF_RULE", 10)
    returned = 0
    subjects: Any = Finding.subjects

    def counted(finding: Finding) -> tuple[str, ...]:
        nonlocal returned
        found: tuple[str, ...] = subjects.fget(finding)
        returned += len(found)
        return found

    def searched(rows: int) -> int:
        nonlocal returned
        config = minimal(tmp_path / str(rows), MINIMAL["rows that say production"], rows)
        returned = 0
        full_report(config)
        return returned

    monkeypatch.setattr(Finding, "subjects", property(counted))
    assert_linear(searched, 40)


def test_a_minimal_row_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """100,000 of them, and an interpreter of 40 MiB, take less than 150 MiB."""
    monkeypatch.setattr(limits, "THINGS_OF_RULE", 10)
    full_report(minimal(tmp_path / "warm", MINIMAL["empty rows"], 10))

    def peak(rows: int) -> int:
        config = minimal(tmp_path / str(rows), MINIMAL["empty rows"], rows)
        return traced(lambda: render(check(config), "human", Style()))[1]

    assert (peak(3000) - peak(1000)) / 2000 < 1100


def test_findings_about_very_many_rows_share_one_of_each_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "THINGS_OF_RULE", 3)
    config = minimal(tmp_path / "r", lambda n: {"id": f"a{n}", "license": "Mine"}, 9)
    defer(config.root, "LIC204", ["a1", "a4", "a6"], ["a7"])
    report = check(load(config.root))
    found = [f for f in report.findings if f.code == "LIC204"]
    assert [(f.rows, f.deferred is not None) for f in found] == [
        (("a0",), False),
        (("a1",), True),
        (("a2",), False),
        (("a3", "a5", "a8"), False),
        (("a4", "a6"), True),
        (("a7",), True),
    ]
    for count, finding in ((3, found[3]), (2, found[4])):
        about = f"{count} more of these findings about {count} rows, the first of them here"
        assert finding.message == about
    assert "more of these" not in found[5].message
    assert all(row.verdict is Verdict.FAILED for row in report.rows)
    assert [len(row.deferrals) for row in report.rows] == [0, 1, 0, 0, 1, 0, 1, 1, 0]
    assert "in 9 of 9 rows" in render(report, "human", Style())
    suites = ET.fromstring(render(report, "junit", Style()))  # noqa: S314
    assert [int(s.get("failures", 0)) > 0 for s in suites] == [False] + [True] * 9
    assert not [f for f in report.findings if f.code == "DEF901"]
