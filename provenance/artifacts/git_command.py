# SPDX-License-Identifier: Apache-2.0
"""Run the `git` command without the network, and without running code from a repository.

git runs without hooks, pager and prompts. Of the caller's `GIT_*` variables it gets those that name
the user's configuration files, and the values of `safe.directory` that any of them sets. Names of
objects are passed on standard input, where they cannot be taken for options.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from provenance.artifacts import paths
from provenance.errors import InputError, UnavailableError
from provenance.frozen import dataclass

_PAIR: Final = re.compile(r"GIT_CONFIG_(?:KEY|VALUE)_[0-9]+")
_MISSING: Final = "Needed a single revision"
"""What git prints about a name that does not exist."""

SECONDS: Final = 120.0
"""How long git may take for one commit: a dead network file system would block forever."""

_SAFE: Final = (
    "--no-pager",
    "--no-optional-locks",
    "--no-replace-objects",
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "protocol.allow=never"),
    *("-c", "safe.bareRepository=explicit"),  # a folder in the tree may look like a repository
)
_ENVIRONMENT: Final = {
    "GIT_ALLOW_PROTOCOL": "",  # overrides any configuration
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_USERS_FILES: Final = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM")
_SWITCHES: Final = ("GIT_CONFIG_NOSYSTEM", "GIT_DISCOVERY_ACROSS_FILESYSTEM")
"""Variables of the caller that neither name other files nor run programs."""

_USERS_VALUES: Final = ("GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS")
_LINE: Final = 4096
"""Bytes of the longest answer about one object: the requested name and a word."""


@dataclass(frozen=True)
class Git:
    """The `git` command, and the folder that it runs in."""

    path: str
    folder: Path
    trusted: tuple[str, ...] = ()
    """The values of `safe.directory` in the caller's variables."""

    @classmethod
    def at(cls, folder: Path) -> Git:
        """Find the command on PATH. Raises UnavailableError if it is not installed."""
        path = shutil.which("git")
        if path is None or not os.path.isabs(path):  # never run a `git` in the current folder
            raise UnavailableError(
                "no `git` on PATH",
                help="Install git, or name a folder or a registry file: --baseline PATH",
            )
        return cls(path, folder, _trusted(path))

    def prefix(self) -> str:
        """Return the path of the folder relative to the top of the repository; empty at the top.

        Raises:
            InputError: If the folder is not in a repository that git reads.
        """
        done = self._run("rev-parse", "--show-prefix", "--is-inside-work-tree")
        prefix = done.stdout.removesuffix(b"true\n")
        outside = prefix.endswith(b"\nfalse\n")
        if done.returncode == 0 and not outside:
            return os.fsdecode(prefix.removesuffix(b"\n"))
        reason = "the folder is outside the work tree" if outside else _reason(done)
        reason = reason or "git gives no reason"
        help = "Name a folder or a registry file: --baseline PATH; or --baseline none"
        if "ownership" in reason:
            named = re.search(r" at '(.+)'$", reason)
            trust = ("git", "config", "--global", "--add", "safe.directory")
            command = shlex.join((*trust, named[1] if named else str(self.folder)))
            help = f"If you trust the checkout: {command}"
        message = f"{self.folder}: not in a repository that git can read: {reason}"
        raise InputError(message, help=help)

    @contextmanager
    def objects(self) -> Iterator[Objects]:
        """Open the objects of the repository, for at most `SECONDS`."""
        with self._batch("--batch-check") as check, self._batch("--batch") as contents:
            late = threading.Event()

            def stop() -> None:
                late.set()
                check.kill()
                contents.kill()

            timer = threading.Timer(SECONDS, stop)
            timer.daemon = True
            timer.start()
            try:
                yield Objects(check, contents, late)
            finally:
                timer.cancel()

    def how_to_fetch(self, ref: str) -> str:
        """Return the command that fetches a missing commit into this clone."""
        shallow = self.answer("rev-parse", "--is-shallow-repository") == "true"
        remotes = self.answer("remote").split()
        if not remotes:
            return "This repository has no remote. List what it has: git branch --all; git tag"
        name = re.split(r"[~^@]", ref)[0]
        if name != ref and self._has(name):
            unshallow = "This clone is shallow and lacks the history: git fetch --unshallow"
            return unshallow if shallow else f"See how far its history goes: git log {name}"
        remote, _, branch = name.partition("/")
        if remote not in remotes or not branch:
            remote, branch = remotes[0], name
            if self._has(f"refs/remotes/{remote}/{branch}"):
                return f"This clone has it as a remote branch: git:{remote}/{branch}"
            if re.fullmatch(r"[0-9a-f]{40,64}", name):
                return _fetch(shallow, remote, name)
            if re.search(r"\d", name):
                return _fetch(shallow, remote, f"refs/tags/{name}:refs/tags/{name}")
        return _fetch(shallow, remote, f"{branch}:refs/remotes/{remote}/{branch}")

    def reason(self, ref: str) -> str | None:
        """Return why git cannot resolve `ref`, or None if the commit is just missing."""
        done = self._run("rev-parse", "--verify", f"{ref}^{{commit}}")
        reason = _reason(done) if done.returncode != 0 else None
        return None if reason == _MISSING else reason

    def _has(self, name: str) -> bool:
        return self.answer("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}") != ""

    def answer(self, *arguments: str) -> str:
        """Return the output of a short command; empty if it fails."""
        done = self._run(*arguments)
        return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return _ran([*self._command, *arguments], self.folder, _environment())

    @property
    def _command(self) -> list[str]:
        trust = [word for value in self.trusted for word in ("-c", f"safe.directory={value}")]
        return [self.path, *_SAFE, *trust]

    @contextmanager
    def _batch(self, option: str) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(
            [*self._command, "cat-file", option],
            cwd=self.folder,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.kill()  # it only reads, and no more requests follow
            process.wait()
            for stream in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # flushing fails: the process is gone
                    _pipe(stream).close()


@dataclass(frozen=True)
class Objects:
    """Two `git cat-file` processes: one returns sizes, the other returns contents.

    The size is checked before the content is read.
    """

    _check: subprocess.Popen[bytes]
    _contents: subprocess.Popen[bytes]
    _late: threading.Event

    def resolve(self, name: str, kind: str) -> str | None:
        """Return the object of a `kind` that a name refers to, or None."""
        found = self._ask(self._check, f"{name}^{{{kind}}}", name)
        return None if found is None or found[1] != kind else found[0]

    def read(self, oid: str, kind: str, limit: int, path: str) -> bytes:
        """Return the content of an object, at most `limit` bytes. Messages call it `path`.

        Raises:
            FileError: If the object is larger than `limit`.
            UnavailableError: If this clone does not have the object, or it is not of this `kind`.
        """
        found = self._ask(self._check, oid, path)
        if found is None or found[1] != kind:
            raise damaged(path)
        size = found[2]
        if size > limit:
            raise paths.too_large(path, limit)
        if self._ask(self._contents, oid, path) != found:
            raise damaged(path)
        data = _pipe(self._contents.stdout).read(size + 1)
        if len(data) != size + 1:
            raise self._silent(path)
        return data[:-1]

    def _ask(
        self, process: subprocess.Popen[bytes], name: str, called: str
    ) -> tuple[str, str, int] | None:
        """Return id, type and size of the object that a name refers to, or None.

        Messages call it `called`.
        """
        try:
            stdin = _pipe(process.stdin)
            stdin.write(os.fsencode(name) + b"\n")
            stdin.flush()
            line = _pipe(process.stdout).readline(_LINE)
        except OSError as e:
            raise self._silent(called) from e
        if not line.endswith(b"\n"):
            raise self._silent(called)
        words = line.decode("utf-8", "replace").split()
        if len(words) != 3 or not words[2].isdigit():
            return None  # "… missing", "… ambiguous"
        return words[0], words[1], int(words[2])

    def _silent(self, what: str) -> UnavailableError:
        """Return the error that git stopped answering. In a partial clone it exits, not fetches."""
        return _late() if self._late.is_set() else damaged(what)


def damaged(what: str) -> UnavailableError:
    """Return the error for an object that this clone should have."""
    return UnavailableError(
        f"{what}: git cannot read it: this clone is partial or damaged",
        help="Fetch all objects: git fetch --refetch --no-filter origin",
    )


def _late() -> UnavailableError:
    return UnavailableError(
        f"git did not answer within {SECONDS:.0f} seconds",
        help="Check whether the repository is on a slow disk or a network file system.",
    )


def _environment(*kept: str) -> dict[str, str]:
    plain = {
        k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k in (*_SWITCHES, *kept)
    }
    for name in _USERS_FILES:
        if name in os.environ:  # relative to the current folder, not to the one that git runs in
            plain[name] = os.path.abspath(os.environ[name] or os.devnull)
    return plain | _ENVIRONMENT


def _trusted(git: str) -> tuple[str, ...]:
    """Return the values of `safe.directory` that the caller's variables set, as git reads them."""
    if not any(name in os.environ for name in _USERS_VALUES):
        return ()
    pairs = [name for name in os.environ if _PAIR.fullmatch(name)]
    environment = _environment(*_USERS_VALUES, *pairs) | {"GIT_DIR": os.devnull}
    command = [git, *_SAFE, "config", "--null", "--get-all", "safe.directory"]
    done = _ran(command, os.path.abspath(os.sep), environment)
    if done.returncode != 0:
        return ()
    return tuple(os.fsdecode(value) for value in done.stdout.split(b"\0")[:-1])


def _ran(
    command: list[str], folder: str | Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as e:
        raise _late() from e


def _reason(done: subprocess.CompletedProcess[bytes]) -> str | None:
    """Return the first error that git printed, or None."""
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    plain = [re.sub(r"^(?:error|fatal): ", "", line)[:300] for line in lines]
    return plain[0] if plain else None


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # the process was started with a pipe
    return stream


def _fetch(shallow: bool, remote: str, refspec: str) -> str:
    depth = ("--depth=1",) if shallow else ()  # in a full clone it would cut the history off
    return f"Fetch it: {shlex.join(('git', 'fetch', *depth, remote, refspec))}"
