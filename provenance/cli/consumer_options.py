# SPDX-License-Identifier: Apache-2.0
"""The options by which a consumer says what it requires before it uses a model."""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from provenance.gate.requirements import NAMES, Require

F = TypeVar("F", bound=Callable[..., Any])

MAX_DAYS: Final = 36_500
_DAYS: Final = re.compile(r"(\d{1,5})d", re.ASCII)


def consumer_options(function: F) -> F:
    """Add the options of a consumer's requirements, and of the release that they are about."""
    options: tuple[Callable[[F], F], ...] = (
        click.option(
            "--require",
            "demands",
            multiple=True,
            metavar="NAME,...",
            help=f"Refuse what does not have it: {', '.join(NAMES)}. May be repeated.",
        ),
        click.option(
            "--license-allow",
            "licenses",
            multiple=True,
            metavar="SPDX,...",
            help="Refuse what is not under one of these licenses. May be repeated.",
        ),
        click.option(
            "--max-age",
            metavar="DAYSd",
            help="Refuse a release whose summary is older than that: 90d.",
        ),
        click.option(
            "--summary",
            metavar="FILE",
            help="With FILE.onnx: the release summary that has to hold it. Where one is needed, by "
            "default the one beside the bundle or the model. With REGISTRY.json: the summary that "
            "the whole release is verified by.",
        ),
        click.option(
            "--state",
            metavar="FILE",
            help="Refuse a release that is older than the last one that verified with this FILE.",
        ),
        click.option(
            "--resource-uri",
            metavar="URI",
            help="The project that the release summary has to be of. By default, in a registry, "
            "that of the configuration or the git remote.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def required(demands: tuple[str, ...], licenses: tuple[str, ...], max_age: str | None) -> Require:
    """What is required, as the journeys take it. Raises UsageError and InputError."""
    names = _words(demands)
    for name in names:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, 1)
            hint = f"did you mean {near[0]}?" if near else f"it is one of {', '.join(NAMES)}"
            raise click.UsageError(f"--require: nothing is called {name!r}; {hint}")
    fields: dict[str, bool] = {NAMES[name]: True for name in names}
    return Require(**fields, licenses=_words(licenses), max_age=_days(max_age))


def _days(given: str | None) -> datetime.timedelta | None:
    if given is None:
        return None
    match = _DAYS.fullmatch(given)
    days = int(match[1]) if match else 0
    if not 0 < days <= MAX_DAYS:
        raise click.UsageError(f"--max-age: {given!r} is no number of days, such as 90d")
    return datetime.timedelta(days=days)


def _words(given: tuple[str, ...]) -> tuple[str, ...]:
    """What is given in several options, in each between commas."""
    return tuple(dict.fromkeys(w.strip() for value in given for w in value.split(",")))
