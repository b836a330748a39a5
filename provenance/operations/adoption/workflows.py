# SPDX-License-Identifier: Apache-2.0
"""Find the origin of a clone, and its workflows that sign with an identity that can be trusted.

A workflow signs if one of its jobs may request an identity token and runs a tool that signs with
it. The result only suggests a configuration, and no part of a workflow is run. Trust is never
guessed: an uncertain table is written as a comment, with the reason. The URL of a clone may
contain a password, so only the name of the repository is read from it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from provenance.artifacts import limits
from provenance.artifacts.git_command import Git
from provenance.artifacts.paths import FileError, Tree
from provenance.errors import UnavailableError
from provenance.frozen import dataclass
from provenance.signing.trust_table import WORKFLOW_PATH

FOLDER: Final = ".github/workflows"
DEFAULT_BRANCH: Final = "main"
_GITHUB: Final = re.compile(
    r"(?:https?://|ssh://|git://|)(?:[^@/\s]*@)?github\.com(?::\d+/|[:/])/*"
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}?)(?:\.git)?/*",
    re.IGNORECASE,
)
_BRANCH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,200}")
_RUNS: Final = re.compile(
    r"\b(cosign|sigstore|provenance)(?: -C \S+)? (sign-blob|sign|attest-blob|attest|release)\b"
)
_USES: Final = re.compile(
    r"(sigstore/gh-action-sigstore-python|actions/attest(?:-[a-z-]+)?)(?:@.*)?"
)
_QUANTIFIED: Final = re.compile(r"(?:\[[^\]]*\]|[^*?+\[\]])[+?]")
_CLASS: Final = re.compile(r"\[[^\]]*\]")
_REPEATED: Final = "\0"
_STARS: Final = re.compile(f"[*{_REPEATED}]+")
_PLACEHOLDER: Final = "OWNER/NAME"
_GUESS: Final = "refs/tags/*"
_EVERY_BRANCH: Final = ("refs/heads/*", "refs/heads/**")


@dataclass(frozen=True)
class Remote:
    """The origin of a clone.

    Attributes:
        github: The `owner/name` of the origin, or None if it is not on GitHub.
        default_branch: The default branch.
        upstream: The `owner/name` of the remote `upstream`, which a fork has, or None.
        below_top: Whether the folder is below the top of the clone.
    """

    github: str | None = None
    default_branch: str = DEFAULT_BRANCH
    upstream: str | None = None
    below_top: bool = False


@dataclass(frozen=True)
class Workflow:
    """A workflow that signs.

    Attributes:
        path: Relative to the repository's root, as in the signing certificate.
        tools: The tools that sign in it.
        refs: The refs that trigger it, as globs; empty if its triggers do not name any.
        callers: The workflows of the same repository that call it.
    """

    path: str
    tools: tuple[str, ...]
    refs: tuple[str, ...]
    callers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """The workflows that sign, and notes about workflows that could not be read."""

    workflows: tuple[Workflow, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Signer:
    """One `[[trust.github]]` table. `unsure` says why it is only a comment, or is None."""

    repository: str
    workflow: Workflow
    ref: str
    unsure: str | None


def remote_of(root: Path) -> Remote:
    """Return the origin of the clone at `root`; empty if it is not a clone, or git is missing."""
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
    """Return the `owner/name` of a GitHub repository from any URL that git accepts, or None."""
    match = _GITHUB.fullmatch(url)
    return match["name"] if match else None


def signing_workflows(tree: Tree, default_branch: str) -> Found:
    """Return the workflows of the repository at `tree` that sign with their own identity."""
    try:
        names = sorted(os.listdir(tree.root / tree.resolve(FOLDER)))
    except (FileNotFoundError, NotADirectoryError):
        return Found()  # no folder of workflows
    except (FileError, OSError) as e:
        return Found(notes=(f"cannot read the workflows: {e}",))
    paths = [f"{FOLDER}/{n}" for n in names if n.endswith((".yml", ".yaml")) and is_text(n)]
    notes: list[str] = []
    most = limits.WORKFLOW_FILES
    if len(paths) > most:
        notes.append(f"{len(paths) - most:,} workflows were skipped: at most {most:,} are read")
        del paths[most:]
    texts = _parsed(tree, paths, notes)
    found = []
    for path, workflow in texts.items():
        tools = tuple(dict.fromkeys(t for job in _jobs(workflow) for t in _signs(workflow, job)))
        if tools:
            callers = (p for p, w in texts.items() if any(_calls(job, path) for job in _jobs(w)))
            refs = _refs(_triggers(workflow), default_branch)
            found.append(Workflow(path, tools, refs, tuple(callers)))
    return Found(tuple(found), tuple(notes))


def signers(found: Found, remote: Remote) -> tuple[Signer, ...]:
    """Return a table for each ref of each workflow that signs."""
    return tuple(
        Signer(remote.github or _PLACEHOLDER, workflow, ref, _unsure(workflow, ref, remote))
        for workflow in found.workflows
        for ref in workflow.refs or (_GUESS,)
    )


def _unsure(workflow: Workflow, ref: str, remote: Remote) -> str | None:
    if WORKFLOW_PATH.fullmatch(workflow.path) is None:
        return "its name has characters that are not allowed for a trusted workflow"
    if workflow.callers and not workflow.refs:
        return (
            f"{', '.join(workflow.callers)[:200]} calls it, and signatures of a called workflow "
            "never count"
        )
    if not workflow.refs:
        return "its triggers do not say for which refs it runs: the ref is a guess"
    if ref in _EVERY_BRANCH:
        return "it runs for every branch: anyone who may push a branch could sign"
    if remote.below_top:
        return "GitHub only runs workflows at the top of a repository, and this folder is below it"
    if remote.github is None:
        return "the clone does not say which GitHub repository it comes from"
    if remote.upstream not in (None, remote.github):
        return f"this looks like a fork of {remote.upstream}: choose which of the two releases"
    return None


def is_text(name: str) -> bool:
    """Whether a name from the file system can be written as UTF-8."""
    return not any("\ud800" <= c <= "\udfff" for c in name)


def _parsed(tree: Tree, paths: Sequence[str], notes: list[str]) -> dict[str, Mapping[str, Any]]:
    """Return the workflows by path, and add to `notes` why other files cannot be read."""
    from provenance.artifacts.documents import strict_yaml

    workflows: dict[str, Mapping[str, Any]] = {}
    left = limits.WORKFLOWS
    for path in paths:
        problem = "has no `jobs`"
        try:
            text = tree.read(path, min(limits.WORKFLOW, left)).decode("utf-8")
            left -= len(text)
            value = strict_yaml.parse(text)
            if isinstance(value, dict) and isinstance(value.get("jobs"), dict):
                workflows[path] = value
                continue
        except FileError as e:
            problem = f"cannot be read: {e.message}"
        except UnicodeDecodeError as e:
            problem = f"is not UTF-8 (byte {e.start})"
        except strict_yaml.YamlError as e:
            problem = str(e)
        notes.append(f"{path} was skipped: it {problem}")
    return workflows


def _jobs(workflow: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (job for job in workflow["jobs"].values() if isinstance(job, dict))


def _triggers(workflow: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `on` by event, for each of its three forms."""
    on = workflow.get("on")
    if isinstance(on, dict):
        return on
    events = on if isinstance(on, list) else [on]
    return {event: "" for event in events if isinstance(event, str)}


