# SPDX-License-Identifier: Apache-2.0
"""Where a clone comes from. A URL can hold a password: only the name is taken out of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provenance.artifacts.git_command import Git
from provenance.errors import UnavailableError

DEFAULT_BRANCH: Final = "main"
_GITHUB: Final = re.compile(
    r"(?:https?://|ssh://|git://|)(?:[^@/\s]*@)?github\.com(?::\d+/|[:/])/*"
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}?)(?:\.git)?/*",
    re.IGNORECASE,
)
_BRANCH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,200}")


@dataclass(frozen=True)
class Remote:
    """What a clone knows of where it comes from.

    `github` is the `owner/name` of its origin, None where that is elsewhere; `upstream` that of a
    fork's original. `below_top` says whether this is a folder below the top of the clone.
    """

    github: str | None = None
    default_branch: str = DEFAULT_BRANCH
    upstream: str | None = None
    below_top: bool = False


def remote_of(root: Path) -> Remote:
    """What the clone at `root` knows; nothing if it is not a clone, or git is missing."""
    try:
        git = Git.at(root)
        url = git.answer("remote", "get-url", "origin")
        upstream = git.answer("remote", "get-url", "upstream")
        prefix = git.answer("rev-parse", "--show-prefix")
        head = git.answer("symbolic-ref", "refs/remotes/origin/HEAD")
        branch = head.removeprefix("refs/remotes/origin/") or git.answer("branch", "--show-current")
    except UnavailableError:
        return Remote()
    default_branch = branch if _BRANCH.fullmatch(branch) else DEFAULT_BRANCH
    return Remote(github_name(url), default_branch, github_name(upstream), prefix != "")


def github_name(url: str) -> str | None:
    """`owner/name` of a repository on GitHub, by any URL that git takes."""
    match = _GITHUB.fullmatch(url)
    return match["name"] if match else None
