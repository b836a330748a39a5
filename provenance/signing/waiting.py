# SPDX-License-Identifier: Apache-2.0
"""Time limits and messages for requests to services. Imports no HTTP client."""

from __future__ import annotations

import re
from typing import Final

THREADS: Final = 20
"""The number of documents that are signed at the same time.

Most of the time is spent waiting: a log answers only after its next checkpoint includes the entry.
"""

TIMEOUT: Final = 120.0
"""The time limit for signing one document, including all services and retries, in seconds."""

AGAIN: Final = "Try again later. Nothing was written, so a second run starts from the beginning."

_TOKEN: Final = re.compile(r"eyJ[\w-]*(?:\.[\w-]*)+")


class TransientError(Exception):
    """A service failed, but may succeed the next time. The message names the service."""


def redacted(text: str) -> str:
    """Return the text with everything that looks like a JSON Web Token removed."""
    return _TOKEN.sub("[token]", text)
