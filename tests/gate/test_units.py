# SPDX-License-Identifier: Apache-2.0
"""A registry gets the same report as a whole and unit by unit, whatever judges the units.

So do a sample of the cases (`tests/test_judging_order.py`) and the table of mutations.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from provenance import check, load_config, verify
from provenance.artifacts import digest, limits
from provenance.artifacts import registry as registries
from provenance.artifacts.ensemble import Documents, document
from provenance.artifacts.registry import FieldNames
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
from tests.support.engines import InRandomOrder, in_units, ways
from tests.support.models import External, model
from tests.support.mutations import Change, copy, flip, put, remove, together
from tests.support.production import production
from tests.support.repository import Repository, sha256

SHARED: Final = "../bundles/shared.sigstore.json"
ROOT: Final = Path(__file__).parent.parent.parent


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
    """Return the report, which is the same in every way."""
    whole = _report(tree, **options)
    for name, way in ways():
        with way:
            assert _report(tree, **options) == whole, name
    return json.loads(whole)


def _document(name: str, **content: Any) -> tuple[str, Change]:
    return name, lambda path: _done(path.write_text(json.dumps(content)))


def _done(_result: object) -> None:
    return None


def _failing_verdict(name: str) -> tuple[str, Change]:
    def change(path: Path) -> None:
        verdict = json.loads((path.parent / "ens_PROMOTE.json").read_text())
        verdict["gate"]["per_seed_plccs"]["0"] = 0.5
        path.write_text(json.dumps(verdict))

    return name, change


def _members(*names: str) -> list[dict[str, Any]]:
    return [{"id": name, "onnx": f"{name}.onnx", "seed": i} for i, name in enumerate(names)]


def _with_data(name: str, location: str) -> tuple[str, Change]:
    """A model whose weights are in a file of another row."""

    def change(path: Path) -> None:
        made = model(external=External(location))
        (path.parent / f"{name}.onnx").write_bytes(made)
        put("models", name, "sha256", to=sha256(made))(path)

    return "registry.json", change


def _is_placeholder(name: str) -> tuple[str, Change]:
    def change(path: Path) -> None:
        made = (path.parent / "probe.onnx").read_bytes()
        (path.parent / f"{name}.onnx").write_bytes(made)
        put("models", name, "sha256", to=sha256(made))(path)

    return "registry.json", change


ACROSS: Final[dict[str, tuple[Change, str]]] = {
    "two manifests share a verdict": (
        together(
            _failing_verdict("ens-x_PROMOTE.json"),
            _document("ens-x.json", id="ens-x", members=_members("plain", "quant")),
        ),
        "ENS511",
    ),
    "rows claim an ensemble that has a verdict alone": (
        together(
            ("plain.json", put("ensemble_id", to="zz")),
            ("quant.json", put("ensemble_id", to="zz")),
            _failing_verdict("zz_PROMOTE.json"),
        ),
        "ENS511",
    ),
    "a row claims an ensemble that does not list it": (
        together(("plain.json", put("ensemble_id", to="ens"))),
        "ENS503",
    ),
    "two manifests list one row": (
        together(_document("other.json", id="other", members=_members("s1", "plain"))),
        "SID407",
    ),
    "a list of names without an id is no ensemble": (
        together(_document("team.json", id="", members=[{"id": "a"}])),
        "",
    ),
    "two rows have one file": (
        together(("registry.json", put("models", "plain", "onnx", to="quant.onnx"))),
        "ART302",
    ),
    "two rows have one bundle": (
        together(
            (
                "registry.json",
                put("models", "plain", "sigstore_bundle", to=SHARED),
            ),
            (
                "registry.json",
                put("models", "quant", "sigstore_bundle", to=SHARED),
            ),
        ),
        "REG108",
    ),
    "two rows have one id": (
        together(("registry.json", put("models", "plain", "id", to="probe"))),
        "REG102",
    ),
    "a row has the bytes of another": (
        together(
            ("plain.onnx", lambda path: _done(shutil.copy(path.with_name("probe.onnx"), path)))
        ),
        "ART302",
    ),
    "a row has the bytes of a placeholder": (together(_is_placeholder("plain")), "SID417"),
    "the data of a row is its own model": (together(_with_data("plain", "plain.onnx")), "ART305"),
    "the data of a row is another's model": (together(_with_data("plain", "probe.onnx")), "ART305"),
    "the data of a row is another's sidecar": (together(_with_data("probe", "s1.json")), "ART305"),
    "a model lies elsewhere": (
        together(("plain.onnx", copy("plane.onnx")), ("plain.onnx", remove())),
        "ART301",
    ),
    "a sidecar lies elsewhere": (
        together(("plain.json", copy("plane.json")), ("plain.json", remove())),
        "SID401",
    ),
    "a manifest is broken": (
        together(("ens.json", lambda path: _done(path.write_text("{")))),
        "ENS519",
    ),
    "a verdict is broken, of an ensemble with a longer name": (
        together(
            _document("ens_x.json", id="ens_x", members=_members("plain")),
            ("ens_x_PROMOTE.json", lambda path: _done(path.write_text("{"))),
        ),
        "ENS519",
    ),
}
"""Changes whose findings take more than one unit to see, each with one that there is."""


@pytest.mark.parametrize("name", ACROSS)
def test_units_that_have_to_do_with_others_get_the_same_report(tree: Path, name: str) -> None:
    change, code = ACROSS[name]
    change(tree / "model" / "registry.json")
    codes = {finding["code"] for finding in _assert_alike(tree)["findings"]}
    assert code in codes if code else not codes


@pytest.mark.parametrize("name", ACROSS)
def test_changes_since_a_baseline_get_the_same_report(clean: Path, tree: Path, name: str) -> None:
    ACROSS[name][0](tree / "model" / "registry.json")
    _assert_alike(tree, baseline=str(clean))
    _assert_alike(clean, baseline=str(tree))


@pytest.mark.parametrize("others", [{}, {0: "a", 1: "a"}])
def test_a_claim_joins_the_same_rows_whatever_other_rows_claim(others: dict[int, str]) -> None:
    rows = [{"id": f"r{n}", "onnx": f"r{n}.onnx"} for n in range(4)]
    data = json.dumps({"models": rows}).encode()
    registry = registries.parse_bytes(data, "registry.json", FieldNames())
    value = {"members": [{"onnx": "r1.onnx"}, {"onnx": "r3.onnx"}]}
    manifest = document("m.json", digest.of_bytes(b""), "", value)
    assert manifest is not None
    units = plan(registry, registry.rows, Documents((manifest,)), {**others, 2: "b", 3: "b"})
    (unit,) = (u for u in units if any(row.index == 2 for row in u.rows))
    assert manifest in unit.documents


@pytest.mark.parametrize("name", ACROSS)
def test_kept_units_get_the_same_findings_without_being_read_again(
    tree: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    ACROSS[name][0](tree / "model" / "registry.json")
    config = load_config(tree)
    evidence = load_evidence(config, with_bundles=True)
    terms = Terms(trust=None, today=today_utc())
    with KeptUnits() as kept:
        first = conclude(evidence, config, terms, kept=kept)
        monkeypatch.setattr(RowReader, "read", None)
        unread = replace(first.evidence, unread=evidence.unread)
        assert conclude(unread, config, terms, kept=kept).findings == first.findings


def test_the_registry_of_this_repository_gets_the_same_report() -> None:
    assert _assert_alike(ROOT)["rows"]


@pytest.mark.parametrize("rows", [1, 50])
def test_processes_give_the_same_report(tree: Path, rows: int) -> None:
    ACROSS["a sidecar lies elsewhere"][0](tree / "model" / "registry.json")
    whole = _report(tree)
    with Workers(2).running(pools.LARGE) as pool, in_units(pool, rows):
        assert _report(tree) == whole


def test_an_interrupt_does_not_reach_the_processes() -> None:
    with Workers(2).running(pools.LARGE) as pool:
        assert pool is not None
        handler = pool.submit(signal.getsignal, signal.SIGINT).result()
    assert handler is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


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

    def submit(self, call: Any, /, *args: Any, **options: Any) -> Future[Any]:
        number = len(self.contexts)
        self.contexts.append(args[0])

        def run() -> object:
            self.before(number)
            return self.change(call(*args))

        return super().submit(run)


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
    class Broken(InRandomOrder):
        def submit(self, call: Any, /, *args: Any, **options: Any) -> Future[Any]:
            if self.submitted:
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


@pytest.mark.parametrize(("what", "most"), [("EXTERNAL_FILES_OF_ROWS", 3), ("SIDECARS_OF_ROWS", 9)])
def test_totals_of_rows_are_limited_across_units(
    tree: Path, monkeypatch: pytest.MonkeyPatch, what: str, most: int
) -> None:
    monkeypatch.setattr(limits, what, most)
    messages = []
    for way in (in_units(), *(way for _, way in ways())):
        with way, pytest.raises(InputError) as error:
            check(load_config(tree))
        messages.append(error.value.message)
    with pytest.raises(InputError) as error:
        check(load_config(tree))
    assert {*messages} == {error.value.message}


def test_an_interrupt_cancels_the_remaining_tasks(tree: Path) -> None:
    class Interrupted(InRandomOrder):
        def __init__(self) -> None:
            super().__init__()
            self.futures: list[Future[Any]] = []

        def submit(self, call: Any, /, *args: Any, **options: Any) -> Future[Any]:
            self.futures.append(super().submit(call, *args, **options))
            return self.futures[-1]

        def run(self) -> None:
            raise KeyboardInterrupt

    executor = Interrupted()
    with in_units(executor, 1), pytest.raises(KeyboardInterrupt):
        check(load_config(tree))
    assert [future.cancelled() for future in executor.futures[1:]] == [True] * (
        len(executor.futures) - 1
    )


@pytest.mark.parametrize("file", ["plain.onnx", "plain.onnx.data", "plain.json"])
@pytest.mark.parametrize("change", [flip(), remove()])
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


def _edited(edit: Callable[[Sent], Sent]) -> Callable[[bytes], bytes]:
    return lambda data: wire.dump(edit(wire.load(Sent, data)))


def _about(code: str | None = None, number: int = 0, **changes: Any) -> Callable[[bytes], bytes]:
    """A result with its findings changed, or their numbers."""

    def edit(sent: Sent) -> Sent:
        found = [
            (number or n, replace(f, code=code or f.code, **changes)) for n, f in sent.findings
        ]
        return replace(sent, findings=tuple(found))

    return _edited(edit)


def _facts(edit: Callable[[Any], object]) -> Callable[[bytes], bytes]:
    """A result with the facts of its rows changed."""

    def change(sent: Sent) -> Sent:
        for _, facts in sent.rows:
            edit(facts)
        return sent

    return _edited(change)


def _put_at(values: list[Any], at: int, value: object) -> None:
    values[at] = value


RESULTS: Final[dict[str, Callable[[bytes], object]]] = {
    "nothing": lambda data: None,
    "a text": lambda data: data.decode(),
    "no JSON": lambda data: b"{",
    "no text": lambda data: b"\xff\xfe\x00",
    "a JSON value of another type": lambda data: b'"Judged"',
    "an object": lambda data: b"{}",
    "deeply nested": lambda data: b"[" * 200_000 + b"]" * 200_000,
    "deeply nested where anything may be": lambda data: data.replace(
        b"[[", b"[[" + b"[" * 5000 + b"]" * 5000 + b",", 1
    ),
    "a number of a thousand digits": lambda data: b'["_Sent",' + b"9" * 9999 + b"]",
    "another dataclass": lambda data: data.replace(b'"_Sent"', b'"Sent"', 1),
    "fewer fields": lambda data: json.dumps(json.loads(data)[:-1]).encode(),
    "a flag that is a number": lambda data: data.replace(b",false,", b",0,"),
    "no row": _edited(lambda judged: replace(judged, rows=())),
    "a row twice": _edited(lambda judged: replace(judged, rows=judged.rows * 2)),
    "another row": _edited(
        lambda j: replace(j, rows=tuple((index + 1, facts) for index, facts in j.rows))
    ),
    "a row without its model": _facts(lambda facts: facts[0].clear()),
    "a model with another name": _facts(lambda facts: _put_at(facts[0][0], 0, "other.onnx")),
    "a digest that is none": _facts(lambda facts: _put_at(facts[0][0], 1, "0")),
    "an origin that is a list": _facts(lambda facts: _put_at(facts, 9, [])),
    "signatures that there are not": _facts(lambda facts: _put_at(facts, 10, 7)),
    "fewer facts": _facts(lambda facts: facts.pop()),
    "the claim of another row": _edited(lambda j: replace(j, claims={"99": "ens"})),
    "fewer files than none": _edited(lambda j: replace(j, totals={"external-data files": -5})),
    "a finding of no rule": _about("XYZ999"),
    "a finding of a rule that judges the whole": _about("REG102"),
    "a finding about another row": _about(row="nobody"),
    "a finding of another unit": _about(number=99),
    "a finding that is deferred": _about(deferred=Deferral(0, "LIC204", ("*",), "", "")),
    "a wish for a trusted root": _edited(lambda sent: replace(sent, needs_root=True)),
}


@pytest.mark.parametrize("name", RESULTS)
def test_what_is_no_result_of_its_task_gives_no_verdict(tree: Path, name: str) -> None:
    for file in ("plain", "probe", "quant", "s0"):
        put("models", file, "license", to="MITT")(tree / "model" / "registry.json")
    with in_units(_Executor(RESULTS[name]), 1), pytest.raises(UnavailableError, match="a worker"):
        check(load_config(tree))


def test_a_result_that_is_too_large_gives_no_verdict(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RESULT", 100)
    with in_units(InRandomOrder()), pytest.raises(UnavailableError, match="too large"):
        check(load_config(tree))


def test_nothing_in_the_context_of_tasks_grows_with_the_rows(tmp_path: Path, key: Any) -> None:
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


def test_results_are_the_same_after_their_way_as_json(tree: Path) -> None:
    for name in ("a manifest is broken", "a sidecar lies elsewhere"):
        ACROSS[name][0](tree / "model" / "registry.json")
    seen: list[Sent] = []

    def look(data: bytes) -> bytes:
        seen.append(wire.load(Sent, data))
        assert wire.dump(seen[-1]) == data
        return data

    with in_units(_Executor(look), 50):
        check(load_config(tree))
    assert any(sent.findings for sent in seen)
