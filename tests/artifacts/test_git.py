# SPDX-License-Identifier: Apache-2.0
"""Reading a commit: from git's objects alone, bounded, without running or fetching anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.artifacts import git_command
from provenance.artifacts.git import open_commit
from provenance.artifacts.paths import FileError, FileProblem
from provenance.errors import InputError, UnavailableError
from tests.support.command import time_limit
from tests.support.git import GitRepository


@pytest.fixture(scope="module")
def two_commits(tmp_path_factory: pytest.TempPathFactory) -> GitRepository:
    """`model/m.json` is "then" at v1 and "now" at main; a link and a folder. Tests copy it."""
    made = GitRepository.init(tmp_path_factory.mktemp("git") / "repository")
    model = made.root / "model"
    model.mkdir()
    (model / "m.json").write_text("then")
    (model / "below").mkdir()
    (model / "below" / "x.json").write_text("below")
    (model / "script.json").write_text("#!")
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


def read(folder: Path, ref: str, path: str, limit: int = 100) -> bytes:
    with open_commit(folder, ref) as commit:
        return commit.read(path, limit)


def problem(repository: GitRepository, path: str, limit: int = 100) -> FileProblem:
    with pytest.raises(FileError) as caught:
        read(repository.root, "main", path, limit)
    return caught.value.problem


@pytest.mark.parametrize("ref", ["v1", "v1-annotated", "main~1", "HEAD^", "refs/tags/v1"])
def test_a_file_is_read_as_it_was(repository: GitRepository, ref: str) -> None:
    assert read(repository.root, ref, "model/m.json") == b"then"
    assert read(repository.root, "main", "model/m.json") == b"now"


def test_a_commit_is_named_by_its_full_name_and_by_what_begins_it(
    repository: GitRepository,
) -> None:
    oid = repository.run("rev-parse", "v1").strip()
    for ref in (oid, oid[:10]):
        with open_commit(repository.root, ref) as commit:
            assert commit.oid == oid


def test_the_folder_may_lie_below_the_top_of_the_repository(tmp_path: Path) -> None:
    made = GitRepository.init(tmp_path)
    below = made.root / "a ü" / "b"
    below.mkdir(parents=True)
    (below / "x").write_text("x")
    (made.root / "y").write_text("y")
    made.commit()
    assert read(below, "main", "x") == b"x"
    with pytest.raises(FileError, match="leaves the repository"):
        read(below, "main", "../../y")


def test_neither_work_tree_nor_index_have_a_say(repository: GitRepository) -> None:
    (repository.root / "model" / "m.json").write_text("staged")
    repository.run("add", "--all")
    (repository.root / "model" / "m.json").unlink()
    before = repository.status()
    index = (repository.root / ".git" / "index").read_bytes()
    assert read(repository.root, "HEAD", "model/m.json") == b"now"
    assert repository.status() == before
    assert (repository.root / ".git" / "index").read_bytes() == index


def test_a_link_in_a_commit_is_not_followed(repository: GitRepository) -> None:
    assert problem(repository, "model/link.json") is FileProblem.IRREGULAR
    assert problem(repository, "linked/m.json") is FileProblem.MISSING


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("model/none.json", FileProblem.MISSING),
        ("none/m.json", FileProblem.MISSING),
        ("model/m.json/x", FileProblem.MISSING),
        ("model", FileProblem.IRREGULAR),
        ("../m.json", FileProblem.UNSAFE),
        ("/etc/passwd", FileProblem.UNSAFE),
        ("", FileProblem.UNSAFE),
        ("model\\m.json", FileProblem.UNSAFE),
        ("model/m.json\nHEAD", FileProblem.MISSING),
    ],
)
def test_what_is_no_file_of_the_commit_is_not_read(
    repository: GitRepository, path: str, expected: FileProblem
) -> None:
    assert problem(repository, path) is expected


def test_a_submodule_is_no_file(repository: GitRepository) -> None:
    oid = repository.run("rev-parse", "HEAD").strip()
    repository.run("update-index", "--add", "--cacheinfo", f"160000,{oid},sub")
    repository.run("commit", "--quiet", "--message", "a submodule")
    with pytest.raises(FileError, match="'sub' is a submodule"):
        read(repository.root, "HEAD", "sub")


def test_a_large_file_is_refused_before_it_is_read(repository: GitRepository) -> None:
    assert read(repository.root, "main", "model/m.json", 3) == b"now"
    assert problem(repository, "model/m.json", 2) is FileProblem.TOO_LARGE


def test_the_files_of_a_folder_are_listed(repository: GitRepository) -> None:
    with open_commit(repository.root, "main") as commit:
        assert commit.names_in("model") == ("m.json", "script.json")
        assert commit.names_in(".") == ()
        assert commit.names_in("linked") == commit.names_in("none") == ()
        assert commit.read("model/script.json", 10) == b"#!"


@pytest.mark.parametrize(
    "ref", ["", "-x", "--help", "a b", "a\nb", "HEAD:model", "a\\b", "x" * 251]
)
def test_what_can_be_no_name_of_a_commit_never_reaches_git(
    repository: GitRepository, ref: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(InputError, match="not a valid name of a commit"):
        read(repository.root, ref, "model/m.json")


def test_a_folder_of_a_commit_is_no_commit(repository: GitRepository) -> None:
    with pytest.raises(UnavailableError, match="no such commit"):
        read(repository.root, "HEAD^{tree}", "m.json")


def test_outside_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not in a repository that git can read") as caught:
        read(tmp_path, "main", "x")
    assert "--baseline PATH" in str(caught.value.help)


def test_a_repository_of_somebody_else_is_named_as_such(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "#!/bin/sh\necho \"fatal: detected dubious ownership in repository at '/r'\" >&2; exit 128"
    )
    _stand_in(repository.root.parent, script, monkeypatch)
    with pytest.raises(InputError, match="dubious ownership") as caught:
        read(repository.root, "main", "x")
    assert caught.value.help == (
        "If you trust the checkout: git config --global --add safe.directory /r"
    )


def test_without_git_a_folder_can_be_named(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(repository.root))
    with pytest.raises(UnavailableError, match="no `git` on PATH") as caught:
        read(repository.root, "main", "model/m.json")
    assert "--baseline PATH" in str(caught.value.help)


def test_a_git_in_the_current_folder_is_not_run(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(repository.root, "#!/bin/sh\ntouch was-run", monkeypatch)
    monkeypatch.chdir(repository.root)
    monkeypatch.setenv("PATH", ".")
    with pytest.raises(UnavailableError, match="no `git` on PATH"):
        read(repository.root, "main", "model/m.json")
    assert not (repository.root / "was-run").exists()


# --- what a clone lacks ---------------------------------------------------------------------------


def missing(clone: GitRepository, ref: str) -> str:
    with pytest.raises(UnavailableError, match="no such commit in this clone") as caught:
        read(clone.root, ref, "model/m.json")
    return str(caught.value.help)


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
def test_a_shallow_clone_says_how_to_fetch(
    repository: GitRepository, tmp_path: Path, ref: str
) -> None:
    clone = GitRepository.clone(repository, tmp_path / "clone", "--depth=1")
    assert SHALLOW[ref] in missing(clone, ref)


@pytest.mark.parametrize("ref", ["origin/stable", "v1", "HEAD~1", "origin/main~1"])
def test_what_is_said_brings_the_commit(
    repository: GitRepository, tmp_path: Path, ref: str
) -> None:
    repository.run("branch", "stable", "v1")
    clone = GitRepository.clone(repository, tmp_path / "clone", "--depth=1")
    command = missing(clone, ref).partition("git ")[2].split()
    clone.run(*command)
    assert read(clone.root, ref, "model/m.json") == b"then"


def test_a_whole_clone_is_not_made_shallow(repository: GitRepository, tmp_path: Path) -> None:
    clone = GitRepository.clone(repository, tmp_path / "clone", "--single-branch")
    repository.run("branch", "stable", "v1")
    assert missing(clone, "origin/stable") == (
        "Fetch it: git fetch origin stable:refs/remotes/origin/stable"
    )
    assert missing(clone, "main~9") == "See how far its history goes: git log main"


def test_a_branch_that_only_the_remote_has_is_named(
    repository: GitRepository, tmp_path: Path
) -> None:
    repository.run("branch", "stable", "v1")
    clone = GitRepository.clone(repository, tmp_path / "clone")
    assert missing(clone, "stable") == "This clone has it as a remote branch: git:origin/stable"


def test_a_repository_without_a_remote_says_what_it_has(repository: GitRepository) -> None:
    assert "git branch --all" in missing(repository, "origin/main")


def test_a_repository_without_a_commit_has_none(tmp_path: Path) -> None:
    assert "git branch --all" in missing(GitRepository.init(tmp_path), "HEAD")


def test_a_partial_clone_does_not_fetch_what_it_lacks(
    repository: GitRepository, tmp_path: Path
) -> None:
    clone = GitRepository.clone(
        repository, tmp_path / "clone", "--no-checkout", "--filter=blob:none"
    )
    with pytest.raises(UnavailableError, match=r"model/m\.json: git cannot read it.*partial"):
        read(clone.root, "HEAD", "model/m.json")
    clone.run("cat-file", "-p", "HEAD:model/m.json")  # which does fetch it
    assert read(clone.root, "HEAD", "model/m.json") == b"now"


UNANSWERABLE = {
    "@{u}": "no upstream configured for branch 'main'",
    "main@{upstream}": "no upstream configured for branch 'main'",
    "HEAD@{99}": "log for 'HEAD' only has",
    "HEAD^{tree}": "expected commit type",
}


@pytest.mark.parametrize("ref", UNANSWERABLE)
def test_a_name_at_which_git_fails_is_reported_with_the_reason_of_git(
    repository: GitRepository, ref: str
) -> None:
    with pytest.raises(UnavailableError, match="no such commit in this clone") as caught:
        read(repository.root, ref, "model/m.json")
    assert UNANSWERABLE[ref] in caught.value.message
    assert "git:origin/main" in str(caught.value.help)


def test_an_ambiguous_name_is_reported_as_ambiguous(repository: GitRepository) -> None:
    oids: dict[str, str] = {}
    for number in range(2000):  # until two begin with the same four digits
        blob = repository.root / "blob"
        blob.write_text(str(number))
        oid = repository.run("hash-object", "-w", "blob").strip()
        if oid[:4] in oids:
            break
        oids[oid[:4]] = oid
    with pytest.raises(UnavailableError, match="is ambiguous"):
        read(repository.root, oid[:4], "model/m.json")


# --- what a repository could do -------------------------------------------------------------------


def test_the_callers_variables_do_not_lead_elsewhere(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = GitRepository.init(tmp_path / "other")
    (other.root / "model").mkdir()
    (other.root / "model" / "m.json").write_text("other")
    other.commit()
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other.root / ".git" / "objects"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "broken")
    assert read(repository.root, "main", "model/m.json") == b"now"


@pytest.fixture
def of_another_user(repository: GitRepository) -> GitRepository:
    """A checkout that git reads only if it is trusted."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    for path in (repository.root, repository.root / ".git"):
        os.chown(path, 1234, 1234)
    return repository


