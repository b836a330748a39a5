# SPDX-License-Identifier: Apache-2.0
"""The one place where exceptions become exit codes.

0 verified, 1 findings, 2 usage, configuration or unreadable input, 3 nothing to verify,
4 could not verify. An internal error exits with 2: the run has no verdict, so neither 0 nor 1 would
be right.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from typing import Final, NoReturn

import click

from provenance.cli import streams
from provenance.errors import ProvenanceError

USAGE: Final = 2
REPORT: Final = "There is no verdict. This is a bug in provenance: please report it."
INTERRUPTED: Final = 130


def run(command: click.Command) -> NoReturn:
    """Run the command line and exit."""
    streams.prepare()
    logging.getLogger("provenance").addHandler(_Notes())
    try:
        code = command.main(standalone_mode=False, prog_name="provenance")
        sys.stdout.flush()
    except click.ClickException as e:
        _say_usage(e)
        sys.exit(USAGE)
    except ProvenanceError as e:
        _say(e.message, e.help)
        sys.exit(e.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted", None)
        sys.exit(INTERRUPTED)
    except MemoryError:
        _say("not enough memory", "Run the command with more free memory.")
        sys.exit(USAGE)
    except OSError as e:
        _say(f"{e.filename or 'input/output'}: {e.strerror or e}", None)
        sys.exit(USAGE)
    except Exception as e:  # a bug of ours; exit code 1 would mean that findings were reported
        streams.narrate(traceback.format_exc().rstrip("\n"))
        _say(f"internal error: {type(e).__name__}: {e}"[:400], REPORT)
        sys.exit(USAGE)
    sys.exit(code if isinstance(code, int) else 0)


class _Notes(logging.Handler):
    """A log handler that prints the messages of the library as notes on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        streams.narrate(record.getMessage(), label="note: ")


def _say_usage(error: click.ClickException) -> None:
    """Print a usage error. Click itself would print the arguments without escaping them."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        streams.narrate(error.format_message())
        return
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        streams.narrate(context.get_usage())
    _say(error.format_message(), f"{context.command_path} --help" if context else None)


def _say(message: str, help: str | None) -> None:
    off = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or "--no-color" in sys.argv
    colour = sys.stderr.isatty() and not off
    label = click.style("error:", fg="red", bold=True) if colour else "error:"
    streams.narrate(message.replace("\n", "\\u000a"), label=f"{label} ")
    for line in help.splitlines() if help else ():
        streams.narrate(line, label="  next: ")
