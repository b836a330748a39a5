# SPDX-License-Identifier: Apache-2.0
"""Which workflows a configuration trusts, and why others are only noted in it.

Trust is never guessed: what is not known for certain is written as a comment, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from provenance.operations.adoption.remote import Remote
from provenance.operations.adoption.workflows import Found, Workflow
from provenance.signing.trust_table import WORKFLOW_PATH

_PLACEHOLDER = "OWNER/NAME"
_GUESS = "refs/tags/*"
_EVERY_BRANCH = ("refs/heads/*", "refs/heads/**")


@dataclass(frozen=True)
class Signer:
    """One `[[trust.github]]` table. `unsure` is why it is not in force, in words, or None."""

    repository: str
    workflow: Workflow
    ref: str
    unsure: str | None


def signers(found: Found, remote: Remote) -> tuple[Signer, ...]:
    """A table for each workflow that signs, and each ref that it runs for."""
    return tuple(
        Signer(remote.github or _PLACEHOLDER, workflow, ref, _unsure(workflow, ref, remote))
        for workflow in found.workflows
        for ref in workflow.refs or (_GUESS,)
    )


def _unsure(workflow: Workflow, ref: str, remote: Remote) -> str | None:
    if WORKFLOW_PATH.fullmatch(workflow.path) is None:
        return "its name has characters that no trusted workflow may have"
    if workflow.callers and not workflow.refs:
        return (
            f"it runs where {', '.join(workflow.callers)[:200]} calls it, and what a called "
            "workflow signs never counts"
        )
    if not workflow.refs:
        return "nothing in it says for which refs it runs: the ref is a guess"
    if ref in _EVERY_BRANCH:
        return "it runs for every branch: whoever may push one could sign"
    if remote.below_top:
        return "GitHub runs the workflows at the top of a repository, and this folder is below it"
    if remote.github is None:
        return "which repository on GitHub this is, the clone does not say"
    if remote.upstream not in (None, remote.github):
        return f"this looks like a fork of {remote.upstream}: say which of the two releases"
    return None
