# SPDX-License-Identifier: Apache-2.0
"""Where a clone comes from: the repository's name, and its default branch.

A remote's URL can hold a password. Only what names the repository is taken out of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEFAULT_BRANCH: Final = "main"
_SECONDS: Final = 10
_GITHUB: Final = re.compile(
    r"(?:https?://|ssh://|git://|)(?:[^@/\s]*@)?github\.com(?::\d+/|[:/])/*"
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}?)(?:\.git)?/*",
    re.IGNORECASE,
)
_BRANCH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,200}")


@dataclass(frozen=True)
class Remote:
    """What a clone knows of its origin. `github` is `owner/name`, None where it is elsewhere."""

    github: str | None = None
    default_branch: str = DEFAULT_BRANCH


def remote_of(root: Path) -> Remote:
    """What the clone at `root` knows; nothing where it is none, or there is no git."""
    url = _git(root, "remote", "get-url", "origin")
    head = _git(root, "symbolic-ref", "refs/remotes/origin/HEAD")
    branch = head.removeprefix("refs/remotes/origin/") or _git(root, "branch", "--show-current")
    return Remote(github_name(url), branch if _BRANCH.fullmatch(branch) else DEFAULT_BRANCH)


def github_name(url: str) -> str | None:
    """`owner/name` of a repository on GitHub, by any URL that git takes."""
    match = _GITHUB.fullmatch(url)
    return match["name"] if match else None


def _git(root: Path, *arguments: str) -> str:
    """What git answers, in one line; nothing where it does not."""
    git = shutil.which("git")
    if git is None or not os.path.isabs(git):  # one in the current folder is not the user's
        return ""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(
            [git, "-C", str(root), "-c", "core.fsmonitor=false", *arguments],
            env=environment | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    text = done.stdout.decode("utf-8", "replace").strip()
    return text if done.returncode == 0 and "\n" not in text else ""
