# SPDX-License-Identifier: Apache-2.0
"""Which signer signs: a key that a URI names, or the identity of whoever runs this."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from provenance.errors import InputError, UnavailableError
from provenance.signing import key_signer
from provenance.signing.roots import Instance
from provenance.signing.signer import StatementSigner

KEYLESS: Final = "keyless"
HELP: Final = (
    "Sign with a local key: provenance keygen release, then --signer file:release.key "
    "(or set PROVENANCE_SIGNER).\n"
    "Or with an identity: --signer keyless, where the job may ask for an identity token, with "
    "--identity-token FILE, or at a terminal with a browser."
)


def open_signer(
    uri: str | None,
    *,
    trust_config: Path | None = None,
    staging: bool = False,
    identity_token: Path | None = None,
    interactive: bool = False,
    timeout: float | None = None,
) -> StatementSigner:
    """The signer that `uri` names, or that this environment has where it names none.

    Args:
        uri: `file:PATH`, an ECDSA P-256 private key in PEM; or `keyless`. With None, keyless where
            there is an identity token.
        trust_config: The client trust configuration of the Sigstore instance to sign with. Without
            one, the public instance.
        staging: Whether the public instance's staging is meant.
        identity_token: A file with the identity token. Without one, it is looked for in the
            environment, and then the CI that this runs in is asked.
        interactive: Whether a person is there to log in with a browser.
        timeout: Seconds that signing one document may take.

    Raises:
        InputError: The scheme is unknown, or a file that was named is not what it has to be.
        UnavailableError: There is no signer, no identity token, or no instance.
    """
    if uri is not None and uri != KEYLESS:
        if identity_token is not None:
            raise InputError(f"--identity-token goes with --signer {KEYLESS}, not with {uri}")
        return key_signer.open_signer(uri)
    from provenance.signing.keyless import instance, token
    from provenance.signing.uploads import TIMEOUT

    named = token.of_file(identity_token) if identity_token else token.of_environment()
    tokens = named or token.of_ci()
    if tokens is None and uri is None:
        raise UnavailableError("no signer: nothing says who signs", help=HELP)
    if tokens is None and not interactive:
        raise UnavailableError("no identity token: nobody says who signs", help=token.HELP)
    if named is not None:
        named()  # what cannot be used is said before anything is read
    public = Instance.STAGING if staging else Instance.PRODUCTION
    found = instance.of_file(trust_config) if trust_config else instance.of_public(public)
    if tokens is None:
        tokens = token.of_browser(found.config.signing_config.get_oidc_url())
    from provenance.signing.keyless.signer import KeylessSigner

    return KeylessSigner(found, tokens, timeout=TIMEOUT if timeout is None else timeout)
