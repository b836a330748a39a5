# SPDX-License-Identifier: Apache-2.0
"""Mutation testing of the rules: `make mutation`.

Breaks the rules in one place at a time, and runs the tests that run that place. Prints each mutant
that no test refuses, and exits 1 where `survivors.toml` does not say why it is harmless.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import pytest

from tests.mutation import page, survivors
from tests.mutation.mutants import ROOT, RULES, Mutant, mutants
from tests.mutation.reach import LONGEST, Ran, Reach
from tests.mutation.survivors import Result
from tests.mutation.trial import SLOW, TIMEOUT, Warm

STATE: Final = ROOT / ".build" / "mutation-state"
FEWEST: Final = 50
"""With `--seconds`, so many tests are run all the same."""

TESTS: Final = (
    "tests/gate",
    "tests/test_cases.py",
    "tests/test_judging_order.py",
    "tests/output",
    "tests/consumer",
    "tests/docs/test_generated.py::test_the_pages_of_rules_say_what_the_rules_are",
    "tests/operations/test_artifact.py",
    "tests/operations/test_consumer.py",
    "tests/operations/test_fix.py",
    "tests/operations/test_hashing.py",
    "tests/operations/test_incident.py",
    "tests/operations/test_promote.py",
    "tests/operations/test_requirements.py",
    "tests/operations/test_restore.py",
    "tests/operations/test_verify_release.py",
)
"""The tests of what rules report. The others are about files, signatures and the command line."""


def main() -> int:
    """Run the mutants; the exit status."""
    options = _options()
    files = [p for p in sorted(RULES.rglob("*.py")) if _chosen(p, options.files)]
    every = [m for p in files for m in mutants(p)]
    results: list[Result] = []
    arguments = ["-q", "--no-header", "--no-summary", "-s"]
    arguments += ["-p", "no:cacheprovider", "-p", "no:xdist"]
    warm = Warm(lambda warm: results.extend(_run(warm, every, options)))
    status = pytest.main([*arguments, *(options.tests or TESTS)], plugins=[warm])
    if not results:
        return int(status) or 1
    whole = not options.files and not options.tests and options.seconds is None
    return _conclude(results, whole=whole)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("files", nargs="*", help="files of provenance/gate/rules (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants at once")
    parser.add_argument("--again", action="store_true", help="only what no test refused before")
    parser.add_argument("--seconds", type=float, help="no more tests than take this, for a mutant")
    parser.add_argument("--tests", action="append", default=[], help="only these tests")
    return parser.parse_args()


def _chosen(path: Path, names: Sequence[str]) -> bool:
    return not names or any(str(path).endswith(name) for name in names)


def _run(warm: Warm, every: Sequence[Mutant], options: argparse.Namespace) -> list[Result]:
    STATE.mkdir(parents=True, exist_ok=True)
    reach = warm.reach(_load_reach() if options.again else None)
    _save_reach(reach)
    trials = Trials(warm, reach, _load_killers(), options.seconds, again=options.again)
    results = []
    with ProcessPoolExecutor(options.jobs, get_context("fork"), _begin, (trials,)) as workers:
        for number, (key, result, given) in enumerate(workers.map(_try, every), 1):
            results.append(result)
            trials.refused.pop(key, None)
            if result.killer is not None:
                trials.refused[key] = result.killer
            else:
                print(f"\nsurvived, {given} of {result.tests} tests: {result}", flush=True)
            if number % 100 == 0:
                _save("killers", trials.refused)
                print(f"[{number} of {len(every)}]", file=sys.stderr, flush=True)
    _save("killers", trials.refused)
    return results


@dataclass(frozen=True)
class Trials:
    """How mutants are tried.

    Attributes:
        refused: Which test refused a mutant before.
        seconds: No more tests than take this, None for all of them.
        again: Whether what was refused before is taken for refused.
    """

    warm: Warm
    reach: Reach
    refused: dict[str, str]
    seconds: float | None
    again: bool

    def of(self, mutant: Mutant) -> tuple[str, Result, int]:
        """The name of a mutant, what became of it, and how many tests it was given."""
        source = mutant.source()
        becomes = mutant.becomes(source)
        key = " | ".join(
            (mutant.path, mutant.operator, mutant.was, becomes, str(mutant.occurrence))
        )
        before = self.refused.get(key)
        tests = [t for t in self.reach.of(mutant) if self.reach.tests[t].seconds < SLOW]
        if self.again and before is not None:
            return key, Result(mutant, becomes, before, len(tests)), 0
        if before in tests:
            tests = list(dict.fromkeys([before, *tests]))
        given, seconds = _within(tests, self.reach, self.seconds)
        limit = TIMEOUT + 2 * seconds
        killer = self.warm.killer(mutant, source, given, limit) if given else None
        if killer is not None:
            self.reach.killed(mutant, killer)
        return key, Result(mutant, becomes, killer, len(tests)), len(given)


_worker: Trials | None = None
"""What a worker was given when it was forked: none of it can be sent to a process."""


def _begin(trials: Trials) -> None:
    global _worker
    _worker = trials


def _try(mutant: Mutant) -> tuple[str, Result, int]:
    assert _worker is not None
    return _worker.of(mutant)


def _within(tests: Sequence[str], reach: Reach, limit: float | None) -> tuple[Sequence[str], float]:
    total = 0.0
    given: list[str] = []
    for test in tests:
        total += reach.tests[test].seconds
        if limit is not None and total > limit and len(given) >= FEWEST:
            break
        given.append(test)
    return given, total


def _conclude(results: Sequence[Result], *, whole: bool) -> int:
    entries = survivors.known()
    left = survivors.unexplained(results, entries)
    count = Counter("killed" if r.killer else "survived" for r in results)
    print(f"\n{len(results)} mutants: {count['killed']} killed, {count['survived']} survived")
    for result in left:
        print(f"not explained in {survivors.FILE.name}: {result}")
    gone = survivors.stale(results, entries) if whole else []
    for change in gone:
        print(f"explained in {survivors.FILE.name}, and killed or gone: {change}")
    if whole and not left and not gone:
        page.write(results, entries)
    return 1 if left or gone else 0


def _save(name: str, value: Any) -> None:
    (STATE / f"{name}.json").write_text(json.dumps(value), "utf-8")


def _load_killers() -> dict[str, str]:
    file = STATE / "killers.json"
    return json.loads(file.read_text("utf-8")) if file.exists() else {}


def _save_reach(reach: Reach) -> None:
    _save(
        "reach",
        {
            "files": {str(p.relative_to(RULES)): p.read_text("utf-8") for p in RULES.rglob("*.py")},
            "tests": {
                t: (r.seconds, {p: sorted(n) for p, n in r.lines.items()}, sorted(r.codes))
                for t, r in reach.tests.items()
            },
        },
    )


def _load_reach() -> Reach | None:
    """What was measured before. Of a file that is another now, the lines are not known any more."""
    file = STATE / "reach.json"
    if not file.exists():
        return None
    saved = json.loads(file.read_text("utf-8"))
    now = {str(p.relative_to(RULES)): p.read_text("utf-8") for p in RULES.rglob("*.py")}
    every = frozenset(range(1, LONGEST))

    def lines(path: str, numbers: Sequence[int]) -> frozenset[int]:
        return frozenset(numbers) if saved["files"].get(path) == now.get(path) else every

    return Reach(
        {
            t: Ran(seconds, {p: lines(p, n) for p, n in ran.items()}, frozenset(codes))
            for t, (seconds, ran, codes) in saved["tests"].items()
        }
    )


if __name__ == "__main__":
    sys.exit(main())