def by_count(folder: str, _: Path) -> dict[str, str]:
    return {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "alias.cat-file",
        "GIT_CONFIG_VALUE_0": "!touch ran",
        "GIT_CONFIG_KEY_1": "Safe.Directory",
        "GIT_CONFIG_VALUE_1": folder,
    }


def by_parameters(folder: str, _: Path) -> dict[str, str]:
    return {"GIT_CONFIG_PARAMETERS": f"'safe.directory'='{folder}'"}


def by_global(folder: str, file: Path) -> dict[str, str]:
    file.write_text(f"[safe]\n\tdirectory = {folder}\n")
    return {"GIT_CONFIG_GLOBAL": str(file)}


def by_system(folder: str, file: Path) -> dict[str, str]:
    file.write_text(f"[safe]\n\tdirectory = {folder}\n")
    return {"GIT_CONFIG_SYSTEM": str(file), "GIT_CONFIG_NOSYSTEM": "0"}


ways = pytest.mark.parametrize(
    "way", [by_count, by_parameters, by_global, by_system], ids=lambda f: f.__name__
)


@ways
@pytest.mark.parametrize("trusted", [True, False])
def test_trust_in_a_folder_is_honoured_however_it_is_given(
    of_another_user: GitRepository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[str, Path], dict[str, str]],
    trusted: bool,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = str(of_another_user.root) if trusted else "/elsewhere"
    for name, value in way(folder, tmp_path / "config").items():
        monkeypatch.setenv(name, value)
    if trusted:
        assert read(of_another_user.root, "main", "model/m.json") == b"now"
    else:
        with pytest.raises(InputError, match="dubious ownership"):
            read(of_another_user.root, "main", "model/m.json")
    assert not (of_another_user.root / "ran").exists()


