# SPDX-License-Identifier: Apache-2.0
"""The command line. One file a command; each is imported only when it runs."""

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
"""New objects before the garbage collector looks at them. Python's 700 cost a short run 8 % of its
time: nearly all that a command makes is kept until it ends."""

COMMANDS: Final[Mapping[str, str]] = {
    "init": "Write the configuration for the registry in this repository.",
    "hash": "Print every model file's digest; with --write, fill in those that the rows lack.",
    "check": "Judge everything that can be judged before signing.",
    "promote": "Flip smoke to false, and only on complete evidence.",
    "restore": "Put back rows and fields that were lost since the baseline.",
    "keygen": "Make a key pair for signing.",
    "sign": "Sign each row: bytes, name, license and sidecar in one bundle.",
    "attest": "Attest ensemble seeds: how these bytes came to be.",
    "release": "Check, sign, attest, verify and summarise. All or nothing.",
    "layout": "Say who may do which step of a release, as a signed in-toto layout.",
    "verify": "Check, and judge signatures, signers and attestations.",
    "verify-model": "Verify a model as you have it: a file with its bundle.",
    "verify-release": "Verify a whole release by the one signature of its summary.",
    "verify-blob": "Verify the bytes of any file, by a bundle that any Sigstore client made.",
    "inspect": "Say in words what a bundle says.",
    "rules": "List the rules, or explain one.",
}
"""Short help texts, so that --help imports no command."""


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
    """The entry point of the command `provenance`."""
    gc.set_threshold(OBJECTS)
    run(group)
