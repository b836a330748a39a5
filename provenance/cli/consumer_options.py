# SPDX-License-Identifier: Apache-2.0
"""The options by which a consumer says whom it trusts and what it requires, in one place."""

from __future__ import annotations

import datetime
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from provenance.cli.options import Session, cores, with_options
from provenance.gate.requirements import NAMES, Require

F = TypeVar("F", bound=Callable[..., Any])

MAX_DAYS: Final = 36_500
_DAYS: Final = re.compile(r"(\d{1,5})d", re.ASCII)

PREDICATE_TYPES: Final = click.option(
    "--predicate-type",
    "predicate_types",
    multiple=True,
    metavar="URI",
    help="Accept a statement of this type about the file. By default, SLSA provenance.",
)
_TRUST: Final = (
    click.option(
        "--key",
        "keys",
        multiple=True,
        metavar="PEM",
        help="Trust this public key. May be repeated.",
    ),
    click.option("--trust", "trust_file", metavar="FILE", help="Trust what this TOML file says."),
    click.option(
        "--identity",
        metavar="SUBJECT",
        help="Trust this very subject of a certificate: an e-mail address or a URI.",
    ),
    click.option("--issuer", metavar="URL", help="Who has to vouch for it. Goes with --identity."),
    click.option(
        "--trusted-root",
        "--trust-config",
        "root",
        metavar="FILE",
        help="Judge certificates, logs and timestamps by this trusted root, or by the one in this "
        "client trust configuration. By default by that of the trust, or of the public Sigstore "
        "instance, refreshed unless --offline.",
    ),
    click.option("--staging", is_flag=True, help="Judge them by the root of sigstage.dev."),
)
_REQUIREMENTS: Final = (
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
        "--state",
        metavar="FILE",
        help="Refuse a release that is older than the last one that verified with this FILE.",
    ),
    click.option(
        "--resource-uri",
        metavar="URI",
        help="The project that the release summary has to be of.",
    ),
)


def trusting(function: F) -> F:
    """Add the options of trust; it stands below the decorator that opens the session.

    The command receives its own parameters, and `verifier`: a function that makes a `Verifier` of
    all others, or the `VerifyOptions` if no trust is given and none is needed.
    """
    own = inspect.signature(function).parameters

    @functools.wraps(function)
    def command(session: Session, **given: Any) -> Any:
        others = {name: given.pop(name) for name in given.keys() - own.keys()}
        return function(session, verifier=functools.partial(_verifier, session, others), **given)

    return with_options(*_TRUST)(command)  # type: ignore[return-value]


def requiring(function: F) -> F:
    """Add the options of requirements to those of trust."""
    return trusting(with_options(*_REQUIREMENTS)(function))


def _verifier(session: Session, given: Mapping[str, Any], *, needs_trust: bool = True) -> Any:
    """What is verified with. Raises UsageError and InputError."""
    from provenance.signing import trusted_root

    root, state, types = given["root"], given.get("state"), given.get("predicate_types")
    if root and given["staging"]:
        raise click.UsageError("give --trusted-root or --staging, not both")
    options: dict[str, Any] = {
        "require": required(
            given.get("demands", ()), given.get("licenses", ()), given.get("max_age")
        ),
        "root": trusted_root.of_file(session.path(root)) if root else None,
        "instance": trusted_root.Instance.STAGING if given["staging"] else None,
        "offline": session.offline,
        "state": session.path(state) if state else None,
        "resource_uri": given.get("resource_uri"),
        "processes": cores(),
        **({"predicate_types": types} if types else {}),
    }
    trust = _trust(session, given)
    if trust is not None:
        from provenance.consumer.verifier import Verifier

        return Verifier(trust, **options)
    if needs_trust:
        raise click.UsageError(
            "whose signature counts? Give --key PEM, --identity and --issuer, or --trust FILE: "
            "trust never comes from the files that are verified"
        )
    from provenance.operations.verify_options import VerifyOptions

    return VerifyOptions(**options)


def _trust(session: Session, given: Mapping[str, Any]) -> Any:
    from provenance.config import trust_from_file, trust_from_options
    from provenance.signing.trust import TrustedIdentity

    keys, identity, issuer = given["keys"], given["identity"], given["issuer"]
    if bool(identity) != bool(issuer):
        raise click.UsageError(
            "--identity and --issuer go together: a subject counts only with who vouches for it"
        )
    if given["trust_file"]:
        if keys or identity:
            raise click.UsageError("give --key and --identity, or --trust, not both")
        return trust_from_file(session.path(given["trust_file"]))
    if not keys and not identity:
        return None
    found = TrustedIdentity(issuer, identity) if identity and issuer else None
    return trust_from_options([session.path(k) for k in keys], found)


def required(demands: tuple[str, ...], licenses: tuple[str, ...], max_age: str | None) -> Require:
    """Return what is required. Raises UsageError and InputError."""
    names = _words(demands)
    for name in names:
        if name not in NAMES:
            import difflib

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
