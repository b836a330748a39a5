# SPDX-License-Identifier: Apache-2.0
"""The trust that a consumer names: in a file, or as keys and an identity."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from provenance.artifacts import repository
from provenance.artifacts.documents.toml_tables import Table
from provenance.attestations import recognition
from provenance.config.loading import parse_toml, read_text
from provenance.errors import InputError
from provenance.signing import pem, trust_table, trusted_root
from provenance.signing.trust import WORKFLOWS, Trust, TrustedIdentity, TrustedKey, TrustedWorkflow


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


def trust_from_options(
    keys: Iterable[Path] = (),
    identity: TrustedIdentity | None = None,
    workflow: TrustedWorkflow | None = None,
) -> Trust:
    """Return trust in the public keys in files, in an identity, and in workflows of a repository.

    Raises:
        InputError: If a key cannot be read.
    """
    found = tuple(t for k in keys for t in TrustedKey.all_of_pem(pem.read_file(k), str(k)))
    identities = () if identity is None else (identity,)
    workflows = () if workflow is None else (workflow,)
    given = (("--key", found), ("--identity", identities), ("--repo", workflows))
    source = " and ".join(name for name, some in given if some)
    return Trust(source, found, identities, workflows)


def workflow_of(repo: str, workflow: str | None = None, ref: str | None = None) -> TrustedWorkflow:
    """Return the workflows of a GitHub repository whose signatures a consumer trusts.

    Args:
        repo: `owner/name`.
        workflow: The path of the workflow, or its file name; by default any.
        ref: A pattern for the ref, as in `TrustedWorkflow`; by default any.

    Raises:
        InputError: If a value does not have its form.
    """
    if repository.NAME.fullmatch(repo) is None:
        raise InputError(
            f"{repo[:100]!r} is not a GitHub repository", help="Name it as OWNER/NAME."
        )
    if workflow is not None and "/" not in workflow:
        workflow = WORKFLOWS + workflow
    if workflow is not None and trust_table.WORKFLOW_PATH.fullmatch(workflow) is None:
        raise InputError(
            f"{workflow[:100]!r} is not the path of a workflow",
            help=f"For example: {WORKFLOWS}release.yml",
        )
    return TrustedWorkflow(repo, workflow, ref)


def trust_from_keys(keys: Iterable[Path]) -> Trust:
    """Return trust in the public keys in files.

    Raises:
        InputError: If a key cannot be read.
    """
    return trust_from_options(keys)
