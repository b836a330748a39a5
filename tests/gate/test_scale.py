# SPDX-License-Identifier: Apache-2.0
"""What a row costs in a large registry, counted: calls, reads and bytes, not seconds.

Seconds are for `python -m tests.benchmarks.scale`.
"""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from provenance.artifacts import source_map
from provenance.artifacts.paths import Tree
from provenance.config import Config, load
from provenance.gate.judge import judge
from provenance.journeys.check import check, today_utc
from provenance.journeys.examine import examine
from tests.benchmarks.many_rows import GROUP, Shape, write
from tests.support import counting

BYTES = 10_000
"""What a row may take, evidence and report together (tests/benchmarks/scale.py)."""


def registry(root: Path, rows: int, change: Callable[[Path], None] | None = None) -> Config:
    """A clean registry of so many rows, with 3 KB of sidecar each, and a change to it."""
    write(root, Shape(rows))
    if change is not None:
        change(root)
    return load(root)


def test_a_large_registry_is_clean(tmp_path: Path) -> None:
    report = check(registry(tmp_path / "r", 3 * GROUP))
    assert report.findings == ()
    assert len(report.rows) == 3 * GROUP


def test_every_file_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: Counter[str] = Counter()
    open_file = Tree.open

    def counted(self: Tree, path: str) -> BinaryIO:
        opened[path] += 1
        return open_file(self, path)

    config = registry(tmp_path / "r", GROUP)
    monkeypatch.setattr(Tree, "open", counted)
    assert check(config).findings == ()
    int8_sidecars = {p for p in opened if p.endswith(".int8.json")}  # looked for, and not there
    there = {f"model/{p.name}" for p in (config.root / "model").iterdir()}
    assert opened.keys() - int8_sidecars == there
    assert set(opened.values()) == {1}


def test_every_document_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    loads = json.loads

    def counted(text: str, **hooks: Any) -> Any:
        parsed.append(text)
        return loads(text, **hooks)

    config = registry(tmp_path / "r", GROUP)
    monkeypatch.setattr(json, "loads", counted)
    assert check(config).findings == ()
    texts = {p.read_text("utf-8") for p in (config.root / "model").glob("*.json")}
    documents = [text for text in parsed if len(text) > 100]  # not a key of the registry
    assert sorted(documents) == sorted(texts)


def test_places_are_looked_for_in_the_list_of_rows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked: list[int] = []
    places = source_map._Places.__init__

    def counted(self: Any, text: str, start: int) -> None:
        walked.append(start)
        places(self, text, start)

    config = registry(tmp_path / "r", GROUP)
    monkeypatch.setattr(source_map._Places, "__init__", counted)
    assert check(config).findings == ()
    assert len(walked) == 2  # the registry, and `models` in it


def test_a_row_takes_little_memory(tmp_path: Path) -> None:
    check(registry(tmp_path / "warm", GROUP))

    def kept(rows: int) -> int:
        """Bytes that evidence and report of so many rows take."""
        config = registry(tmp_path / str(rows), rows)
        gc.collect()
        tracemalloc.start()
        try:
            evidence = examine(config)
            report = judge(evidence, config, trust=None, today=today_utc())
            gc.collect()
            size = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert len(report.rows) == rows
        return size

    assert (kept(400) - kept(200)) / 200 < BYTES


# --- work that grows with the registry, and not with its square ---------------------------------


def rows_changed(change: Callable[[int, dict[str, Any]], object]) -> Callable[[Path], None]:
    def write_again(root: Path) -> None:
        path = root / "model" / "registry.json"
        value = json.loads(path.read_text("utf-8"))
        for number, row in enumerate(value["models"]):
            change(number, row)
        path.write_text(json.dumps(value, indent=2), "utf-8")

    return write_again


def models(root: Path) -> list[Path]:
    return sorted((root / "model").glob("row_?????.onnx"))


def without_license(root: Path) -> None:
    rows_changed(lambda _, row: row.pop("license"))(root)


def with_strays(root: Path) -> None:
    """A model that cannot be read, a stray and a stray of its own for every row."""
    for path in models(root):
        path.write_bytes(b"no model")
        path.with_name(f"stray_{path.name}").write_bytes(b"no model")


def with_renamed_data(root: Path) -> None:
    """Data under another name than the model knows it by."""
    for path in (root / "model").glob("*.onnx.data"):
        path.rename(path.with_name(f"{path.name}.old"))


def with_one_deferral(root: Path) -> None:
    """One deferral that spells out every row."""
    rows_changed(lambda _, row: row.update(opset=16))(root)
    _defer(root, [[path.stem for path in models(root)]])


def with_many_deferrals(root: Path) -> None:
    """A deferral for every row."""
    rows_changed(lambda _, row: row.update(opset=16))(root)
    _defer(root, [[path.stem] for path in models(root)])


def _defer(root: Path, each: Sequence[Sequence[str]]) -> None:
    with (root / "provenance.toml").open("a") as stream:
        for rows in each:
            stream.write(f'[[deferral]]\nrule = "ART310"\nrows = {json.dumps(rows)}\n')
            stream.write('reason = "a test"\nreference = "ADR-1105"\n')


def with_one_id(root: Path) -> None:
    rows_changed(lambda _, row: row.update(id="same"))(root)


def with_stale_sidecars(root: Path) -> None:
    for path in (root / "model").glob("row_*.json"):
        sidecar = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps(sidecar | {"sha256": "0" * 64}, indent=2), "utf-8")


CHANGES = (
    None,
    without_license,
    with_strays,
    with_renamed_data,
    with_one_deferral,
    with_many_deferrals,
    with_one_id,
    with_stale_sidecars,
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.__name__ if c else "clean")
def test_work_grows_with_the_rows_and_not_with_their_square(
    change: Callable[[Path], None] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In this thread, so that what the others do is counted too.
    monkeypatch.setattr(
        "provenance.gate.collect_models.map_in_threads",
        lambda work, items: [work(i) for i in items],
    )

    def calls(rows: int) -> int:
        config = registry(tmp_path / str(rows), rows, change)
        count, report = counting.calls(lambda: check(config))
        assert len(report.rows) == rows
        return count

    calls(GROUP)  # what is done once for all
    small, middle, large = (calls(rows) for rows in (100, 200, 400))
    assert (large - middle) / (middle - small) < 2.1
