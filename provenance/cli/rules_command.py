# SPDX-License-Identifier: Apache-2.0
"""`provenance rules`."""

from __future__ import annotations

import click

from provenance.cli.options import Session, common
from provenance.errors import InputError


@click.command(
    "rules",
    epilog="\b\nExamples:\n  provenance rules\n  provenance rules SID\n  provenance rules SID402",
)
@click.argument("code", required=False)
@common
def command(session: Session, code: str | None) -> int:
    """List the rules, or explain one.

    CODE is the code or the name of a rule, or the letters of a family, such as SID.
    """
    from provenance.gate.rules import BY_CODE, CATALOGUE
    from provenance.output import catalogue

    if code is None:
        chosen = CATALOGUE
    elif code.upper() in BY_CODE:
        chosen = (BY_CODE[code.upper()],)
    elif family := tuple(rule for rule in CATALOGUE if rule.code[:-3] == code.upper()):
        chosen = family
    else:
        slugs = {rule.slug: rule for rule in CATALOGUE}
        if code not in slugs:
            import difflib

            near = difflib.get_close_matches(code, [*BY_CODE, *slugs], 1)
            raise InputError(
                f"no rule {code!r}",
                help=f"Did you mean {near[0]}?" if near else "provenance rules lists all rules.",
            )
        chosen = (slugs[code],)
    one = code is not None and len(chosen) == 1
    session.emit(
        chosen,
        lambda rules, style: (
            catalogue.page_for_terminal(rules[0], style) if one else catalogue.listing(rules, style)
        ),
        catalogue.as_json,
    )
    return 0
