# SPDX-License-Identifier: Apache-2.0
"""A git repository that ignores the git configuration of the user."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "a test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
}


@dataclass(frozen=True)
class GitRepository:
    """The repository whose top is at `root`."""

    root: Path

    @classmethod
    def init(cls, root: Path) -> GitRepository:
        """A new repository on branch `main`, without a commit."""
        root.mkdir(parents=True, exist_ok=True)
        made = cls(root)
        made.run("init", "--quiet", "--initial-branch=main")
        return made

    @classmethod
    def clone(cls, of: GitRepository, root: Path, *options: str) -> GitRepository:
        """A clone over git's own protocol, as `--depth` and `--filter` need it."""
        of.run("config", "uploadpack.allowFilter", "true")
        of.run("clone", "--quiet", *options, of.root.as_uri(), str(root))
        return cls(root)

    def run(self, *arguments: str) -> str:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=kept | _ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def commit(self, message: str = "a commit") -> str:
        """Commit everything that is there; the commit's full name."""
        self.run("add", "--all")
        self.run("commit", "--quiet", "--allow-empty", "--message", message)
        return self.run("rev-parse", "HEAD").strip()

    def status(self) -> str:
        """What `git status` says of the work tree and the index."""
        return self.run("status", "--porcelain", "--untracked-files=all")
