# SPDX-License-Identifier: Apache-2.0
"""Writes the result of a whole run into `docs/mutation-testing.md`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from typing import Final

from tests.mutation.mutants import ROOT
from tests.mutation.survivors import Known, Result

PAGE: Final = ROOT / "docs" / "mutation-testing.md"
_MARKED: Final = re.compile(r"(<!-- mutation -->\n).*?(<!-- end of mutation -->)", re.DOTALL)


def write(results: Sequence[Result], entries: Sequence[Known]) -> None:
    """Replace what the page has between its marks."""
    text = "\n".join([*_figures(results), *_survivors(results, entries), ""])
    page = _MARKED.sub(lambda m: f"{m[1]}\n{text}\n{m[2]}", PAGE.read_text("utf-8"))
    PAGE.write_text(page, "utf-8")


def _figures(results: Sequence[Result]) -> Iterator[str]:
    families: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        families[result.mutant.path.split("/")[0].removesuffix(".py")].append(result)
    yield f"With Cosmic Ray {version('cosmic-ray')}:"
    yield ""
    yield "| family | mutants | refused | left |"
    yield "| --- | ---: | ---: | ---: |"
    for family, found in (*sorted(families.items()), ("**all**", list(results))):
        left = sum(r.killer is None for r in found)
        yield f"| {family} | {len(found)} | {len(found) - left} | {left} |"


def _survivors(results: Iterable[Result], entries: Sequence[Known]) -> Iterator[str]:
    left = [r for r in results if r.killer is None]
    by_file: dict[str, list[tuple[Known, list[Result]]]] = defaultdict(list)
    for entry in entries:
        found = [r for r in left if entry.fits(r)]
        by_file[entry.path].append((entry, found))
    for path, known in sorted(by_file.items()):
        yield ""
        yield f"### `{path}`"
        for entry, found in sorted(known, key=lambda pair: pair[1][0].mutant.line):
            lines = ", ".join(str(n) for n in sorted({r.mutant.line for r in found}))
            changes = list(dict.fromkeys(r.becomes for r in found))
            yield ""
            yield f"Line {lines}: {entry.why}"
            yield ""
            yield "```diff"
            yield f"- {entry.was}"
            yield from (f"+ {change}" for change in changes)
            yield "```"
