# SPDX-License-Identifier: Apache-2.0
"""How long services are waited for, and what is said of one that fails. Imports no HTTP client."""

from __future__ import annotations

import re
from typing import Final

THREADS: Final = 20
"""How many documents are signed at once. A log answers when its next checkpoint holds the entry: it
is waiting that is shared, not work."""

TIMEOUT: Final = 120.0
"""Seconds that one document may take, with every service and every attempt."""

AGAIN: Final = "Try again later: nothing was written, and a second run does the whole."

_TOKEN: Final = re.compile(r"eyJ[\w-]*(?:\.[\w-]*)+")


class TransientError(Exception):
    """A service failed, and may succeed the next time. The message says which, and how."""


def redacted(text: str) -> str:
    """Return the text without whatever looks like a JSON Web Token."""
    return _TOKEN.sub("[token]", text)
