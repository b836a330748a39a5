# SPDX-License-Identifier: Apache-2.0
"""The ways in which a registry can be judged: as a whole, or unit by unit."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import cached_property
from typing import Any
from unittest import mock

from provenance.config import Config
from provenance.evidence.evidence import Evidence
from provenance.gate.finding import Finding, Report
from provenance.gate.judge import judge
from provenance.gate.pool import Workers
from provenance.gate.rules import Case, Phase
from provenance.gate.rules.base import Rule
from tests.support.whole import whole

TASKS = (1, 50)
"""How many rows a task has."""


class InRandomOrder(Executor):
    """Runs tasks in this process, in a random order, when the first result is asked for."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.waiting: list[Callable[[], None]] = []
        self.submitted = 0

    def submit(self, call: Any, /, *args: Any, **options: Any) -> Future[Any]:
        future = _Late(self)

        def run() -> None:
            try:
                future.set_result(call(*args, **options))
            except Exception as e:
                future.set_exception(e)

        self.waiting.append(run)
        self.submitted += 1
        return future

    def run(self) -> None:
        self.random.shuffle(self.waiting)
        while self.waiting:
            self.waiting.pop()()


class _Late(Future[Any]):
    """A result that does not exist before it is asked for."""

    def __init__(self, executor: InRandomOrder) -> None:
        super().__init__()
        self.executor = executor

    def result(self, timeout: float | None = None) -> Any:
        self.executor.run()
        return super().result(timeout)


@contextlib.contextmanager
def in_units(executor: Executor | None = None, rows_of_a_task: int = 50) -> Iterator[None]:
    """Judge the units through an executor, or in a loop."""

    def judging(*args: Any, workers: Workers, **options: Any) -> Report:
        chosen = Workers(1, executor or workers.executor, rows_of_a_task)
        return judge(*args, workers=chosen, **options)

    with guarding_units(), _judging(judging):
        yield


@contextlib.contextmanager
def as_a_whole() -> Iterator[None]:
    """Judge all rows at once, in memory: what each unit has to do with others needs no plan."""

    def judging(evidence: Evidence, config: Config, *args: Any, **options: Any) -> Report:
        return judge(whole(evidence, config.path), config, *args, **options)

    with _judging(judging):
        yield


@contextlib.contextmanager
def _judging(judging: Callable[..., Report]) -> Iterator[None]:
    """Let `check` and `verify` judge so."""
    with contextlib.ExitStack() as stack:
        for module in ("check", "verify"):
            stack.enter_context(mock.patch(f"provenance.operations.{module}.judge", judging))
        yield


AROUND = (
    *("baseline", "broken_documents", "misplaced", "nameless", "not_documents", "placeholders"),
    *("registry_wide", "stray_bundles", "stray_sidecars", "strays", "summary", "unreadable"),
)
"""What evidence has of more than one unit: only where a unit is judged again is it all there."""


@contextlib.contextmanager
def guarding_units() -> Iterator[None]:
    """Fail if a rule reads evidence about other units without declaring that it does."""
    judging: list[Rule] = []
    judge_unit = Rule.judge_unit

    def guarded(rule: Rule, case: Case) -> Iterator[Finding]:
        findings = judge_unit(rule, case)
        while True:
            judging.append(rule)
            try:
                finding = next(findings, None)
            finally:
                judging.pop()
            if finding is None:
                return
            yield finding

    def watched(name: str) -> property:
        known = vars(Evidence).get(name)

        def read(evidence: Evidence) -> Any:
            for rule in judging[-1:]:  # rules about the baseline are judged in the second round
                assert rule.looks_around or rule.phase is Phase.BASELINE, (rule.code, name)
            if isinstance(known, cached_property):
                return known.__get__(evidence)
            return vars(evidence)[name]

        return property(read, lambda evidence, value: vars(evidence).update({name: value}))

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(Rule, "judge_unit", guarded))
        for name in AROUND:
            watch = mock.patch.object(Evidence, name, watched(name), create=True)
            stack.enter_context(watch)
        yield


def ways() -> Iterator[tuple[str, contextlib.AbstractContextManager[None]]]:
    """The ways in which units are judged in one process, with a name for each."""
    yield "as a whole", as_a_whole()
    yield "in a loop", in_units()
    for rows in TASKS:
        yield f"in random order, {rows} rows a task", in_units(InRandomOrder(rows), rows)
