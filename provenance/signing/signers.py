# SPDX-License-Identifier: Apache-2.0
"""Signers, and which one signs: a key that a URI names, or the identity of the user or workflow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from provenance.attestations.bundle import Bundle
from provenance.errors import InputError, UnavailableError
from provenance.signing import key_uris, services
from provenance.signing.key_uris import KEYLESS
from provenance.signing.schemes import Ask
from provenance.signing.services import Services
from provenance.signing.trust import Trust
from provenance.signing.trusted_root import Instance, TrustedRoot
from provenance.signing.waiting import TIMEOUT

_LOCAL: Final = "Sign with a local key: provenance keygen release, then --signer file:release.key "
_OTHERWISE: Final = (
    "(or set PROVENANCE_SIGNER).\n"
    "Or with an identity: --signer keyless, where the job may ask for an identity token, with "
    "--identity-token FILE, or at a terminal with a browser."
)


class StatementSigner(Protocol):
    """Signs in-toto statements."""

    @property
    def own(self) -> Trust:
        """Trust in this signer alone: what its signatures are judged by if no trust is configured.

        An identity is known only once it has signed.
        """

    def distrusted(self, declared: Trust) -> str | None:
        """Why `declared` does not trust this signer, None where it does, or who it is is not known.

        The answer names the signer: "the key release.key", "release@example.org".
        """

    def has_signed(self, bundle: Bundle, declared: Trust | None) -> bool:
        """Whether this signer made the valid signature in `bundle`, so that it need not sign again.

        An identity has a new key with each run. What one that `declared` trusts has signed counts
        as its own.
        """

    def sign(self, payloads: Sequence[bytes], signed: Callable[[], None]) -> list[bytes]:
        """Return a v0.3 bundle (JSON) for each of `payloads`: an in-toto statement in an envelope.

        `signed` is called after each. If one fails, nothing is returned.

        Raises:
            UnavailableError: If the signer, or a service that it depends on, fails.
        """


@runtime_checkable
class ArtifactSigner(Protocol):
    """Signs bare files too."""

    def sign_digest(self, sha256: str) -> bytes:
        """Return a v0.3 bundle (JSON) over the bytes that have this digest. Raises as `sign`."""


def open_signer(
    uri: str | None,
    *,
    public_key: Path | None = None,
    timestamp_urls: Sequence[str] = (),
    root: TrustedRoot | None = None,
    trust_config: Path | None = None,
    staging: bool = False,
    identity_token: Path | None = None,
    interactive: bool = False,
    ask: Ask | None = None,
    timeout: float | None = None,
) -> StatementSigner:
    """Return the signer that `uri` names, or that this environment has if it names none.

    Args:
        uri: Where an ECDSA P-256 private key is, as `provenance.signing.schemes` has it; or
            `keyless`. With None, keyless if there is an identity token.
        public_key: The public key of one that is not in a file.
        timestamp_urls: RFC 3161 timestamp authorities that are asked about each signature by a key.
        root: What they are judged by without `trust_config`; by default, the public instance's.
        trust_config: The client trust configuration of the Sigstore instance to sign with. Without
            one, keyless signs with the public instance, and a key with none. With one, its log and
            its timestamp authorities are asked about a key's signatures too.
        staging: Whether the public instance's staging is meant.
        identity_token: A file with the identity token. Without one, the environment is searched,
            and then the CI that this runs in is asked.
        interactive: Whether a person is there to log in with a browser.
        ask: Asks that person for a passphrase or PIN that the environment does not hold.
        timeout: Seconds that signing one document may take.

    Raises:
        InputError: If the scheme is unknown, or a file is not what it has to be.
        UnavailableError: If signer, identity token or instance is missing, or a key does not open.
    """
    patience = TIMEOUT if timeout is None else timeout
    if uri is None or uri == KEYLESS:
        if public_key is not None:
            raise InputError("--public-key goes with a key, and an identity signs with a new one")
        if timestamp_urls:
            raise InputError(
                "--timestamp-url goes with a key: an identity takes the timestamp authorities of "
                "its instance",
                help="Name the instance with --trust-config.",
            )
        return _keyless(uri, trust_config, staging, identity_token, interactive, patience)
    if identity_token is not None:
        raise InputError(f"--identity-token goes with --signer {KEYLESS}, not with {uri}")
    key = key_uris.open_key(uri, public_key, ask)
    from provenance.signing.key_signer import KeySigner

    return KeySigner(key, _services(timestamp_urls, root, trust_config, staging), patience)


def _services(
    timestamp_urls: Sequence[str],
    root: TrustedRoot | None,
    trust_config: Path | None,
    staging: bool,
) -> Services | None:
    """The services that are asked about a key's signatures; none by default."""
    urls = tuple(dict.fromkeys(services.checked_url(u) for u in timestamp_urls))
    if not (urls or trust_config or staging):
        return None
    if trust_config or staging:
        from provenance.signing.keyless import instance

        found = (
            instance.of_file(trust_config) if trust_config else instance.of_public(Instance.STAGING)
        )
        theirs = instance.timestamp_urls(found)
        return Services(
            found.root, tuple(dict.fromkeys((*theirs, *urls))), instance.log_service(found)
        )
    if root is None:
        from provenance.signing.keyless.instance import fetch_root

        root = fetch_root(Instance.PRODUCTION, offline=False)
    return Services(root, urls)


def _keyless(
    uri: str | None,
    trust_config: Path | None,
    staging: bool,
    identity_token: Path | None,
    interactive: bool,
    timeout: float,
) -> StatementSigner:
    from provenance.signing.keyless import instance, token

    named = token.of_file(identity_token) if identity_token else token.of_environment()
    tokens = named or token.of_ci()
    if tokens is None and uri is None:
        local = "Sign with the key here: --signer file:release.key "
        if not Path("release.key").exists():
            local = _LOCAL
        raise UnavailableError("no signer: nothing says who signs", help=local + _OTHERWISE)
    if tokens is None and not interactive:
        raise UnavailableError("no identity token: nobody says who signs", help=token.HELP)
    if named is not None:
        named()  # what cannot be used is said before anything is read
    public = Instance.STAGING if staging else Instance.PRODUCTION
    found = instance.of_file(trust_config) if trust_config else instance.of_public(public)
    if tokens is None:
        tokens = token.of_browser(found.config.signing_config.get_oidc_url())
    from provenance.signing.keyless.signer import KeylessSigner

    return KeylessSigner(found, tokens, timeout=timeout)
