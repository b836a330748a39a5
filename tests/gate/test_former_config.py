# SPDX-License-Identifier: Apache-2.0
"""A baseline is read through its own configuration, and changes of the configuration are shown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from provenance import check, load_config
from provenance.artifacts.baseline import BaselineName
from provenance.artifacts.documents.toml_text import Tables
from provenance.errors import InputError
from provenance.evidence import policy
from provenance.evidence.baseline import open_baseline
from provenance.gate.finding import Finding, Report, Severity
from tests.support.command import run_cli
from tests.support.git import GitRepository
from tests.support.repository import Repository

FIRST = 'registry = "model/registry.json"\n'
DECOY = 'registry = "model/decoy.json"\n'
DEFERRAL = """[[deferral]]
rule = "BAS801"
rows = ["a"]
reason = "superseded"
reference = "ADR-1"
expires = 2026-12-31
"""
WORKFLOW = """[[trust.github]]
repository = "o/r"
ref = "refs/tags/*"
workflow = ".github/workflows/a.yml"
"""
TWO_WORKFLOWS = WORKFLOW + WORKFLOW.replace("o/r", "o/s")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository that trusts no key."""
    return Repository(tmp_path / "repository")


@pytest.fixture
def git(repository: Repository) -> GitRepository:
    """A repository with the rows a and b, without a commit."""
    made = GitRepository.init(repository.root)
    repository.add("a")
    repository.add("b")
    repository.save()
    configure(made, FIRST)
    return made


@pytest.fixture
def moved(git: GitRepository) -> GitRepository:
    """A commit of that repository, whose registry then moved and lost the row a."""
    git.commit()
    lose_a_behind(git, "model/decoy.json")
    configure(git, DECOY)
    return git


@pytest.fixture
def then(git: GitRepository, tmp_path: Path) -> Path:
    """A folder with the former registry at another path."""
    folder = tmp_path / "then"
    (folder / "old").mkdir(parents=True)
    configure(GitRepository(folder), 'registry = "old/index.json"\nbaseline = "git:main"\n')
    shutil.copy(git.root / "model" / "registry.json", folder / "old" / "index.json")
    return folder


def configure(git: GitRepository, text: str, name: str = "provenance.toml") -> None:
    (git.root / name).write_text(text, "utf-8")


def lose_a_behind(git: GitRepository, path: str) -> None:
    """Copy the registry to another path, without the row `a`."""
    registry = json.loads((git.root / "model" / "registry.json").read_text("utf-8"))
    registry["models"] = [row for row in registry["models"] if row["id"] != "a"]
    (git.root / path).write_text(json.dumps(registry), "utf-8")


def compared(git: GitRepository, baseline: str = "git:main", **options: Any) -> Report:
    return check(load_config(git.root, **options), baseline=baseline)


def changed(git: GitRepository, then: str, now: str) -> list[str]:
    """Return the changes of a configuration, `then` and `now` below its first line."""
    configure(git, FIRST + then)
    git.commit()
    configure(git, FIRST + now)
    return changes(compared(git))


def of_policy(report: Report) -> list[Finding]:
    return [f for f in report.findings if f.code == "BAS810"]


def changes(report: Report) -> list[str]:
    return [f.message for f in of_policy(report)]


def lost(report: Report) -> set[tuple[str, str | None]]:
    return {(f.code, f.row) for f in report.findings if f.code.startswith("BAS80")}


# --- which registry is read ---------------------------------------------------------------------


def test_a_registry_that_moves_is_compared_with_the_one_at_its_former_path(
    moved: GitRepository,
) -> None:
    report = compared(moved)
    assert lost(report) == {("BAS801", "a")}
    assert changes(report) == [
        '`registry` is "model/decoy.json"; git:main has "model/registry.json"'
    ]


def test_a_former_registry_at_the_new_path_is_not_the_baseline(git: GitRepository) -> None:
    lose_a_behind(git, "model/decoy.json")  # committed earlier, by an unsuspicious change
    git.commit()
    configure(git, DECOY)
    assert lost(compared(git)) == {("BAS801", "a")}


