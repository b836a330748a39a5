# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, one class per exit code.

Every error says what was found and, in `help`, what to do next. The command line turns the class
into an exit code in one place (`provenance.cli.exits`); library users catch `ProvenanceError`.
"""

from __future__ import annotations

from typing import ClassVar


class ProvenanceError(Exception):
    """Base of all errors that this package raises on purpose.

    Attributes:
        message: What was found and where.
        help: What to do next, or None where the message says it already.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help


class InputError(ProvenanceError):
    """Usage, configuration, or input that cannot be read or written (exit 2)."""

    exit_code = 2


class VerificationError(ProvenanceError):
    """Something was read, judged, and found wrong (exit 1)."""

    exit_code = 1


class UnavailableError(ProvenanceError):
    """The question could not be answered: no signer, no trust, no network (exit 4)."""

    exit_code = 4