def _signs(workflow: Mapping[str, Any], job: Mapping[str, Any]) -> Iterator[str]:
    """Yield the tools that sign in a job, if it may request an identity token."""
    permissions = job.get("permissions", workflow.get("permissions"))
    may = permissions == "write-all" or (
        isinstance(permissions, dict) and permissions.get("id-token") == "write"
    )
    # A called workflow has the permissions of its caller, unless it sets its own.
    if not may and (permissions is not None or "workflow_call" not in _triggers(workflow)):
        return
    steps = job.get("steps")
    for step in steps if isinstance(steps, list) else ():
        if not isinstance(step, dict):
            continue
        uses, run = step.get("uses"), step.get("run")
        action = _USES.fullmatch(uses) if isinstance(uses, str) else None
        if action is not None:
            yield action[1]
        for line in run.splitlines() if isinstance(run, str) else ():
            if not line.lstrip().startswith("#"):
                yield from map(" ".join, _RUNS.findall(" ".join(line.split())))


def _calls(job: Mapping[str, Any], path: str) -> bool:
    """Whether a job runs the workflow at `path` of the same repository."""
    uses = job.get("uses")
    return isinstance(uses, str) and uses.removeprefix("./") == path


def _refs(triggers: Mapping[str, Any], default_branch: str) -> tuple[str, ...]:
    """Return the refs that trigger a workflow, as globs over whole refs."""
    found: list[str] = []
    if "push" in triggers:
        push = triggers["push"] if isinstance(triggers["push"], dict) else {}
        tags, branches = _patterns(push, "tags"), _patterns(push, "branches")
        found += [f"refs/tags/{t}" for t in tags] + [f"refs/heads/{b}" for b in branches]
        if not tags and not branches:
            found.append(f"refs/heads/{default_branch}")
    if "release" in triggers:
        found.append("refs/tags/*")
    if {"workflow_dispatch", "schedule"} & triggers.keys() and not found:
        found.append(f"refs/heads/{default_branch}")
    return tuple(dict.fromkeys(found))


def _patterns(push: Mapping[str, Any], key: str) -> list[str]:
    value = push.get(key)
    listed = value if isinstance(value, list) else [value]
    texts = [v for v in listed if isinstance(v, str) and v and not v.startswith("!")]
    return [_glob(text) for text in texts]


def _glob(pattern: str) -> str:
    """Return a wider glob for a GitHub pattern: `ref` has no classes and quantifiers."""
    plain = _CLASS.sub("?", _QUANTIFIED.sub(_REPEATED, pattern))
    return _STARS.sub(lambda stars: "**" if "**" in stars[0] else "*", plain)