@pytest.mark.parametrize(
    ("former", "present", "registry", "now", "expected"),
    [
        (  # provenance.toml goes before pyproject.toml
            ("pyproject.toml", f"[tool.provenance]\n{FIRST}"),
            ("provenance.toml", DECOY),
            "model/decoy.json",
            ".",
            'the configuration is "provenance.toml"; git:main has "pyproject.toml"',
        ),
        (
            ("provenance.toml", FIRST),
            ("model/provenance.toml", 'registry = "decoy.json"\n'),
            "model/decoy.json",
            "model",
            'the configuration is "provenance.toml"; git:main has "../provenance.toml"',
        ),
        (
            ("model/provenance.toml", 'registry = "registry.json"\n'),
            ("provenance.toml", 'registry = "decoy.json"\n'),
            "decoy.json",
            "model",
            'the configuration is "provenance.toml"; git:main has "model/provenance.toml"',
        ),
    ],
    ids=["beside", "below", "above"],
)
def test_another_configuration_does_not_take_the_place_of_the_former(
    git: GitRepository,
    former: tuple[str, str],
    present: tuple[str, str],
    registry: str,
    now: str,
    expected: str,
) -> None:
    (git.root / "provenance.toml").unlink()
    configure(git, former[1], former[0])
    git.commit()
    (git.root / former[0]).unlink()
    lose_a_behind(git, registry)
    configure(git, present[1], present[0])
    report = check(load_config(git.root / now), baseline="git:main")
    assert ("BAS801", "a") in lost(report)
    assert changes(report)[0] == expected


def test_documents_that_moved_with_the_registry_are_compared(repository: Repository) -> None:
    git = GitRepository.init(repository.root)
    repository.add_ensemble("ens")
    repository.add_sidecar(repository.add("m"))
    repository.save()
    git.commit()
    repository.models.rename(git.root / "models")
    configure(git, 'registry = "models/registry.json"\n')
    assert lost(compared(git)) == set()
    (git.root / "models" / "m.json").unlink()
    (gone,) = [f for f in compared(git).findings if f.code == "BAS808"]
    assert "git show main:./model/m.json > models/m.json" in gone.help


def test_a_folder_is_read_through_its_own_configuration(git: GitRepository, then: Path) -> None:
    lose_a_behind(git, "model/registry.json")
    report = compared(git, str(then))
    assert lost(report) == {("BAS801", "a")}
    assert [m.partition(" is ")[0] for m in changes(report)] == ["`registry`", "`baseline`"]


def test_a_result_is_not_written_over_the_former_registry(git: GitRepository, then: Path) -> None:
    index = then / "old" / "index.json"
    before = index.read_bytes()
    done = run_cli("check", "-C", git.root, "--baseline", then, "--output", index)
    assert done.code == 2
    assert index.read_bytes() == before


def test_restore_reads_the_former_registry_too(moved: GitRepository) -> None:
    done = run_cli("restore", "-C", moved.root, "--baseline", "git:main")
    assert done.code == 0, done.err
    back = json.loads((moved.root / "model" / "decoy.json").read_text("utf-8"))
    assert [row["id"] for row in back["models"]] == ["a", "b"]


# --- baselines without a configuration, and configurations outside of the baseline --------------


def test_a_baseline_without_a_configuration_is_noted(git: GitRepository) -> None:
    (git.root / "provenance.toml").unlink()
    git.commit()
    configure(git, FIRST + DEFERRAL)
    report = compared(git)
    assert changes(report) == []
    expected = "git:main has no configuration: its registry was read at the present path"
    assert expected in report.notes[0]


def test_a_registry_alone_shows_no_policy(git: GitRepository) -> None:
    report = compared(git, str(git.root / "model" / "registry.json"))
    assert "changes of the configuration are not judged" in report.notes[0]


def test_a_configuration_outside_the_repository_applies_to_both(
    git: GitRepository, tmp_path: Path
) -> None:
    git.commit()
    own = tmp_path / "policy.toml"
    own.write_text(FIRST + DEFERRAL, "utf-8")
    configure(git, DECOY)
    report = compared(git, explicit=own)
    assert changes(report) == []
    assert report.notes == (
        "the configuration policy.toml is not part of git:main: it was applied to both, and "
        "changes of the configuration are not judged",
    )


