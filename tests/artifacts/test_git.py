# SPDX-License-Identifier: Apache-2.0
"""Reading a commit from git's objects alone, in bounded work, without running or fetching."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from provenance.artifacts import git_command
from provenance.artifacts.git import open_commit
from provenance.artifacts.paths import FileError, FileProblem
from provenance.errors import InputError, UnavailableError
from tests.support.command import time_limit
from tests.support.git import GitRepository

FILE = "model/m.json"


@pytest.fixture(scope="module")
def two_commits(tmp_path_factory: pytest.TempPathFactory) -> GitRepository:
    """`model/m.json` is "then" at v1 and "now" at main. There are links and a folder."""
    made = GitRepository.init(tmp_path_factory.mktemp("git") / "repository")
    model = made.root / "model"
    (model / "below").mkdir(parents=True)
    for name, content in {"m.json": "then", "below/x.json": "below", "script.json": "#!"}.items():
        (model / name).write_text(content)
    (model / "script.json").chmod(0o755)
    (model / "link.json").symlink_to("m.json")
    (made.root / "linked").symlink_to("model")
    made.commit()
    made.run("tag", "v1")
    made.run("tag", "--annotate", "--message", "signed off", "v1-annotated")
    (model / "m.json").write_text("now")
    made.commit()
    return made


@pytest.fixture
def repository(two_commits: GitRepository, tmp_path: Path) -> GitRepository:
    """A copy of `two_commits`, which a test may change."""
    shutil.copytree(two_commits.root, tmp_path / "repository", symlinks=True)
    return GitRepository(tmp_path / "repository")


def read(folder: Path, ref: str = "main", path: str = FILE, limit: int = 100) -> bytes:
    with open_commit(folder, ref) as commit:
        return commit.read(path, limit)


def remove_object(repository: GitRepository, name: str) -> None:
    blob = repository.run("rev-parse", name).strip()
    (repository.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()


# --- files of a commit ----------------------------------------------------------------------------


@pytest.mark.parametrize("ref", ["v1", "v1-annotated", "main~1", "HEAD^", "refs/tags/v1"])
def test_a_file_is_read_as_of_its_commit(repository: GitRepository, ref: str) -> None:
    assert read(repository.root, ref) == b"then"
    assert read(repository.root, "main", FILE, 3) == b"now"
    oid = repository.run("rev-parse", "v1").strip()
    for name in (oid, oid[:10], ref):
        with open_commit(repository.root, name) as commit:
            assert commit.oid == oid


def test_a_folder_may_lie_below_the_top_of_the_repository(tmp_path: Path) -> None:
    made = GitRepository.init(tmp_path)
    below = made.root / "a ü" / "b"
    below.mkdir(parents=True)
    (below / "x").write_text("x")
    (made.root / "y").write_text("y")
    made.commit()
    assert read(below, "main", "x") == b"x"
    with pytest.raises(FileError, match="leaves the repository"):
        read(below, "main", "../../y")


def test_work_tree_and_index_are_neither_read_nor_changed(repository: GitRepository) -> None:
    (repository.root / FILE).write_text("staged")
    repository.run("add", "--all")
    (repository.root / FILE).unlink()
    index = repository.root / ".git" / "index"
    before = repository.status(), index.read_bytes()
    assert read(repository.root, "HEAD") == b"now"
    assert (repository.status(), index.read_bytes()) == before


ABSENT = ("model/none.json", "none/m.json", "model/m.json/x", "model/m.json\nHEAD", "linked/m.json")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *((path, FileProblem.MISSING) for path in ABSENT),
        *((path, FileProblem.UNSAFE) for path in ("../m.json", "/etc/passwd", "", "model\\m.json")),
        *((path, FileProblem.IRREGULAR) for path in ("model/link.json", "model")),
        (FILE, FileProblem.TOO_LARGE),
    ],
)
def test_only_a_small_regular_file_of_the_commit_is_read(
    two_commits: GitRepository, path: str, expected: FileProblem
) -> None:
    with pytest.raises(FileError) as caught:
        read(two_commits.root, "main", path, limit=2)
    assert caught.value.problem is expected


def test_a_submodule_is_no_file(repository: GitRepository) -> None:
    oid = repository.run("rev-parse", "HEAD").strip()
    repository.run("update-index", "--add", "--cacheinfo", f"160000,{oid},sub")
    repository.run("commit", "--quiet", "--message", "a submodule")
    with pytest.raises(FileError, match="'sub' is a submodule"):
        read(repository.root, "HEAD", "sub")


def test_the_files_of_a_folder_are_listed(two_commits: GitRepository) -> None:
    with open_commit(two_commits.root, "main") as commit:
        assert commit.names_in("model") == ("m.json", "script.json")
        assert commit.names_in(".") == commit.names_in("linked") == commit.names_in("none") == ()
        assert commit.read("model/script.json", 10) == b"#!"


def test_a_repository_of_sha256_objects_is_read(tmp_path: Path) -> None:
    made = GitRepository(tmp_path)
    made.run("init", "--quiet", "--object-format=sha256", "--initial-branch=main")
    (tmp_path / "m.json").write_text("now")
    made.commit()
    assert read(tmp_path, "main", "m.json") == b"now"


# --- names of commits -----------------------------------------------------------------------------

INVALID = ["", "-x", "--help", "a b", "a\nb", "HEAD:model", "a\\b", "x" * 251]


@pytest.mark.parametrize("ref", INVALID)
def test_git_gets_no_invalid_name(
    two_commits: GitRepository, ref: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(InputError, match="not a valid name of a commit"):
        read(two_commits.root, ref)


def missing(clone: GitRepository, ref: str) -> tuple[str, str]:
    """Return the message and the help for a commit that the clone does not have."""
    with pytest.raises(UnavailableError, match="no such commit in this clone") as caught:
        read(clone.root, ref)
    return caught.value.message, str(caught.value.help)


SHALLOW = {
    "origin/stable": "git fetch --depth=1 origin stable:refs/remotes/origin/stable",
    "stable": "git fetch --depth=1 origin stable:refs/remotes/origin/stable",
    "v1": "git fetch --depth=1 origin refs/tags/v1:refs/tags/v1",
    "v1~2": "git fetch --depth=1 origin refs/tags/v1:refs/tags/v1",
    "a" * 40: f"git fetch --depth=1 origin {'a' * 40}",
    "HEAD~1": "git fetch --unshallow",
    "origin/main^": "git fetch --unshallow",
    "x;rm${IFS}-rf": "'x;rm${IFS}-rf:refs/remotes/origin/x;rm${IFS}-rf'",
}


@pytest.mark.parametrize("ref", SHALLOW)
def test_the_help_for_a_shallow_clone(repository: GitRepository, tmp_path: Path, ref: str) -> None:
    repository.run("branch", "stable", "v1")
    clone = GitRepository.clone(repository, tmp_path / "clone", "--depth=1")
    _, help = missing(clone, ref)
    assert SHALLOW[ref] in help
    if ref in ("origin/stable", "v1", "HEAD~1", "origin/main^"):
        clone.run(*help.partition("git ")[2].split())
        assert read(clone.root, ref) == b"then"


def test_the_help_for_a_whole_clone(repository: GitRepository, tmp_path: Path) -> None:
    clone = GitRepository.clone(repository, tmp_path / "clone", "--single-branch")
    repository.run("branch", "stable", "v1")
    fetch = "Fetch it: git fetch origin stable:refs/remotes/origin/stable"
    assert missing(clone, "origin/stable")[1] == fetch
    assert missing(clone, "main~9")[1] == "See how far its history goes: git log main"
    other = GitRepository.clone(repository, tmp_path / "other")
    here = "This clone has it as a remote branch: git:origin/stable"
    assert missing(other, "stable")[1] == here
    for alone, ref in ((repository, "origin/main"), (GitRepository.init(tmp_path / "new"), "HEAD")):
        assert "git branch --all" in missing(alone, ref)[1]


@pytest.mark.parametrize(
    ("ref", "reason"),
    [
        ("@{u}", "no upstream configured for branch 'main'"),
        ("main@{upstream}", "no upstream configured for branch 'main'"),
        ("HEAD@{99}", "log for 'HEAD' only has"),
        ("HEAD^{tree}", "expected commit type"),
    ],
)
def test_a_name_at_which_git_fails_is_reported_with_the_reason_of_git(
    repository: GitRepository, ref: str, reason: str
) -> None:
    message, help = missing(repository, ref)
    assert reason in message
    assert "git:origin/main" in help


def test_an_ambiguous_name_is_reported_as_ambiguous(repository: GitRepository) -> None:
    oids: set[str] = set()
    for number in range(2000):  # until two begin with the same four digits
        (repository.root / "blob").write_text(str(number))
        oid = repository.run("hash-object", "-w", "blob")[:4]
        if oid in oids:
            break
        oids.add(oid)
    with pytest.raises(UnavailableError, match="is ambiguous"):
        read(repository.root, oid)


# --- objects that are missing ---------------------------------------------------------------------


def test_a_partial_clone_does_not_fetch(repository: GitRepository, tmp_path: Path) -> None:
    options = ("--no-checkout", "--filter=blob:none")
    clone = GitRepository.clone(repository, tmp_path / "clone", *options)
    with pytest.raises(UnavailableError, match=r"model/m\.json: git cannot read it.*partial"):
        read(clone.root, "HEAD")
    clone.run("cat-file", "-p", "HEAD:model/m.json")  # fetches it
    assert read(clone.root, "HEAD") == b"now"


def test_a_damaged_object_is_not_read(repository: GitRepository) -> None:
    blob = repository.run("rev-parse", "main:model/m.json").strip()
    stored = repository.root / ".git" / "objects" / blob[:2] / blob[2:]
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:10])
    with pytest.raises(UnavailableError, match="git cannot read it"):
        read(repository.root)


def test_a_replaced_object_does_not_replace_the_baseline(repository: GitRepository) -> None:
    old, new = (repository.run("rev-parse", f"{r}:model/m.json").strip() for r in ("v1", "main"))
    repository.run("replace", old, new)
    assert repository.run("cat-file", "-p", "v1:model/m.json") == "now"
    assert read(repository.root, "v1") == b"then"


# --- attacks of a repository or an environment ----------------------------------------------------


def test_the_callers_variables_do_not_lead_elsewhere(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = GitRepository.init(tmp_path / "other")
    (other.root / "model").mkdir()
    (other.root / FILE).write_text("other")
    other.commit()
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other.root / ".git" / "objects"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "broken")
    assert read(repository.root) == b"now"


@pytest.fixture
def of_another_user(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> GitRepository:
    """A checkout that git reads only if it is trusted."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    for path in (repository.root, repository.root / ".git"):
        os.chown(path, 1234, 1234)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return repository


