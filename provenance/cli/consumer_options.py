# SPDX-License-Identifier: Apache-2.0
"""The options with which a consumer names the signers that it trusts, and its requirements."""

from __future__ import annotations

import datetime
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from provenance.cli.options import Session, cores, with_options
from provenance.errors import InputError
from provenance.gate.requirements import NAMES, Require

F = TypeVar("F", bound=Callable[..., Any])

MAX_DAYS: Final = 36_500
_DAYS: Final = re.compile(r"(\d{1,5})d", re.ASCII)

PREDICATE_TYPES: Final = click.option(
    "--predicate-type",
    "predicate_types",
    multiple=True,
    metavar="URI",
    help="Accept statements of this type about the file. Default: SLSA provenance.",
)
_TRUST: Final = (
    click.option(
        "--key",
        "keys",
        multiple=True,
        metavar="PEM",
        help="Trust this public key. May be repeated.",
    ),
    click.option(
        "--trust",
        "trust_file",
        metavar="FILE",
        help="Trust the keys and identities in this TOML file.",
    ),
    click.option(
        "--identity",
        metavar="SUBJECT",
        help="Trust the certificate subject with exactly this name: an e-mail address or a URI.",
    ),
    click.option(
        "--issuer",
        metavar="URL",
        help="The issuer that must have vouched for the identity. Required with --identity.",
    ),
    click.option(
        "--repo",
        metavar="OWNER/NAME",
        help="Trust the workflows of this GitHub repository.",
    ),
    click.option(
        "--workflow",
        metavar="FILE",
        help="With --repo: trust only this workflow, such as release.yml.",
    ),
    click.option(
        "--ref",
        metavar="REF",
        help="With --repo: trust only runs for this ref, such as 'refs/tags/v*'.",
    ),
    click.option(
        "--trusted-root",
        "--trust-config",
        "root",
        metavar="FILE",
        help="Verify certificates, logs and timestamps with this trusted root, or with the one in "
        "this client trust configuration. Default: the root named in the trust, or that of the "
        "public Sigstore instance, updated unless --offline is given.",
    ),
    click.option("--staging", is_flag=True, help="Use the trusted root of sigstage.dev."),
)
_REQUIREMENTS: Final = (
    click.option(
        "--require",
        "demands",
        multiple=True,
        metavar="NAME,...",
        help=f"Refuse models that lack one of these: {', '.join(NAMES)}. May be repeated.",
    ),
    click.option(
        "--license-allow",
        "licenses",
        multiple=True,
        metavar="SPDX,...",
        help="Refuse models under any other license. May be repeated.",
    ),
    click.option(
        "--max-age",
        metavar="DAYSd",
        help="Refuse a release whose summary is older than this, such as 90d.",
    ),
    click.option(
        "--state",
        metavar="FILE",
        help="Refuse a release that is older than the last one verified with this FILE.",
    ),
    click.option(
        "--resource-uri",
        metavar="URI",
        help="Refuse a release summary that is not of this project.",
    ),
)


def trusting(function: F) -> F:
    """Add the trust options to a command. Goes below the decorator that opens the session.

    The command receives its own parameters and `verifier`. That function makes a `Verifier` from
    all other parameters, or `VerifyOptions` if the command needs no trust and the user gave none.
    """
    own = inspect.signature(function).parameters

    @functools.wraps(function)
    def command(session: Session, **given: Any) -> Any:
        others = {name: given.pop(name) for name in given.keys() - own.keys()}
        return function(session, verifier=functools.partial(_verifier, session, others), **given)

    return with_options(*_TRUST)(command)  # type: ignore[return-value]


def requiring(function: F) -> F:
    """Add the trust options and the requirement options to a command."""
    return trusting(with_options(*_REQUIREMENTS)(function))


def _verifier(
    session: Session,
    given: Mapping[str, Any],
    *,
    needs_trust: bool = True,
    signers: Callable[[Session], str | None] = lambda _: None,
) -> Any:
    """Return the `Verifier`, or the `VerifyOptions`, that the options describe.

    `signers` returns who signed, without a verdict, for the message that no signer is trusted yet.

    Raises:
        UsageError: If options contradict each other, or trust is missing.
        InputError: If a file that an option names cannot be read.
    """
    from provenance.signing import trusted_root

    root, state, types = given["root"], given.get("state"), given.get("predicate_types")
    if root and given["staging"]:
        raise click.UsageError("--trusted-root and --staging cannot be used together")
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
        raise InputError(
            "no trusted signer: give --repo OWNER/NAME, --key PEM, --identity and --issuer, or "
            "--trust FILE (trust is never read from the files that are verified)",
            help=signers(session),
        )
    from provenance.operations.verify_options import VerifyOptions

    return VerifyOptions(**options)


def _trust(session: Session, given: Mapping[str, Any]) -> Any:
    from provenance.config import trust_from_file, trust_from_options, workflow_of
    from provenance.signing.trust import TrustedIdentity

    keys, identity, issuer = given["keys"], given["identity"], given["issuer"]
    repo = given["repo"]
    if bool(identity) != bool(issuer):
        raise click.UsageError(
            "--identity and --issuer must be given together: an identity is trusted only if the "
            "right issuer vouches for it"
        )
    if given["trust_file"]:
        if keys or identity or repo:
            raise click.UsageError("--trust cannot be used with --key, --identity or --repo")
        return trust_from_file(session.path(given["trust_file"]))
    if (given["workflow"] or given["ref"]) and not repo:
        raise click.UsageError("--workflow and --ref need --repo")
    if not keys and not identity and not repo:
        return None
    trusted = TrustedIdentity(issuer, identity) if identity and issuer else None
    workflow = workflow_of(repo, given["workflow"], given["ref"]) if repo else None
    return trust_from_options([session.path(k) for k in keys], trusted, workflow)


def required(demands: tuple[str, ...], licenses: tuple[str, ...], max_age: str | None) -> Require:
    """Return the requirements that the options describe.

    Raises:
        UsageError: If a requirement or an age is not valid.
        InputError: If a license is not valid.
    """
    names = _words(demands)
    for name in names:
        if name not in NAMES:
            import difflib

            near = difflib.get_close_matches(name, NAMES, 1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(NAMES)}"
            raise click.UsageError(f"--require: unknown requirement {name!r}; {hint}")
    fields: dict[str, bool] = {NAMES[name]: True for name in names}
    return Require(**fields, licenses=_words(licenses), max_age=_days(max_age))


def _days(given: str | None) -> datetime.timedelta | None:
    if given is None:
        return None
    match = _DAYS.fullmatch(given)
    days = int(match[1]) if match else 0
    if not 0 < days <= MAX_DAYS:
        raise click.UsageError(
            f"--max-age: expected a number of days from 1d to {MAX_DAYS}d, such as 90d; "
            f"found {given!r}"
        )
    return datetime.timedelta(days=days)


def _words(given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the values of a repeatable option whose values may be separated by commas."""
    return tuple(dict.fromkeys(w.strip() for value in given for w in value.split(",")))
