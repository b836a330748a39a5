# SPDX-License-Identifier: Apache-2.0
"""What makes a finding the same in two runs, whatever else was edited in between."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from provenance.gate.finding import Finding

_CHANGES: Final = re.compile(
    r"\b[0-9a-f]{12}…|\b[0-9a-f]{64}\b"  # digests
    r"|(?<![\w.])[0-9][0-9,]*(?![\w])"  # lines, sizes, numbers of rows
)


def fingerprints(findings: Iterable[Finding]) -> list[str]:
    """A hex digest for each finding, all different: of rule, subject, files and message.

    Lines, and what in the message changes with the bytes, are left out.
    """
    seen: Counter[str] = Counter()
    made = []
    for finding in findings:
        said = _CHANGES.sub("", finding.message)
        parts = [finding.code, finding.row, finding.ensemble, finding.path, finding.about, said]
        key = json.dumps(parts)
        made.append(hashlib.sha256(f"{key}{seen[key]}".encode()).hexdigest())
        seen[key] += 1
    return made
