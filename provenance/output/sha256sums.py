# SPDX-License-Identifier: Apache-2.0
"""The digests of the verified files, in the format of `sha256sum`, for people.

They prove nothing on their own: anyone who can change a file can also change its digest. A failed
report yields no digests but a comment, which `sha256sum -c` refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provenance.gate.finding import Report, Verdict
from provenance.output.grouping import summary
from provenance.output.text import printable

_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}


def render(report: Report) -> str:
    """Return a line for each file of the release, or for each model file if there is no release."""
    if report.verdict is not Verdict.VERIFIED:
        return f"# {printable(summary(report))}\n"
    files = report.release.files if report.release is not None else ()
    return "".join(_line(path, sha256) for path, sha256 in sorted(files or _models(report)))


def _models(report: Report) -> Iterator[tuple[str, str]]:
    digests = {f.path: f.sha256 for row in report.rows for f in row.model_files}
    yield from ((path, sha256) for path, sha256 in digests.items() if sha256 is not None)


def _line(path: str, sha256: str) -> str:
    """Return a line in text mode. It begins with a backslash if the name is escaped."""
    escaped = "".join(_ESCAPES.get(c, c) for c in path)
    return f"{'' if escaped == path else chr(92)}{sha256}  {escaped}\n"