HOSTILE_KEYS = [
    *("core.fsmonitor", "core.pager", "pager.cat-file", "core.sshCommand", "core.gitProxy"),
    *("core.askPass", "diff.external", "alias.cat-file", "alias.rev-parse", "credential.helper"),
    *("core.hooksPath", "diff.x.textconv", "filter.x.smudge", "uploadpack.packObjectsHook"),
]


@pytest.mark.parametrize("way", ["count", "parameters", "global", "system"])
def test_nothing_of_the_callers_configuration_is_run(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    ran = tmp_path / "ran"
    hostile = tmp_path / "hooks" / "post-index-change"
    hostile.parent.mkdir()
    hostile.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hostile.chmod(0o755)
    values = {
        key: f"!{hostile}" if key.startswith("alias") else str(hostile) for key in HOSTILE_KEYS
    }
    values |= {"core.hooksPath": str(hostile.parent), "extensions.partialClone": "origin"}
    values |= {"remote.origin.promisor": "true", "remote.origin.url": f"ext::{hostile}"}
    values |= {"protocol.ext.allow": "always", "core.worktree": str(tmp_path)}
    file = tmp_path / "config"
    if way == "count":
        monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(values)))
        for number, (key, value) in enumerate(values.items()):
            monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
            monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    elif way == "parameters":
        pairs = " ".join(f"'{key}'='{value}'" for key, value in values.items())
        monkeypatch.setenv("GIT_CONFIG_PARAMETERS", pairs)
    else:
        for key, value in values.items():
            repository.run("config", "--file", str(file), key, value)
        monkeypatch.setenv(f"GIT_CONFIG_{way.upper()}", str(file))
    (repository.root / ".gitattributes").write_text("* filter=x diff=x\n")
    blob = repository.run("rev-parse", "v1:model/m.json").strip()
    (repository.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    assert read(repository.root, "main", "model/m.json") == b"now"
    with pytest.raises(UnavailableError, match="git cannot read it"):
        read(repository.root, "v1", "model/m.json")
    assert not ran.exists()


def test_a_configuration_named_relative_to_the_caller_is_not_looked_for_in_the_repository(
    of_another_user: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (of_another_user.root / "config").write_text("[safe]\n\tdirectory = *\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "config")
    with pytest.raises(InputError, match="dubious ownership"):
        read(of_another_user.root, "main", "model/m.json")
    (tmp_path / "config").write_text("[safe]\n\tdirectory = *\n")
    assert read(of_another_user.root, "main", "model/m.json") == b"now"


@pytest.mark.parametrize("name", ["GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"])
def test_a_variable_that_git_cannot_read_trusts_nothing(
    of_another_user: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(name, "broken")
    with pytest.raises(InputError, match="dubious ownership"):
        read(of_another_user.root, "main", "model/m.json")


def test_a_folder_outside_the_work_tree_is_not_read(
    repository: GitRepository, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    repository.run("config", "core.worktree", str(tmp_path / "elsewhere"))
    with pytest.raises(InputError, match="outside the work tree"):
        read(repository.root / "model", "main", "m.json")


def test_a_replaced_object_does_not_replace_the_baseline(repository: GitRepository) -> None:
    old, new = (repository.run("rev-parse", f"{r}:model/m.json").strip() for r in ("v1", "main"))
    repository.run("replace", old, new)
    assert repository.run("cat-file", "-p", "v1:model/m.json") == "now"
    assert read(repository.root, "v1", "model/m.json") == b"then"


def test_nothing_of_the_repository_is_run(repository: GitRepository) -> None:
    ran = repository.root / "ran"
    hostile = repository.root / "hostile"
    hostile.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hostile.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "core.sshCommand", "core.askPass", "diff.external"):
        repository.run("config", key, str(hostile))
    repository.run("config", "core.hooksPath", str(repository.root))
    repository.run("config", "pager.cat-file", "true")
    repository.run("config", "extensions.partialClone", "origin")
    repository.run("config", "remote.origin.promisor", "true")
    repository.run("config", "remote.origin.url", f"ext::{hostile}")
    blob = repository.run("rev-parse", "v1:model/m.json").strip()
    (repository.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    assert read(repository.root, "main", "model/m.json") == b"now"
    with pytest.raises(UnavailableError, match="git cannot read it"):
        read(repository.root, "v1", "model/m.json")
    assert not ran.exists()


def test_a_folder_that_poses_as_a_repository_is_none(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    GitRepository(bare).run("init", "--quiet", "--bare")
    with pytest.raises(InputError, match="not in a repository that git can read"):
        read(bare, "HEAD", "x")


def test_a_damaged_object_is_no_content(repository: GitRepository) -> None:
    blob = repository.run("rev-parse", "main:model/m.json").strip()
    stored = repository.root / ".git" / "objects" / blob[:2] / blob[2:]
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:10])
    with pytest.raises(UnavailableError, match="git cannot read it"):
        read(repository.root, "main", "model/m.json")


def test_a_repository_of_sha256_objects_is_read_too(tmp_path: Path) -> None:
    made = GitRepository(tmp_path)
    made.run("init", "--quiet", "--object-format=sha256", "--initial-branch=main")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "m.json").write_text("now")
    made.commit()
    assert read(tmp_path, "main", "model/m.json") == b"now"


# --- a git that does not do as it should ----------------------------------------------------------


def _stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `git` of ours, which comes first on PATH."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    for name in (tools / "git", folder / "git"):
        name.write_text(script)
        name.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")


PREFIX = '#!/bin/sh\ncase "$*" in *rev-parse*) echo; exit 0;; esac\n'
OID = "1" * 40
CHECK = (
    'case "$*" in *--batch-check*) while read x; do case "$x" in '
    f"*commit*) echo {OID} commit 3;; *) echo {OID} tree 9;; esac; done;; esac\nread x\n"
)


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        "exec 0<&-; sleep 0.2; exit 1",
        "read x; printf 'no end of line'",
        f"{CHECK}printf '{OID} tree 9'",
        f"{CHECK}printf '{OID} tree 9\\nab'",
        f"{CHECK}printf '{OID} tree 9\\n100644 ab\\n'",
        f"{CHECK}printf '{OID} tree 9\\n100644 ab\\0cd\\n'",
        f"{CHECK}printf '{OID} tree 8\\n123456789\\n'",
        f"{CHECK}printf '{OID} missing\\n'",
    ],
)
def test_a_git_that_answers_nonsense_is_an_error_and_no_content(
    repository: GitRepository, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(repository.root.parent, PREFIX + script, monkeypatch)
    with time_limit(20), pytest.raises(UnavailableError, match="git cannot read it"):
        read(repository.root, "main", "model/m.json")


@pytest.mark.parametrize("script", ["#!/bin/sh\nexec sleep 30", f"{PREFIX}exec sleep 30"])
def test_a_git_that_hangs_is_given_up(
    repository: GitRepository, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_command, "SECONDS", 0.3)
    _stand_in(repository.root.parent, script, monkeypatch)
    with time_limit(20), pytest.raises(UnavailableError, match="did not answer within"):
        read(repository.root, "main", "model/m.json")
