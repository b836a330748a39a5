# SPDX-License-Identifier: Apache-2.0
"""The trust that a consumer names: in a file, or as keys and an identity."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from provenance.artifacts.documents.toml_tables import Table
from provenance.attestations import recognition
from provenance.config.loading import parse_toml, read_text
from provenance.errors import InputError
from provenance.signing import pem, trust_table, trusted_root
from provenance.signing.trust import Trust, TrustedIdentity, TrustedKey


def trust_from_file(path: Path) -> Trust:
    """Return the trust in a TOML file. Paths in it are relative to the folder of the file.

    Raises:
        InputError: If the file is not valid, trusts no signer, or names a key that cannot be read.
    """
    text = read_text(path)
    named = recognition.name_of(text.encode("utf-8"))
    if named is not None:
        options = {recognition.TRUSTED_ROOT: "--trusted-root", recognition.BUNDLE: "--bundle"}
        options |= {recognition.PUBLIC_KEY: "--key", recognition.CLIENT_CONFIG: "--trusted-root"}
        option, help = options.get(named), trust_table.EXAMPLE
        if option is not None:
            help = f"Give it with {option}: {option} {shlex.quote(str(path))}"
        elif named == recognition.PRIVATE_KEY:
            help = "Keep it secret. Trust the public key of the pair: --key PUBLIC.pub"
        raise InputError(
            f"{path}: it is {named}, expected a TOML file with [[trust.…]] tables", help=help
        )
    found = trust_table.parse(Table(parse_toml(text, str(path)), {"trust"}, str(path)))
    if not found:
        raise InputError(f"{path}: trusts no signer", help=trust_table.EXAMPLE)
    folder = path.resolve().parent
    return found.open(
        str(path),
        lambda p: pem.read_file(folder / p),
        lambda p: trusted_root.of_file(folder / p),
    )


def trust_from_options(keys: Iterable[Path] = (), identity: TrustedIdentity | None = None) -> Trust:
    """Return trust in the public keys in files, and in an identity.

    Raises:
        InputError: If a key cannot be read.
    """
    found = tuple(t for k in keys for t in TrustedKey.all_of_pem(pem.read_file(k), str(k)))
    identities = () if identity is None else (identity,)
    given = (("--key", found), ("--identity", identities))
    return Trust(" and ".join(name for name, some in given if some), found, identities)


def trust_from_keys(keys: Iterable[Path]) -> Trust:
    """Return trust in the public keys in files.

    Raises:
        InputError: If a key cannot be read.
    """
    return trust_from_options(keys)
