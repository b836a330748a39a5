# SPDX-License-Identifier: Apache-2.0
"""The catalogue of rules: a list, a page for a terminal, a page for docs/rules, JSON."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any, Final

from provenance.gate.rules import Rule
from provenance.output.text import Style

_SLUG: Final = 26
"""Columns of a rule's name in the list."""

_LANGUAGE: Final = re.compile(r"^```\w+$", re.MULTILINE)


def text_of(rule: Rule) -> str:
    """A rule's documentation: its docstring."""
    return inspect.cleandoc(rule.__doc__ or "")


def summary(rule: Rule) -> str:
    """A rule's documentation in a sentence."""
    return text_of(rule).partition("\n")[0]


def section(rule: Rule, heading: str) -> str:
    """The text of a rule's documentation below `heading`."""
    return text_of(rule).partition(f"## {heading}\n")[2].partition("\n## ")[0].strip()


def family(rule: Rule) -> str:
    """The family of a rule, in a word: the name of its module or package in `gate.rules`."""
    return type(rule).__module__.partition(".rules.")[2].partition(".")[0]


def listing(rules: Iterable[Rule], style: Style) -> str:
    """A line a rule, for a narrow terminal several; `*` marks what a deferral can cover."""
    lines = []
    for rule in rules:
        mark = "*" if rule.deferrable else " "
        kind = "" if rule.severity.value == "error" else f" ({rule.severity.value})"
        lead = f"{style.strong(rule.code)}{mark} {rule.slug:<{_SLUG}} "
        text = f"{summary(rule)}{kind}"
        shown = style.wrapped(text, len(rule.code) + _SLUG + 3) if style.colour else [text]
        lines += [lead + shown[0].lstrip(), *shown[1:]]
    lines += ["", "* can be deferred, with a reason. `provenance rules CODE` explains one."]
    return "\n".join(lines) + "\n"


def page(rule: Rule) -> str:
    """The page of a rule in Markdown, as in docs/rules/."""
    can = "can be deferred, with a reason" if rule.deferrable else "cannot be deferred"
    check = "" if rule.needs_trust else "`provenance check` and "
    title, _, body = text_of(rule).partition("\n")
    facts = f"Severity: {rule.severity.value}. It {can}. Judged by: {check}`provenance verify`."
    if rule.yields_to:
        facts += f" Yields to: {', '.join(rule.yields_to)}."
    return f"# {rule.code} {rule.slug}\n\n{title}\n\n{facts}\n{body.rstrip()}\n"


def page_for_terminal(rule: Rule, style: Style) -> str:
    """The page of a rule, rendered for a terminal or as plain Markdown for a pipe."""
    if not style.colour:
        return page(rule)
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.theme import Theme

    # Bold and the terminal's own colours: code on a ground of its own is a black bar on white.
    theme = Theme({"markdown.h2": "bold", "markdown.code": "bold", "markdown.code_block": "none"})
    console = Console(force_terminal=True, width=min(style.width, 100), theme=theme)
    title, _, body = page(rule).removeprefix("# ").partition("\n")
    plain = _LANGUAGE.sub("```", body)
    with console.capture() as capture:
        console.print(Markdown(plain, code_theme="ansi_light"))
    return f"{style.strong(title)}\n\n{capture.get()}"


def as_json(rules: Iterable[Rule]) -> dict[str, Any]:
    """The catalogue, version 1."""
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