def test_a_configuration_given_by_its_path_is_compared_with_the_former(git: GitRepository) -> None:
    (git.root / "ci").mkdir()
    configure(git, FIRST, "ci/policy.toml")
    git.commit()
    lose_a_behind(git, "model/decoy.json")
    configure(git, DECOY, "ci/policy.toml")
    report = compared(git, explicit=git.root / "ci" / "policy.toml")
    assert lost(report) == {("BAS801", "a")}
    assert len(changes(report)) == 1


def test_a_link_from_outside_leads_to_the_configuration_in_the_tree(
    git: GitRepository, tmp_path: Path
) -> None:
    git.commit()
    link = tmp_path / "link.toml"
    link.symlink_to(git.root / "provenance.toml")
    configure(git, FIRST + DEFERRAL)
    assert any("[[deferral]] 1 is" in text for text in changes(compared(git, explicit=link)))


def test_a_new_configuration_given_by_its_path_is_noted(git: GitRepository) -> None:
    git.commit()
    configure(git, FIRST, "new.toml")
    report = compared(git, explicit=git.root / "new.toml")
    assert "git:main does not have new.toml, which --config names" in report.notes[0]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"registry = [", "provenance.toml: not TOML"),
        (b"registry = '\xff'", "provenance.toml: not UTF-8"),
        (b"registri = 1", "unknown key"),
        (b"", "`registry` is missing"),
        (b"#" * (4 * 1024 * 1024 + 1), "provenance.toml"),
        (f"{FIRST}run{'.a' * 15} = 1".encode(), "unknown key `run.a`"),
        (f"{FIRST}baseline{'.a' * 15} = 1".encode(), "`baseline`: expected a non-empty string"),
        (f"{FIRST}run{'.a' * 2000} = 1".encode(), "more than 16 names in a dotted key"),
        ("link", "'provenance.toml' is a link, not a regular file"),
        ("folder", "'provenance.toml' is a folder, not a regular file"),
    ],
    ids=[
        *("syntax", "encoding", "key", "registry", "size", "run", "baseline", "deep"),
        *("link", "folder"),
    ],
)
def test_a_broken_configuration_of_the_baseline_is_an_error(
    git: GitRepository, broken: bytes | str, reason: str
) -> None:
    path = git.root / "provenance.toml"
    path.unlink()
    if isinstance(broken, bytes):
        path.write_bytes(broken)
    elif broken == "link":
        path.symlink_to("model/provenance.toml")
    else:
        path.mkdir()
        (path / "kept").touch()
    git.commit()
    git.run("rm", "-rfq", "provenance.toml")
    configure(git, FIRST)
    with pytest.raises(InputError) as caught:
        compared(git)
    assert caught.value.message.startswith("baseline git:main: ")
    assert reason in caught.value.message
    assert "--baseline none" in str(caught.value.help)


# --- what has changed ---------------------------------------------------------------------------

OTHER = DEFERRAL.replace('"a"', '"b"')
MEMBERS = '"reason": "superseded", "reference": "ADR-1", "rows": ["a"], "rule": "BAS801"}'


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (DEFERRAL, "# a comment\n" + DEFERRAL.replace(" = ", "=")),
        (DEFERRAL + OTHER, OTHER + DEFERRAL),
    ],
    ids=["spelling", "order"],
)
def test_the_spelling_and_order_of_a_configuration_are_not_compared(
    git: GitRepository, then: str, now: str
) -> None:
    assert changed(git, then, now) == []


