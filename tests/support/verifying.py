# SPDX-License-Identifier: Apache-2.0
"""What a `Verifier` says, in one call: options of it and arguments of its method together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from provenance import Report, Trust, Verifier


def verify_model(path: Path, trust: Trust, **given: Any) -> Report:
    named = {name: given.pop(name) for name in ("bundle", "summary") if name in given}
    return Verifier(trust, **given).model(path, **named)


def verify_release(path: Path, summary: Path, trust: Trust, **given: Any) -> Report:
    return Verifier(trust, **given).release(path, summary=summary)


def verify_blob(blob: Path | str, trust: Trust, *, bundle: Path, **given: Any) -> Report:
    return Verifier(trust, **given).blob(blob, bundle)
