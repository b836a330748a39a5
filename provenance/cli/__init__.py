# SPDX-License-Identifier: Apache-2.0
"""The command line. Each command has a file of its own, which is imported only when it runs."""

from __future__ import annotations

import gc
import importlib
import os
from collections.abc import Mapping
from typing import Final

import click

from provenance.cli.exits import run
from provenance.version import __version__

OBJECTS: Final = 20_000
"""The number of new objects after which the garbage collector runs.

Python's default of 700 costs a short run 8 % of its time and gains nothing: a command keeps nearly
all of its objects until it ends.
"""

COMMANDS: Final[Mapping[str, str]] = {
    "init": "Write the configuration for the registry in this repository.",
    "add": "Add a row for each model, or bring its row up to date.",
    "remove": "Remove a row, and withdraw its models.",
    "list": "List the rows: file, size, license, state, who signed them, and when.",
    "hash": "Print the digest of every model file, and add missing ones to the rows.",
    "check": "Check everything that can be checked before signing.",
    "promote": "Set smoke to false on rows whose evidence is complete.",
    "restore": "Restore rows and fields that were lost since the baseline.",
    "keygen": "Generate a key pair for signing.",
    "sign": "Sign each row: files, name, license and sidecar in one bundle.",
    "attest": "Attest how the members of an ensemble were trained.",
    "release": "Check, sign, attest, verify and summarize. All or nothing.",
    "layout": "Sign an in-toto layout: who may perform which step of a release.",
    "verify": "Run all checks, and verify signatures, signers and attestations.",
    "verify-model": "Verify a model file that you have, with its bundle.",
    "verify-release": "Verify a whole release through its signed summary.",
    "verify-blob": "Verify any file, with a bundle from any Sigstore client.",
    "inspect": "Print what a bundle contains, without verifying it.",
    "rules": "List the rules, or explain one.",
}
"""The short help texts. They are kept here so that --help does not import the commands."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"provenance.cli.{cmd_name.replace('-', '_')}_command")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 verified, 1 findings, 2 usage or unreadable input, 3 nothing to verify, "
    "4 could not verify.",
)
@click.version_option(__version__, "-V", "--version", message="provenance %(version)s")
@click.option(
    "-C",
    "folder",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="Run as if started in DIR.",
)
def group(folder: str | None) -> None:
    """Sign, attest and verify the models of an ONNX registry.

    Start with `provenance init`, then `provenance check`.
    """
    if folder is not None:
        os.chdir(folder)


def main() -> None:
    """Run the command `provenance`. This is its entry point."""
    gc.set_threshold(OBJECTS)
    run(group)
