# SPDX-License-Identifier: Apache-2.0
"""The digests of what was verified, in the format of `sha256sum`, for people.

They prove nothing on their own: whoever can change a file can change them too. A report that has
failed has none, and `sha256sum -c` refuses what is then written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provenance.gate.finding import Report, Verdict
from provenance.output.grouping import summary
from provenance.output.text import printable

_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}


def render(report: Report) -> str:
    """A line a file: of the whole release where its summary is known, else of the models."""
    if report.verdict is not Verdict.VERIFIED:
        return f"# {printable(summary(report))}\n"
    files = report.release.files if report.release is not None else ()
    return "".join(_line(path, sha256) for path, sha256 in sorted(files or _models(report)))


def _models(report: Report) -> Iterator[tuple[str, str]]:
    found = {f.path: f.sha256 for row in report.rows for f in row.model_files}
    yield from ((path, sha256) for path, sha256 in found.items() if sha256 is not None)


def _line(path: str, sha256: str) -> str:
    """A line of text mode. One that begins with a backslash has a name that is escaped."""
    escaped = "".join(_ESCAPES.get(c, c) for c in path)
    return f"{'' if escaped == path else chr(92)}{sha256}  {escaped}\n"
