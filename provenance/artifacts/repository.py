# SPDX-License-Identifier: Apache-2.0
"""Name the repository of a work tree, and find the file in it that a URL refers to.

Forges write the address of a file as `OWNER/REPO/blob/REF/PATH`. Such a URL refers to a file in the
work tree if it names the same repository and a branch instead of a fixed revision.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from provenance.artifacts import git_config, limits, paths
from provenance.artifacts.git_config import GitConfigError
from provenance.artifacts.paths import FileError
from provenance.frozen import dataclass

NAME: Final = re.compile(r"[\w.-]+(?:/[\w.-]+)+", re.ASCII)
"""`OWNER/REPO`, or more levels at a forge with groups."""

_RAW_GITHUB: Final = "raw.githubusercontent.com"
# GitHub and Hugging Face; GitLab puts `/-` before `/blob`; Gitea names the kind of revision.
_FILE: Final = re.compile(
    rf"/(?P<name>{NAME.pattern}?)(?:/-)?/(?:blob|raw|resolve|(?:raw|src)/branch)/(?P<rest>.+)",
    re.ASCII,
)
_RAW: Final = re.compile(r"/(?P<name>[\w.-]+/[\w.-]+)/(?P<rest>.+)", re.ASCII)
_REST: Final = re.compile(r"(?:refs/heads/)?(?P<ref>[^/]+)/(?P<path>.+)")
_FIXED: Final = re.compile(r"[0-9a-f]{7,64}|v?\d[\w.+-]*|refs", re.IGNORECASE)
_SCP: Final = re.compile(r"[^/\s:]+:(?P<path>\S+)")

MAX_URI: Final = 1000
"""Characters of the URI that names a project's registry in its release summary."""

_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class FileUrl:
    """The address of a file at a forge. `repository` is OWNER/REPO, `ref` a branch or revision."""

    repository: str
    ref: str
    path: str

    @property
    def moves(self) -> bool:
        """Whether `ref` is a branch, not a commit, a tag or a version."""
        return _FIXED.fullmatch(self.ref) is None


@dataclass(frozen=True, slots=True)
class WorkTree:
    """The repository that a folder is in.

    Attributes:
        name: OWNER/REPO, or None if it is not known.
        prefix: The path of the folder relative to the top of the repository; empty at the top.
    """

    name: str | None
    prefix: str = ""

    def path_of(self, url: FileUrl) -> str | None:
        """Return the path of the file at `url` below the folder, or None if it is outside."""
        if self.name is None or url.repository.casefold() != self.name.casefold():
            return None
        inside = f"{self.prefix}/" if self.prefix else ""
        below = url.moves and url.path.startswith(inside)
        return url.path[len(inside) :] if below else None


def file_url(url: str) -> FileUrl | None:
    """Return the file at a forge that a URL addresses, or None for any other URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https"):
        return None
    pattern = _RAW if parts.netloc.casefold() == _RAW_GITHUB else _FILE
    match = pattern.fullmatch(parts.path)
    rest = _REST.fullmatch(match["rest"]) if match else None
    if match is None or rest is None:
        return None
    return FileUrl(match["name"], unquote(rest["ref"]), unquote(rest["path"]))


def work_tree(folder: Path, name: str | None = None) -> WorkTree:
    """Return the repository that `folder` is in. `name` is its OWNER/REPO, if already known.

    Only the files in `.git` are read. The `git` command is not run, so the answer is the same if it
    is missing or refuses a checkout of another user.
    """
    top = _top(folder)
    if top is None:
        return WorkTree(name)
    prefix = "" if top == folder else folder.relative_to(top).as_posix()
    return WorkTree(name or _name(_origin_url(top)), prefix)


def _top(folder: Path) -> Path | None:
    return next((f for f in (folder, *folder.parents) if os.path.lexists(f / ".git")), None)


def is_absolute_uri(text: str) -> bool:
    """Return whether `text` is an absolute URI (RFC 3986) of at most `MAX_URI` characters."""
    return len(text) <= MAX_URI and _URI.fullmatch(text) is not None


_WEB_PORTS: Final = {"http": 80, "https": 443}

_ANY_CASE: Final = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org"})
"""Hosts at which the names of owners and repositories are case-insensitive."""


_PROJECT: Final = re.compile(r"git\+https://([^/]+)/([^#]+)(#.*)", re.DOTALL)


def is_same_project(one: str, other: str) -> bool:
    """Return whether two URIs name the same registry: the spelling of a remote may vary."""
    return _spelled(one) == _spelled(other)


def _spelled(uri: str) -> str:
    match = _PROJECT.fullmatch(uri)
    if match is None or match[1] not in _ANY_CASE:
        return uri
    return f"git+https://{match[1]}/{match[2].lower()}{match[3]}"


def registry_uri(root: Path, registry: str) -> str | None:
    """Return the URI of the registry at `registry` below `root`, from the git remote `origin`.

    The URI is `git+https://HOST/OWNER/REPO#PATH`, for every protocol by which the repository can be
    cloned. None if `root` is not in a clone, or `origin` is not on a host.
    """
    tree, top = work_tree(root), _top(root)
    if tree.name is None or top is None:
        return None
    host = _host(_origin_url(top)).lower()
    inside = f"{tree.prefix}/{registry}" if tree.prefix else registry
    uri = f"git+https://{host}/{tree.name}#{quote(inside)}"
    return uri if host and is_absolute_uri(uri) else None


def _host(url: str) -> str:
    """Return the host in the URL of a remote, without user and password, or an empty string.

    The port is left out, because it depends on the protocol, except for a web server on a port
    that is not the default: that is another server.
    """
    if "://" not in url:  # git@host:OWNER/REPO.git
        return url.partition(":")[0].rpartition("@")[2]
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    usual = _WEB_PORTS.get(parts.scheme.lower())
    return f"{host}:{port}" if usual is not None and port not in (None, usual) else host


def _origin_url(top: Path) -> str:
    """Return the URL that git fetches `origin` from, or an empty string."""
    common = _common_folder(top / ".git")
    urls: list[str] = []
    try:
        for name, value in git_config.values(common / "config", _text) if common else ():
            if name == "remote.origin.url":
                urls = [*urls, value] if value else []  # an empty one resets the list
    except GitConfigError:
        return ""
    return urls[0].strip() if urls else ""


def _name(url: str) -> str | None:
    """Return OWNER/REPO from the URL of a remote, or None."""
    if "://" in url:
        path = "" if url.startswith("file:") else url.partition("://")[2].partition("/")[2]
    else:  # git@host:OWNER/REPO.git; a local folder has no owner
        match = _SCP.fullmatch(url)
        path = match["path"] if match else ""
    name = path.strip("/").removesuffix(".git")
    return name if NAME.fullmatch(name) else None


def _common_folder(git: Path) -> Path | None:
    """Return the folder with the repository's configuration; for a worktree, not its `.git`."""
    if git.is_dir():
        return git
    link = _text(git) or ""
    if not link.startswith("gitdir:"):
        return None
    own = git.parent / link.removeprefix("gitdir:").strip()
    shared = _text(own / "commondir")
    return own / shared.strip() if shared else own


def _text(path: Path) -> str | None:
    """Return the text of a file in `.git`, or None if it cannot be read."""
    try:
        return paths.read_named_file(path, limits.GIT_CONFIG).decode("utf-8", "replace")
    except FileError:
        return None