@pytest.mark.parametrize(
    ("then", "now", "message"),
    [
        (
            "",
            DEFERRAL,
            f'[[deferral]] 1 is {{"expires": "2026-12-31", {MEMBERS}; git:main does not have it',
        ),
        (
            DEFERRAL,
            "",
            '[[deferral]] 1 of the baseline is missing; git:main has {"expires": "2026-12-31", '
            + MEMBERS,
        ),
        (
            DEFERRAL,
            DEFERRAL.replace("2026", "2036"),
            '`expires` of [[deferral]] 1 ("BAS801") is "2036-12-31"; git:main has "2026-12-31"',
        ),
        (
            DEFERRAL,
            DEFERRAL.replace("expires = 2026-12-31\n", ""),
            '`expires` of [[deferral]] 1 ("BAS801") is missing; git:main has "2026-12-31"',
        ),
        (
            DEFERRAL,
            DEFERRAL.replace('"a"', '"*"'),
            '`rows` of [[deferral]] 1 ("BAS801") is ["*"]; git:main has ["a"]',
        ),
        (
            f"[trust]\nsignatures = 2\n{TWO_WORKFLOWS}",
            TWO_WORKFLOWS,
            "`trust.signatures` is missing; git:main has 2",
        ),
        (
            WORKFLOW,
            WORKFLOW.replace("a.yml", "b.yml"),
            '`workflow` of [[trust.github]] 1 ("o/r") is ".github/workflows/b.yml"; git:main has '
            '".github/workflows/a.yml"',
        ),
        ('baseline = "git:main"\n', 'baseline = "none"\n', '`baseline` is "none"; git:main has '),
        ('repository = "o/r"\n', "", '`repository` is missing; git:main has "o/r"'),
        ("", "[layout]\nexpires = 90\n", "`layout.expires` is 90; git:main does not have it"),
        # A change of policy cannot be deferred.
        ("", DEFERRAL.replace("BAS801", "BAS810").replace('"a"', '"*"'), "[[deferral]] 1 is"),
    ],
)
def test_a_change_of_policy_shows_both_values(
    git: GitRepository, then: str, now: str, message: str
) -> None:
    (text,) = changed(git, then, now)
    assert text.startswith(message)


def test_a_change_of_policy_is_a_warning_at_its_line(git: GitRepository) -> None:
    changed(git, DEFERRAL, f"\n{DEFERRAL.replace('2026', '2036')}")
    (found,) = of_policy(compared(git))
    assert (found.severity, found.path, found.row) == (Severity.WARNING, "provenance.toml", None)
    assert found.position is not None
    assert found.position.line == 8


@pytest.mark.parametrize(
    ("now", "line"),
    [(f"\n{DECOY}", 2), (f"{DECOY}[run]\n[trust]\n", 1), ('"registry" = "model/decoy.json"\n', 1)],
)
def test_a_registry_that_moved_is_reported_at_its_key(
    moved: GitRepository, now: str, line: int
) -> None:
    configure(moved, now)
    found = of_policy(compared(moved))[0]
    assert found.position is not None
    assert found.position.line == line


def test_a_key_of_the_same_name_with_other_bytes_is_a_change(git: GitRepository) -> None:
    configure(git, f'{FIRST}[[trust.key]]\npath = "release.pub"\n')
    key = git.root / "release.pub"
    key.write_text("one")
    git.commit()
    key.write_text("two")
    (text,) = changes(compared(git))
    assert text.startswith('`trust.key` "release.pub" is a file with the SHA-256 3fc4ccfe7458…;')
    key.unlink()
    (text,) = changes(compared(git))
    assert "is a file that cannot be read; git:main has a file with the SHA-256" in text


def test_hostile_keys_and_values_are_escaped_and_cut(git: GitRepository) -> None:
    then, now = (f'[layout]\nkeys = ["{"k" * 500}{end}"]\n' for end in ("a", "\\u001b[2K\\u202e"))
    (text,) = changed(git, then, now)
    assert text.isprintable()
    assert "kkkk" in text
    assert len(text) < 400


def test_very_many_changes_are_counted(git: GitRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "_MOST", 2)
    texts = changed(git, "", "".join(DEFERRAL.replace('"a"', f'"{n}"') for n in range(5)))
    assert len(texts) == 3
    assert "the configuration is another; git:main has other values of more than 2 keys" in texts


def test_thousands_of_changes_take_work_in_proportion_to_their_text(git: GitRepository) -> None:
    then = "".join(DEFERRAL.replace('"a"', f'"{n}"') for n in range(3000))
    configure(git, FIRST + then)
    git.commit()
    configure(git, FIRST + then.replace("2026", "2036"))
    config = load_config(git.root)
    with (
        mock.patch.object(Tables, "locate", autospec=True, side_effect=Tables.locate) as locate,
        open_baseline(BaselineName("git:main", git.root), config) as opened,
    ):
        assert len(policy.policy_changes(opened, config)) == 201
    assert locate.call_count < 300
