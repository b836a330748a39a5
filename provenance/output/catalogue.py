# SPDX-License-Identifier: Apache-2.0
"""The catalogue of rules: as a list, as pages for a terminal and for docs/rules, and as JSON."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any, Final

from provenance.gate.rules import Rule
from provenance.output.text import Style

_SLUG: Final = 26
"""The width of a rule's name in the list, in columns."""

_LANGUAGE: Final = re.compile(r"^```\w+$", re.MULTILINE)


def text_of(rule: Rule) -> str:
    """Return the documentation of a rule, which is its docstring."""
    return inspect.cleandoc(rule.__doc__ or "")


def summary(rule: Rule) -> str:
    """Return the first line of a rule's documentation."""
    return text_of(rule).partition("\n")[0]


def section(rule: Rule, heading: str) -> str:
    """Return the section of a rule's documentation below `heading`."""
    return text_of(rule).partition(f"## {heading}\n")[2].partition("\n## ")[0].strip()


def family(rule: Rule) -> str:
    """Return the family of a rule: the name of its module or package in `gate.rules`."""
    return type(rule).__module__.partition(".rules.")[2].partition(".")[0]


def listing(rules: Iterable[Rule], style: Style) -> str:
    """Return a line for each rule, wrapped in a terminal. `*` marks rules that can be deferred."""
    lines = []
    for rule in rules:
        mark = "*" if rule.deferrable else " "
        kind = "" if rule.severity.value == "error" else f" ({rule.severity.value})"
        lead = f"{style.strong(rule.code)}{mark} {rule.slug:<{_SLUG}} "
        text = f"{summary(rule)}{kind}"
        shown = style.wrapped(text, len(rule.code) + _SLUG + 3) if style.colour else [text]
        lines += [lead + shown[0].lstrip(), *shown[1:]]
    lines += ["", "* can be deferred, with a reason. `provenance rules CODE` explains a rule."]
    return "\n".join(lines) + "\n"


def page(rule: Rule) -> str:
    """Return the page of a rule in Markdown, as in docs/rules/."""
    can = "can be deferred, with a reason" if rule.deferrable else "cannot be deferred"
    check = "" if rule.needs_trust else "`provenance check` and "
    title, _, body = text_of(rule).partition("\n")
    facts = f"Severity: {rule.severity.value}. It {can}. Checked by: {check}`provenance verify`."
    if rule.yields_to:
        facts += f" Yields to: {', '.join(rule.yields_to)}."
    return f"# {rule.code} {rule.slug}\n\n{title}\n\n{facts}\n{body.rstrip()}\n"


def page_for_terminal(rule: Rule, style: Style) -> str:
    """Return the page of a rule, rendered for a terminal, or as plain Markdown without colours."""
    if not style.colour:
        return page(rule)
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.theme import Theme

    # Use bold and the colours of the terminal: code with a background colour of its own would be a
    # black bar on a white terminal.
    theme = Theme({"markdown.h2": "bold", "markdown.code": "bold", "markdown.code_block": "none"})
    console = Console(force_terminal=True, width=min(style.width, 100), theme=theme)
    title, _, body = page(rule).removeprefix("# ").partition("\n")
    plain = _LANGUAGE.sub("```", body)
    with console.capture() as capture:
        console.print(Markdown(plain, code_theme="ansi_light"))
    return f"{style.strong(title)}\n\n{capture.get()}"


def as_json(rules: Iterable[Rule]) -> dict[str, Any]:
    """Return the catalogue as JSON, version 1."""
    return {
        "version": 1,
        "rules": [
            {
                "code": rule.code,
                "slug": rule.slug,
                "severity": rule.severity.value,
                "deferrable": rule.deferrable,
                "yields_to": list(rule.yields_to),
                "summary": summary(rule),
                "text": text_of(rule),
            }
            for rule in rules
        ],
    }
