# SPDX-License-Identifier: Apache-2.0
"""A registry gets the same report as a whole and unit by unit.

`tests/test_judging_order.py` and the table of mutations check the same for their cases.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from provenance import check, load_config, verify
from provenance.artifacts import digest, limits
from provenance.artifacts.ensemble import Documents, document
from provenance.config import Deferral
from provenance.errors import InputError, UnavailableError
from provenance.evidence.kept_units import KeptUnits
from provenance.evidence.read_rows import RowReader
from provenance.evidence.units import plan
from provenance.gate import pool as pools
from provenance.gate import wire
from provenance.gate.judge import Terms, conclude
from provenance.gate.pool import Workers
from provenance.gate.units import _Sent as Sent
from provenance.operations.load_evidence import load_evidence, today_utc
from provenance.output import machine
from provenance.registry import reading
from tests.support.engines import InRandomOrder, in_units, ways
from tests.support.models import External, model
from tests.support.mutations import Change, content, copy, flip, put, remove, together
from tests.support.production import production
from tests.support.repository import Repository, sha256

ROOT: Final = Path(__file__).parent.parent.parent
Edit = tuple[str, Change]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return production(tmp_path_factory.mktemp("units") / "tree").root


@pytest.fixture
def tree(clean: Path, tmp_path: Path) -> Path:
    shutil.copytree(clean, tmp_path / "tree")
    return tmp_path / "tree"


def _report(tree: Path, **options: Any) -> str:
    return machine.render(machine.report(check(load_config(tree), **options)))


def _assert_alike(tree: Path, **options: Any) -> Any:
    """Return the report, which is the same in every way of judging."""
    whole = _report(tree, **options)
    for name, way in ways():
        with way:
            assert _report(tree, **options) == whole, name
    return json.loads(whole)


def _document(name: str, **value: Any) -> Edit:
    return name, content(json.dumps(value).encode())


def _broken(name: str) -> Edit:
    return name, content(b"{")


def _members(*names: str) -> list[dict[str, Any]]:
    return [{"id": name, "onnx": f"{name}.onnx", "seed": i} for i, name in enumerate(names)]


def _failing_verdict(name: str) -> Edit:
    def change(path: Path) -> None:
        verdict = json.loads((path.parent / "ens_PROMOTE.json").read_text())
        verdict["gate"]["per_seed_plccs"]["0"] = 0.5
        path.write_text(json.dumps(verdict))

    return name, change


def _row(name: str, field: str, to: Any) -> Edit:
    return "registry.json", put("models", name, field, to=to)


def _row_of_bytes(name: str, made: Callable[[Path], bytes]) -> Edit:
    """Give a row another model, and the row its digest."""

    def change(path: Path) -> None:
        new = made(path.parent)
        (path.parent / f"{name}.onnx").write_bytes(new)
        put("models", name, "sha256", to=sha256(new))(path)

    return "registry.json", change


def _with_data(name: str, location: str) -> Edit:
    return _row_of_bytes(name, lambda _: model(external=External(location)))


def _renamed(name: str, to: str) -> tuple[Edit, Edit]:
    return (name, copy(to)), (name, remove())


ACROSS: Final[dict[str, tuple[str, Iterable[Edit]]]] = {
    "two manifests share a verdict": (
        "ENS511",
        (
            _failing_verdict("ens-x_PROMOTE.json"),
            _document("ens-x.json", id="ens-x", members=_members("plain", "quant")),
        ),
    ),
    "rows claim an ensemble that has only a verdict": (
        "ENS511",
        (
            ("plain.json", put("ensemble_id", to="zz")),
            ("quant.json", put("ensemble_id", to="zz")),
            _failing_verdict("zz_PROMOTE.json"),
        ),
    ),
    "a row claims an ensemble that does not list it": (
        "ENS503",
        [("plain.json", put("ensemble_id", to="ens"))],
    ),
    "two manifests list one row": (
        "SID407",
        [_document("other.json", id="other", members=_members("s1", "plain"))],
    ),
    "a list of names without an id": ("", [_document("team.json", id="", members=[{"id": "a"}])]),
    "a row has the bytes of a placeholder": (
        "SID417",
        [_row_of_bytes("plain", lambda folder: (folder / "probe.onnx").read_bytes())],
    ),
    "the data of a row is its own model": ("ART305", [_with_data("plain", "plain.onnx")]),
    "the data of a row is another's model": ("ART305", [_with_data("plain", "probe.onnx")]),
    "the data of a row is another's sidecar": ("ART305", [_with_data("probe", "s1.json")]),
    "a model is misplaced": ("ART301", _renamed("plain.onnx", "plane.onnx")),
    "a sidecar is misplaced": ("SID401", _renamed("plain.json", "plane.json")),
    "a manifest is broken": ("ENS519", [_broken("ens.json")]),
    "a verdict is broken, of an ensemble with a longer name": (
        "ENS519",
        (
            _document("ens_x.json", id="ens_x", members=_members("plain")),
            _broken("ens_x_PROMOTE.json"),
        ),
    ),
}
"""Edits whose findings depend on more than one unit, and a code that they lead to."""

across = pytest.mark.parametrize(("code", "edits"), ACROSS.values(), ids=ACROSS)


def _edit(tree: Path, edits: Iterable[Edit]) -> None:
    together(*edits)(tree / "model" / "registry.json")


@across
def test_units_that_depend_on_others_get_the_same_report(
    clean: Path, tree: Path, code: str, edits: Iterable[Edit]
) -> None:
    _edit(tree, edits)
    codes = {finding["code"] for finding in _assert_alike(tree)["findings"]}
    assert code in codes if code else not codes
    _assert_alike(tree, baseline=str(clean))
    _assert_alike(clean, baseline=str(tree))


@across
def test_kept_units_get_the_same_findings_without_being_read_again(
    tree: Path, monkeypatch: pytest.MonkeyPatch, code: str, edits: Iterable[Edit]
) -> None:
    _edit(tree, edits)
    config = load_config(tree)
    evidence = load_evidence(config, with_bundles=True)
    terms = Terms(trust=None, today=today_utc())
    with KeptUnits() as kept:
        first = conclude(evidence, config, terms, kept=kept)
        monkeypatch.setattr(RowReader, "read", None)
        unread = replace(first.evidence, unread=evidence.unread)
        assert conclude(unread, config, terms, kept=kept).findings == first.findings


@pytest.mark.parametrize("others", [{}, {0: "a", 1: "a"}])
def test_a_claim_joins_the_same_rows_whatever_other_rows_claim(others: dict[int, str]) -> None:
    rows = [{"id": f"r{n}", "onnx": f"r{n}.onnx"} for n in range(4)]
    data = json.dumps({"models": rows}).encode()
    registry = reading.parse_bytes(data, "registry.json")
    value = {"members": [{"onnx": "r1.onnx"}, {"onnx": "r3.onnx"}]}
    manifest = document("m.json", digest.of_bytes(b""), "", value)
    assert manifest is not None
    units = plan(registry, registry.rows, Documents((manifest,)), {**others, 2: "b", 3: "b"})
    (unit,) = (u for u in units if any(row.index == 2 for row in u.rows))
    assert manifest in unit.documents


def test_the_registry_of_this_repository_gets_the_same_report() -> None:
    assert _assert_alike(ROOT)["rows"]


@pytest.mark.parametrize("rows", [1, 50])
def test_processes_give_the_same_report(tree: Path, rows: int) -> None:
    _edit(tree, _renamed("plain.json", "plane.json"))
    whole = _report(tree)
    with Workers(2).running(pools.LARGE) as pool, in_units(pool, rows):
        assert _report(tree) == whole


@pytest.mark.parametrize(("what", "most"), [("EXTERNAL_FILES_OF_ROWS", 3), ("SIDECARS_OF_ROWS", 9)])
def test_totals_of_rows_are_limited_across_units(
    tree: Path, monkeypatch: pytest.MonkeyPatch, what: str, most: int
) -> None:
    def message() -> str:
        with pytest.raises(InputError) as error:
            check(load_config(tree))
        return error.value.message

    monkeypatch.setattr(limits, what, most)
    expected = message()
    for way in (in_units(), *(way for _, way in ways())):
        with way:
            assert message() == expected


# --- workers that fail --------------------------------------------------------------------------


class _Executor(InRandomOrder):
    """Passes tasks and results on, changed."""

    def __init__(
        self,
        result: Callable[[bytes], object] = lambda data: data,
        before: Callable[[int], None] = lambda task: None,
    ) -> None:
        super().__init__()
        self.change, self.before = result, before
        self.contexts: list[bytes] = []
        self.futures: list[Future[Any]] = []

    def submit(self, call: Any, /, *args: Any, **options: Any) -> Future[Any]:
        number = len(self.contexts)
        self.contexts.append(args[0])

        def run() -> object:
            self.before(number)
            return self.change(call(*args))

        self.futures.append(super().submit(run))
        return self.futures[-1]


def _die(*_: object) -> bytes:
    os.kill(os.getpid(), 9)
    return b""


class _Deadly(Executor):
    """Processes of which one is killed in the middle of its task."""

    def __init__(self, pool: Executor, task: int) -> None:
        self.pool, self.left = pool, task

    def submit(self, call: Any, /, *args: Any, **options: Any) -> Future[Any]:
        self.left -= 1
        return self.pool.submit(_die if self.left < 0 else call, *args)


@pytest.mark.parametrize("task", [0, 2])
def test_a_worker_that_is_killed_gives_no_verdict(tree: Path, task: int) -> None:
    with Workers(2).running(pools.LARGE) as pool:
        assert pool is not None
        with (
            in_units(_Deadly(pool, task), 1),
            pytest.raises(UnavailableError, match="a worker was lost") as error,
        ):
            check(load_config(tree))
    assert error.value.exit_code == 4


def test_an_executor_that_takes_no_more_tasks_gives_no_verdict(tree: Path) -> None:
    class Broken(_Executor):
        def submit(self, call: Any, /, *args: Any, **options: Any) -> Future[Any]:
            if self.futures:
                raise BrokenProcessPool("broken")
            return super().submit(call, *args, **options)

    with in_units(Broken(), 1), pytest.raises(UnavailableError, match="a worker was lost"):
        check(load_config(tree))


def test_an_error_in_a_worker_ends_the_run_with_the_first_such_task(tree: Path) -> None:
    def fail(task: int) -> None:
        if task in (1, 2):
            raise KeyError(task)

    with in_units(_Executor(before=fail), 1), pytest.raises(KeyError, match="1"):
        check(load_config(tree))


def test_an_interrupt_cancels_the_remaining_tasks(tree: Path) -> None:
    class Interrupted(_Executor):
        def run(self) -> None:
            raise KeyboardInterrupt

    executor = Interrupted()
    with in_units(executor, 1), pytest.raises(KeyboardInterrupt):
        check(load_config(tree))
    assert len(executor.futures) > 1
    assert all(future.cancelled() for future in executor.futures[1:])


def test_an_interrupt_does_not_reach_the_processes() -> None:
    with Workers(2).running(pools.LARGE) as pool:
        assert pool is not None
        handler = pool.submit(signal.getsignal, signal.SIGINT).result()
    assert handler is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


@pytest.mark.parametrize("file", ["plain.onnx", "plain.onnx.data", "plain.json"])
@pytest.mark.parametrize("change", [flip(), remove()], ids=["another bit", "removed"])
def test_a_file_that_changes_between_the_rounds_ends_the_run(
    tree: Path, file: str, change: Change
) -> None:
    put("models", "plain", "license", to="MITT")(tree / "model" / "registry.json")

    def later(data: bytes) -> bytes:
        if b"plain.onnx" in data:
            change(tree / "model" / file)
        return data

    with in_units(_Executor(later), 1), pytest.raises(InputError, match=f"{file} changed during"):
        check(load_config(tree))


# --- results that are not those of their task ----------------------------------------------------


def _edited(edit: Callable[[Sent], Sent]) -> Callable[[bytes], bytes]:
    return lambda data: wire.dump(edit(wire.load(Sent, data)))


def _with(**fields: Any) -> Callable[[bytes], bytes]:
    return _edited(lambda sent: replace(sent, **fields))


def _finding(code: str | None = None, number: int = 0, **changes: Any) -> Callable[[bytes], bytes]:
    """Change the findings of a result, or the numbers of their rows."""
    return _edited(
        lambda sent: replace(
            sent,
            findings=tuple(
                (number or n, replace(f, code=code or f.code, **changes)) for n, f in sent.findings
            ),
        )
    )


def _facts(edit: Callable[[Any], object]) -> Callable[[bytes], bytes]:
    """Change the facts of each row of a result."""

    def change(sent: Sent) -> Sent:
        for _, facts in sent.rows:
            edit(facts)
        return sent

    return _edited(change)


RESULTS: Final[dict[str, Callable[[bytes], object]]] = {
    "nothing": lambda data: None,
    "a string": lambda data: data.decode(),
    "not JSON": lambda data: b"{",
    "not UTF-8": lambda data: b"\xff\xfe\x00",
    "a JSON value of another type": lambda data: b'"Judged"',
    "an object": lambda data: b"{}",
    "deeply nested": lambda data: b"[" * 200_000 + b"]" * 200_000,
    "deeply nested where any value may be": lambda data: data.replace(
        b"[[", b"[[" + b"[" * 5000 + b"]" * 5000 + b",", 1
    ),
    "a number of 9,999 digits": lambda data: b'["_Sent",' + b"9" * 9999 + b"]",
    "another dataclass": lambda data: data.replace(b'"_Sent"', b'"Sent"', 1),
    "fewer fields": lambda data: json.dumps(json.loads(data)[:-1]).encode(),
    "a flag that is a number": lambda data: data.replace(b",false,", b",0,"),
    "no row": _with(rows=()),
    "a row twice": _edited(lambda sent: replace(sent, rows=sent.rows * 2)),
    "another row": _edited(
        lambda sent: replace(sent, rows=tuple((index + 1, facts) for index, facts in sent.rows))
    ),
    "a row without its model": _facts(lambda facts: facts[0].clear()),
    "a model with another name": _facts(lambda facts: facts[0][0].__setitem__(0, "other.onnx")),
    "a malformed digest": _facts(lambda facts: facts[0][0].__setitem__(1, "0")),
    "an origin that is a list": _facts(lambda facts: facts.__setitem__(9, [])),
    "signatures that do not exist": _facts(lambda facts: facts.__setitem__(10, 7)),
    "fewer facts": _facts(lambda facts: facts.pop()),
    "the claim of another row": _with(claims={"99": "ens"}),
    "a negative number of files": _with(totals={"external-data files": -5}),
    "a finding of no rule": _finding("XYZ999"),
    "a finding of a rule that judges the whole": _finding("REG102"),
    "a finding about another row": _finding(row="other"),
    "a finding of another unit": _finding(number=99),
    "a finding that is deferred": _finding(deferred=Deferral(0, "LIC204", ("*",), "", "")),
    "a request for a trusted root": _with(needs_root=True),
}


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_what_is_no_result_of_its_task_gives_no_verdict(
    tree: Path, result: Callable[[bytes], object]
) -> None:
    _edit(tree, [_row(name, "license", "MITT") for name in ("plain", "probe", "quant", "s0")])
    with in_units(_Executor(result), 1), pytest.raises(UnavailableError, match="a worker"):
        check(load_config(tree))


def test_a_result_that_is_too_large_gives_no_verdict(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RESULT", 100)
    with in_units(InRandomOrder()), pytest.raises(UnavailableError, match="too large"):
        check(load_config(tree))


def test_the_context_of_tasks_does_not_grow_with_the_rows(tmp_path: Path, key: Any) -> None:
    sizes = []
    for count in (2, 20):
        repository = Repository(tmp_path / f"{count:02}", key)
        for number in range(count):
            repository.add(f"m{number}", model(salt=number))
        repository.save().released()
        executor = _Executor()
        with in_units(executor, 1):
            assert verify(load_config(repository.root)).exit_code == 0
        sizes.append(len(executor.contexts[0]))
    assert abs(sizes[0] - sizes[1]) < 20


def test_results_survive_the_conversion_to_json(tree: Path) -> None:
    _edit(tree, [_broken("ens.json"), *_renamed("plain.json", "plane.json")])
    seen: list[Sent] = []

    def look(data: bytes) -> bytes:
        seen.append(wire.load(Sent, data))
        assert wire.dump(seen[-1]) == data
        return data

    with in_units(_Executor(look), 50):
        check(load_config(tree))
    assert any(sent.findings for sent in seen)
