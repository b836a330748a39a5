# SPDX-License-Identifier: Apache-2.0
"""The errors that this package raises: one class for each exit code.

The message of an error says what was found; its `help` says what to do next. The command line
turns the class into an exit code in one place, `provenance.cli.exits`. Library users catch
`ProvenanceError`.
"""

from __future__ import annotations

from typing import ClassVar


class ProvenanceError(Exception):
    """Base class of all errors that this package raises on purpose.

    Attributes:
        message: What was found, and where.
        help: What to do next, or None if the message already says it.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        if help is not None:
            self.add_note(help)  # shown below the message in a traceback


class InputError(ProvenanceError):
    """Usage or configuration is wrong, or a file cannot be read or written (exit code 2)."""

    exit_code = 2


class VerificationError(ProvenanceError):
    """Something was checked and found wrong (exit code 1)."""

    exit_code = 1


class UnavailableError(ProvenanceError):
    """The check could not be made: no signer, no trust, or no network (exit code 4)."""

    exit_code = 4
