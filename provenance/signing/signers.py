# SPDX-License-Identifier: Apache-2.0
"""Signers, and choosing one: a key named by a URI, or the identity of the user or workflow."""

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
    "Or sign with an identity: --signer keyless, in a CI job that can get an identity token, with "
    "--identity-token FILE, or in a terminal with a browser."
)


class StatementSigner(Protocol):
    """Signs in-toto statements."""

    @property
    def own(self) -> Trust:
        """Trust in this signer alone, used to verify its signatures if no trust is configured.

        An identity is known only after it has signed.
        """

    def distrusted(self, declared: Trust) -> str | None:
        """Return the reason why `declared` does not trust this signer, or None.

        The reason names the signer, such as "the key release.key". It is also None if an identity
        has not signed yet and is therefore unknown.
        """

    def has_signed(self, bundle: Bundle, declared: Trust | None) -> bool:
        """Return whether this signer made the valid signature in `bundle` and need not sign again.

        An identity has a new key in every run, so a signature of any identity that `declared`
        trusts counts as its own.
        """

    def sign(self, payloads: Sequence[bytes], signed: Callable[[], None]) -> list[bytes]:
        """Sign in-toto statements, and return a v0.3 bundle (JSON) for each.

        `signed` is called after each signature. If one fails, nothing is returned.

        Raises:
            UnavailableError: If the signer, or a service that it depends on, fails.
        """


@runtime_checkable
class ArtifactSigner(Protocol):
    """Also signs files without a statement."""

    def sign_digest(self, sha256: str) -> bytes:
        """Sign a file with this digest, and return a v0.3 bundle (JSON).

        Raises:
            UnavailableError: As `sign`.
        """


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
    """Return the signer that `uri` names, or the one that the environment offers.

    Args:
        uri: The URI of an ECDSA P-256 private key (see `provenance.signing.schemes`), or
            `keyless`. None means keyless, if there is an identity token.
        public_key: The public key, if the private key is in a token or KMS.
        timestamp_urls: RFC 3161 timestamp authorities for the signatures of a key.
        root: The trusted root that verifies the timestamps, unless `trust_config` is given. By
            default, that of the public instance.
        trust_config: The client trust configuration of the Sigstore instance to sign with. Without
            one, keyless signs with the public instance, and a key with no instance. With one, the
            signatures of a key also get an entry of its log and its timestamps.
        staging: Whether to sign with the staging instance instead of the public one.
        identity_token: A file with the identity token. Without one, the token is taken from the
            environment, or else requested from the CI service.
        interactive: Whether the user can log in with a browser.
        ask: Asks the user for a passphrase or PIN that is not in the environment.
        timeout: The time limit for signing one document, in seconds.

    Raises:
        InputError: If the scheme is unknown, or a file is not valid.
        UnavailableError: If the signer, the identity token or the instance is missing, or the key
            cannot be opened.
    """
    patience = TIMEOUT if timeout is None else timeout
    if uri is None or uri == KEYLESS:
        if public_key is not None:
            raise InputError(
                "--public-key cannot be used with keyless signing, which makes a new key for each "
                "run"
            )
        if timestamp_urls:
            raise InputError(
                "--timestamp-url cannot be used with keyless signing, which uses the timestamp "
                "authorities of its instance",
                help="Name the instance with --trust-config.",
            )
        return _keyless(uri, trust_config, staging, identity_token, interactive, patience)
    if identity_token is not None:
        raise InputError(f"--identity-token needs --signer {KEYLESS}, found --signer {uri}")
    key = key_uris.open_key(uri, public_key, ask)
    from provenance.signing.key_signer import KeySigner

    return KeySigner(key, _services(timestamp_urls, root, trust_config, staging), patience)


def _services(
    timestamp_urls: Sequence[str],
    root: TrustedRoot | None,
    trust_config: Path | None,
    staging: bool,
) -> Services | None:
    """Return the services for the signatures of a key, or None if none are configured."""
    urls = tuple(dict.fromkeys(services.checked_url(u) for u in timestamp_urls))
    if not (urls or trust_config or staging):
        return None
    if trust_config or staging:
        from provenance.signing.keyless import instance

        chosen = (
            instance.of_file(trust_config) if trust_config else instance.of_public(Instance.STAGING)
        )
        all_urls = tuple(dict.fromkeys((*instance.timestamp_urls(chosen), *urls)))
        return Services(chosen.root, all_urls, instance.log_service(chosen))
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
        local = "Sign with the key in this folder: --signer file:release.key "
        if not Path("release.key").exists():
            local = _LOCAL
        raise UnavailableError("no signer configured", help=local + _OTHERWISE)
    if tokens is None and not interactive:
        raise UnavailableError("no identity token for keyless signing", help=token.HELP)
    if named is not None:
        named()  # report an unusable token before anything else is read
    public = Instance.STAGING if staging else Instance.PRODUCTION
    chosen = instance.of_file(trust_config) if trust_config else instance.of_public(public)
    if tokens is None:
        tokens = token.of_browser(chosen.config.signing_config.get_oidc_url())
    from provenance.signing.keyless.signer import KeylessSigner

    return KeylessSigner(chosen, tokens, timeout=timeout)