def configure(way: str, values: dict[str, str], file: Path) -> dict[str, str]:
    """Return the environment that gives git these values; `file` may hold them."""
    if way == "count":
        given = {"GIT_CONFIG_COUNT": str(len(values))}
        for number, (key, value) in enumerate(values.items()):
            given |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return given
    if way == "parameters":
        pairs = (f"'{key}'='{value}'" for key, value in values.items())
        return {"GIT_CONFIG_PARAMETERS": " ".join(pairs)}
    for key, value in values.items():
        subprocess.run(["git", "config", "--file", file, key, value], check=True)
    return {f"GIT_CONFIG_{way.upper()}": str(file), "GIT_CONFIG_NOSYSTEM": "0"}


every_way = pytest.mark.parametrize("way", ["count", "parameters", "global", "system"])


@every_way
@pytest.mark.parametrize("trusted", [True, False])
def test_trust_in_a_folder_is_honoured_however_it_is_given(
    of_another_user: GitRepository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    trusted: bool,
) -> None:
    folder = str(of_another_user.root) if trusted else "/elsewhere"
    values = {"alias.cat-file": "!touch ran", "Safe.Directory": folder}
    for name, value in configure(way, values, tmp_path / "config").items():
        monkeypatch.setenv(name, value)
    if trusted:
        assert read(of_another_user.root) == b"now"
    else:
        with pytest.raises(InputError, match="dubious ownership"):
            read(of_another_user.root)
    assert not (of_another_user.root / "ran").exists()


