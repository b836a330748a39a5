# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of mutants, each mutant in a process of its own, from one that is warm.

The warm process is a pytest session that has collected all tests and run none. No file is changed:
the code of living functions is replaced in the child. What a mutant changes outside of functions is
done on import, so its tests are run by a new process that reads the changed source (`fresh`).
"""

from __future__ import annotations

import ast
import contextlib
import gc
import inspect
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final, NoReturn

import coverage
import pytest

from tests.mutation.mutants import ROOT, RULES, Mutant
from tests.mutation.reach import CODE, Ran, Reach, relative

SLOW: Final = 1.5
"""Seconds after which a test is too slow to be run for each mutant."""

TIMEOUT: Final = 60.0
"""Seconds that one mutant may take beyond what its tests take without it."""

_CANNOT: Final = "a living function cannot be given this code"

_BROKEN: Final = "broken: "

_IS_FUNCTION: Final = 0x1  # CO_OPTIMIZED: the body of a class or a module lacks it


class Warm:
    """A pytest session with all tests collected. `work` is called where the tests would be run."""

    def __init__(self, work: Callable[[Warm], None]) -> None:
        self._work = work
        self.items: dict[str, pytest.Item] = {}
        self.failed: list[str] = []
        self._functions: dict[tuple[str, str, int], list[FunctionType]] = defaultdict(list)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        # Imported here: pytest rewrites the plugin of hypothesis, which must not be loaded before.
        from hypothesis import is_hypothesis_test

        # What a random example refuses today, it may not refuse tomorrow.
        plain = [i for i in session.items if not is_hypothesis_test(getattr(i, "obj", None))]
        self.items = {item.nodeid: item for item in plain}
        for one in gc.get_objects():
            if isinstance(one, FunctionType) and one.__code__.co_filename.startswith(str(RULES)):
                self._functions[_identity(one.__code__)].append(one)
        gc.freeze()
        self._work(self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def reach(self, known: Reach | None = None) -> Reach:
        """What each test runs. Ends the session where one fails: nothing follows from it then."""
        tests = {t: ran for t, ran in (known.tests if known else {}).items() if t in self.items}
        new = [test for test in self.items if test not in tests]
        if new:
            answer = json.loads(_in_child(lambda: self._measure(new), 3600.0) or '{"failed": true}')
            if "failed" in answer:
                pytest.exit(f"tests fail without any mutant: {answer['failed']}", 2)
            for test, (seconds, lines) in answer.items():
                ran = {path: frozenset(numbers) for path, numbers in lines.items()}
                tests[test] = Ran(seconds, ran, _named(self.items[test]))
        return Reach(tests)

    def _measure(self, tests: Sequence[str]) -> str:
        measured = coverage.Coverage(data_file=None, include=f"{RULES}/*", config_file=False)
        measured.start()
        seconds: dict[str, float] = {}
        for test in tests:
            measured.switch_context(test)
            began = time.monotonic()
            # With no next test, what fixtures of the session take is counted with each test: a
            # mutant's tests have to make them again.
            item = self.items[test]
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            seconds[test] = time.monotonic() - began
        measured.stop()
        data = measured.get_data()
        lines: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for file in data.measured_files():
            for number, contexts in data.contexts_by_lineno(file).items():
                for test in contexts:
                    lines[test][relative(file)].append(number)
        if self.failed:
            return json.dumps({"failed": self.failed})
        return json.dumps({test: (seconds[test], lines.get(test, {})) for test in tests})

    def _in_turn(
        self, tests: Sequence[str]
    ) -> Iterator[tuple[str, pytest.Item, pytest.Item | None]]:
        items: list[pytest.Item | None] = [*(self.items[test] for test in tests), None]
        for test, item, following in zip(tests, items, items[1:], strict=False):
            assert item is not None
            yield test, item, following

    def killer(self, mutant: Mutant, source: str, tests: Sequence[str], limit: float) -> str | None:
        """The test that refuses a mutant, `timeout` where it does not end, None where none does."""
        file = str(RULES / mutant.path)
        old = compile((RULES / mutant.path).read_text("utf-8"), file, "exec", dont_inherit=True)
        try:
            new = compile(source, file, "exec", dont_inherit=True)
        except SyntaxError:
            return "syntax"
        changed = list(_changed(old, new))
        attribute = _attribute(source, mutant.line)
        answer: str | None = _CANNOT
        if all(a is not None and self._functions[_identity(a)] for a, _ in changed):
            answer = _in_child(lambda: self._run(lambda: self._swap(changed), tests), limit)
        elif attribute is not None:
            answer = _in_child(lambda: self._run(lambda: attribute.set_in(file), tests), limit)
        if answer == _CANNOT:
            answer = _in_new_process(file, source, tests, limit)
        return "timeout" if answer is None else answer or None

    def _run(self, apply: Callable[[], None], tests: Sequence[str]) -> str:
        try:
            apply()
        except (ValueError, AttributeError):
            return _CANNOT
        for _, item, following in self._in_turn(tests):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                break
        return self.failed[0] if self.failed else ""

    def _swap(self, changed: Sequence[tuple[CodeType | None, CodeType]]) -> None:
        for old, new in changed:
            assert old is not None
            for function in self._functions[_identity(old)]:
                function.__code__ = new


@dataclass(frozen=True)
class _Attribute:
    """An attribute that a class declares with a plain value."""

    of: str
    name: str
    value: object

    def set_in(self, file: str) -> None:
        """Give it to the living class."""
        modules = list(sys.modules.values())
        module = next(m for m in modules if getattr(m, "__file__", None) == file)
        setattr(getattr(module, self.of), self.name, self.value)


def _attribute(source: str, line: int) -> _Attribute | None:
    classes = [n for n in ast.parse(source).body if isinstance(n, ast.ClassDef)]
    for of in classes:
        for node in of.body if not of.decorator_list else ():
            if node.lineno <= line <= (node.end_lineno or line):
                match node:
                    case (
                        ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value))
                        | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value))
                    ):
                        return _Attribute(of.name, name, value)
    return None


def _named(item: pytest.Item) -> frozenset[str]:
    """The codes of rules in the source of a test, and in what it is called with."""
    callspec = getattr(item, "callspec", None)
    called_with = callspec.params.values() if callspec else ()
    texts = [repr(getattr(value, "spec", value)) for value in called_with]
    return frozenset(CODE.findall(" ".join([_source(item), *texts])))


def _source(item: pytest.Item) -> str:
    return inspect.getsource(item.function) if isinstance(item, pytest.Function) else ""


def _identity(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _changed(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType | None, CodeType]]:
    """The functions that differ, old and new; None for what differs outside of functions."""
    inner_old = [c for c in old.co_consts if isinstance(c, CodeType)]
    inner_new = [c for c in new.co_consts if isinstance(c, CodeType)]
    plain_old = [c for c in old.co_consts if not isinstance(c, CodeType)]
    plain_new = [c for c in new.co_consts if not isinstance(c, CodeType)]
    # repr, because 1 is 1.0 and True.
    here_old = old.co_code, old.co_names, repr(plain_old), len(inner_old)
    here_new = new.co_code, new.co_names, repr(plain_new), len(inner_new)
    if here_old != here_new:
        yield None, new
        return
    for a, b in zip(inner_old, inner_new, strict=True):
        if not a.co_flags & _IS_FUNCTION:
            yield from _changed(a, b)
        elif any(_changed(a, b)) or a != b:
            yield a, b


def _in_child(work: Callable[[], str], limit: float) -> str | None:
    """What `work` gives in a child, None where it takes longer than the limit, or dies."""
    scratch = tempfile.mkdtemp(prefix="mutant-")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _work(work, writing, scratch)
    os.close(writing)
    answer: bytes | None = b""
    ends = time.monotonic() + limit
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        while answer is not None and (part := _read(selector, reading, ends)) != b"":
            answer = None if part is None else answer + part
    os.close(reading)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    shutil.rmtree(scratch, ignore_errors=True)
    if answer and answer[1:].startswith(_BROKEN.encode()):
        pytest.exit(f"the trial of a mutant failed: {answer[1:].decode()}", 2)
    return answer[1:].decode() if answer else None


def _read(selector: selectors.BaseSelector, reading: int, ends: float) -> bytes | None:
    if not selector.select(max(0.0, ends - time.monotonic())):
        return None
    return os.read(reading, 1 << 16)


def _work(work: Callable[[], str], writing: int, scratch: str) -> NoReturn:
    os.setpgid(0, 0)
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    tempfile.tempdir = os.environ["TMPDIR"] = scratch
    sys.dont_write_bytecode = True
    try:
        answer = work()
    except BaseException as e:  # of the runner, not of a test: it must not pass for a refusal
        answer = f"{_BROKEN}{e!r}"
    with open(writing, "wb") as pipe:
        pipe.write(b"=" + answer.encode())
    os._exit(0)


def _in_new_process(file: str, source: str, tests: Sequence[str], limit: float) -> str | None:
    with tempfile.TemporaryDirectory(prefix="mutant-") as scratch:
        changed = Path(scratch, "mutant.py")
        changed.write_text(source, "utf-8")
        chosen = Path(scratch, "tests")
        chosen.write_text("\n".join(tests), "utf-8")
        environment: dict[str, Any] = os.environ | {
            "MUTANT_OF": file,
            "MUTANT": str(changed),
            "TMPDIR": scratch,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-rfE"]
        command += ["-p", "no:cacheprovider", "-p", "tests.mutation.fresh", f"@{chosen}"]
        try:
            done = subprocess.run(
                command, env=environment, cwd=ROOT, capture_output=True, text=True,
                timeout=limit, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
    if done.returncode == 0:
        return ""
    told = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return told[0].split(" ", 1)[1].split(" - ")[0] if told else "import"