def test_a_configuration_named_relative_to_the_caller_is_not_looked_for_in_the_repository(
    of_another_user: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (of_another_user.root / "config").write_text("[safe]\n\tdirectory = *\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "config")
    with pytest.raises(InputError, match="dubious ownership"):
        read(of_another_user.root)
    (tmp_path / "config").write_text("[safe]\n\tdirectory = *\n")
    assert read(of_another_user.root) == b"now"


@pytest.mark.parametrize("name", ["GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"])
def test_a_variable_that_git_cannot_read_trusts_nothing(
    of_another_user: GitRepository, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "broken")
    with pytest.raises(InputError, match="dubious ownership"):
        read(of_another_user.root)


HOSTILE_KEYS = [
    *("core.fsmonitor", "core.pager", "pager.cat-file", "core.sshCommand", "core.gitProxy"),
    *("core.askPass", "diff.external", "alias.cat-file", "alias.rev-parse", "credential.helper"),
    *("diff.x.textconv", "filter.x.smudge", "uploadpack.packObjectsHook"),
]


@pytest.fixture
def hostile(tmp_path: Path) -> dict[str, str]:
    """Settings that make git create the file `ran`."""
    hook = tmp_path / "hooks" / "post-index-change"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    values = {key: f"!{hook}" if key.startswith("alias") else str(hook) for key in HOSTILE_KEYS}
    return values | {
        "core.hooksPath": str(hook.parent),
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::{hook}",
        "protocol.ext.allow": "always",
    }


def require_nothing_run(repository: GitRepository, tmp_path: Path) -> None:
    (repository.root / ".gitattributes").write_text("* filter=x diff=x\n")
    remove_object(repository, "v1:model/m.json")
    assert read(repository.root) == b"now"
    with pytest.raises(UnavailableError, match="git cannot read it"):
        read(repository.root, "v1")
    assert not (tmp_path / "ran").exists()


def test_nothing_of_the_repository_is_run(
    repository: GitRepository, tmp_path: Path, hostile: dict[str, str]
) -> None:
    configure("global", hostile, repository.root / ".git" / "config")
    require_nothing_run(repository, tmp_path)


@every_way
def test_nothing_of_the_callers_configuration_is_run(
    repository: GitRepository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hostile: dict[str, str],
    way: str,
) -> None:
    values = hostile | {"core.worktree": str(tmp_path)}
    environment = configure(way, values, tmp_path / "config")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    require_nothing_run(repository, tmp_path)


def test_a_folder_outside_the_work_tree_is_not_read(
    repository: GitRepository, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    repository.run("config", "core.worktree", str(tmp_path / "elsewhere"))
    with pytest.raises(InputError, match="outside the work tree"):
        read(repository.root / "model", "main", "m.json")


@pytest.mark.parametrize("bare", [True, False], ids=["bare", "plain"])
def test_a_folder_outside_a_repository_has_no_commit(tmp_path: Path, bare: bool) -> None:
    if bare:
        GitRepository(tmp_path).run("init", "--quiet", "--bare")
    with pytest.raises(InputError, match="not in a repository that git can read") as caught:
        read(tmp_path, "HEAD")
    assert "--baseline PATH" in str(caught.value.help)


# --- a git that is missing or faulty --------------------------------------------------------------


@pytest.mark.parametrize("path", [".", "{repository}"])
def test_a_git_in_the_current_folder_is_not_run(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    if path == ".":
        replace_git(repository.root, "touch was-run", monkeypatch)
    monkeypatch.chdir(repository.root)
    monkeypatch.setenv("PATH", path.format(repository=repository.root))
    with pytest.raises(UnavailableError, match="no `git` on PATH") as caught:
        read(repository.root)
    assert "--baseline PATH" in str(caught.value.help)
    assert not (repository.root / "was-run").exists()


def replace_git(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the script `git` into the folder, and the folder first on PATH."""
    (folder / "git").write_text(f"#!/bin/sh\n{script}")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


FIND = 'case "$*" in *rev-parse*) echo; exit 0;; esac\n'
OID = "1" * 40
CHECK = (
    f'{FIND}case "$*" in *--batch-check*) while read x; do case "$x" in '
    f"*commit*) echo {OID} commit 3;; *) echo {OID} tree 9;; esac; done;; esac\nread x\n"
)
DUBIOUS = "echo \"fatal: detected dubious ownership in repository at '/r'\" >&2; exit 128"


@pytest.mark.parametrize(
    ("script", "message", "help"),
    [
        (f"{FIND}exit 1", "git cannot read it", ""),
        (f"{FIND}exec 0<&-; sleep 0.2; exit 1", "git cannot read it", ""),
        (f"{FIND}read x; printf 'no end of line'", "git cannot read it", ""),
        (f"{CHECK}printf '{OID} tree 9'", "git cannot read it", ""),
        (f"{CHECK}printf '{OID} tree 9\\nab'", "git cannot read it", ""),
        (f"{CHECK}printf '{OID} tree 9\\n100644 ab\\n'", "git cannot read it", ""),
        (f"{CHECK}printf '{OID} tree 9\\n100644 ab\\0cd\\n'", "git cannot read it", ""),
        (f"{CHECK}printf '{OID} tree 8\\n123456789\\n'", "git cannot read it", ""),
        (f"{CHECK}printf '{OID} missing\\n'", "git cannot read it", ""),
        ("exec sleep 30", "did not answer within", ""),
        (f"{FIND}exec sleep 30", "did not answer within", ""),
        (DUBIOUS, "dubious ownership", "git config --global --add safe.directory /r"),
    ],
)
def test_a_faulty_git_is_an_error_and_no_content(
    repository: GitRepository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    message: str,
    help: str,
) -> None:
    if "sleep 30" in script:
        monkeypatch.setattr(git_command, "SECONDS", 0.3)
    replace_git(tmp_path, script, monkeypatch)
    kind = InputError if script == DUBIOUS else UnavailableError
    with time_limit(20), pytest.raises(kind, match=message) as caught:
        read(repository.root)
    assert str(caught.value.help or "").endswith(help)
