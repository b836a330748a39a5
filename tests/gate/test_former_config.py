# SPDX-License-Identifier: Apache-2.0
"""A baseline is read through its own configuration, and what the configuration changed is shown."""

from __future__ import annotations

import json
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
from provenance.gate.finding import Report, Severity
from tests.support.command import run_cli
from tests.support.git import GitRepository
from tests.support.repository import Repository

FIRST = 'registry = "model/registry.json"\n'
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


def configure(git: GitRepository, text: str, name: str = "provenance.toml") -> None:
    (git.root / name).write_text(text, "utf-8")


def compared(git: GitRepository, baseline: str = "git:main", **options: Any) -> Report:
    return check(load_config(git.root, **options), baseline=baseline)


def changes(report: Report) -> list[str]:
    return [f.message for f in report.findings if f.code == "BAS810"]


def changed(git: GitRepository, then: str, now: str) -> list[str]:
    """What is said of a configuration that was `then` and is `now`, both below the first line."""
    configure(git, FIRST + then)
    git.commit()
    configure(git, FIRST + now)
    return changes(compared(git))


# --- which registry is read -----------------------------------------------------------------------


def lose_a_behind(git: GitRepository, path: str) -> None:
    """Copy the registry to another path, without the row `a`."""
    registry = json.loads((git.root / "model" / "registry.json").read_text("utf-8"))
    registry["models"] = [row for row in registry["models"] if row["id"] != "a"]
    target = git.root / path
    target.write_text(json.dumps(registry), "utf-8")


def lost(report: Report) -> set[tuple[str, str | None]]:
    return {(f.code, f.row) for f in report.findings if f.code.startswith("BAS80")}


def test_a_registry_that_moves_is_compared_with_the_one_at_its_former_path(
    git: GitRepository,
) -> None:
    git.commit()
    lose_a_behind(git, "model/decoy.json")
    configure(git, 'registry = "model/decoy.json"\n')
    report = compared(git)
    assert lost(report) == {("BAS801", "a")}
    assert changes(report) == [
        '`registry` is "model/decoy.json"; git:main has "model/registry.json"'
    ]


def test_a_former_registry_at_the_new_path_is_not_the_baseline(git: GitRepository) -> None:
    lose_a_behind(git, "model/decoy.json")  # committed earlier, by an unsuspicious change
    git.commit()
    configure(git, 'registry = "model/decoy.json"\n')
    assert lost(compared(git)) == {("BAS801", "a")}


def test_a_second_configuration_does_not_take_the_place_of_the_former(git: GitRepository) -> None:
    (git.root / "provenance.toml").unlink()
    configure(git, f"[tool.provenance]\n{FIRST}", "pyproject.toml")
    git.commit()
    lose_a_behind(git, "model/decoy.json")
    configure(git, 'registry = "model/decoy.json"\n')  # goes before pyproject.toml
    report = compared(git)
    assert lost(report) == {("BAS801", "a")}
    assert changes(report)[0] == (
        'the configuration is "provenance.toml"; git:main has "pyproject.toml"'
    )


def test_a_configuration_in_a_subfolder_does_not_hide_the_one_above_it(
    git: GitRepository,
) -> None:
    git.commit()
    lose_a_behind(git, "model/decoy.json")
    (git.root / "model" / "provenance.toml").write_text('registry = "decoy.json"\n', "utf-8")
    report = check(load_config(git.root / "model"), baseline="git:main")
    assert lost(report) == {("BAS801", "a")}
    assert changes(report) == [
        'the configuration is "provenance.toml"; git:main has "../provenance.toml"',
        '`registry` is "decoy.json"; git:main has "registry.json"',
    ]


def test_a_configuration_that_is_gone_from_a_subfolder_is_still_the_former(
    git: GitRepository,
) -> None:
    own = git.root / "model" / "provenance.toml"
    own.write_text('registry = "registry.json"\n', "utf-8")
    lose_a_behind(git, "decoy.json")
    configure(git, 'registry = "decoy.json"\n')
    git.commit()
    own.unlink()
    report = check(load_config(git.root / "model"), baseline="git:main")
    assert ("BAS801", "a") in lost(report)
    assert changes(report)[0] == (
        'the configuration is "provenance.toml"; git:main has "model/provenance.toml"'
    )


def test_documents_that_moved_with_the_registry_are_not_lost(repository: Repository) -> None:
    git = GitRepository.init(repository.root)
    repository.add_ensemble("ens")
    repository.save()
    git.commit()
    repository.models.rename(git.root / "models")
    configure(git, 'registry = "models/registry.json"\n')
    assert lost(compared(git)) == set()


def test_a_sidecar_that_the_move_lost_is_missed(repository: Repository) -> None:
    git = GitRepository.init(repository.root)
    repository.add_sidecar(repository.add("m"))
    repository.save()
    git.commit()
    repository.path("m.json").unlink()
    repository.models.rename(git.root / "models")
    configure(git, 'registry = "models/registry.json"\n')
    (gone,) = [f for f in compared(git).findings if f.code == "BAS808"]
    assert "git show main:./model/m.json > models/m.json" in gone.help


def test_a_folder_is_read_through_its_own_configuration(git: GitRepository, tmp_path: Path) -> None:
    then = tmp_path / "then"
    (then / "old").mkdir(parents=True)
    configure(GitRepository(then), 'registry = "old/index.json"\nbaseline = "git:main"\n')
    registry = git.root / "model" / "registry.json"
    (then / "old" / "index.json").write_bytes(registry.read_bytes())
    lose_a_behind(git, "model/registry.json")
    report = compared(git, str(then))
    assert lost(report) == {("BAS801", "a")}
    assert [m.partition(" is ")[0] for m in changes(report)] == ["`registry`", "`baseline`"]


def test_restore_reads_the_former_registry_too(git: GitRepository) -> None:
    git.commit()
    lose_a_behind(git, "model/decoy.json")
    configure(git, 'registry = "model/decoy.json"\n')
    done = run_cli("restore", "-C", git.root, "--baseline", "git:main")
    assert done.code == 0, done.err
    back = json.loads((git.root / "model" / "decoy.json").read_text("utf-8"))
    assert [row["id"] for row in back["models"]] == ["a", "b"]


# --- baselines without a configuration, and configurations that are not theirs --------------------


def test_a_baseline_without_a_configuration_is_reported(git: GitRepository) -> None:
    text = (git.root / "provenance.toml").read_text("utf-8")
    (git.root / "provenance.toml").unlink()
    git.commit()
    configure(git, text + DEFERRAL)
    report = compared(git)
    assert changes(report) == []
    assert (
        "git:main has no configuration: its registry was read at the present path"
        in (report.notes[0])
    )


def test_a_registry_alone_shows_no_policy(git: GitRepository) -> None:
    report = compared(git, str(git.root / "model" / "registry.json"))
    assert "changes of the configuration are not judged" in report.notes[0]


def test_a_configuration_outside_the_repository_applies_to_both(
    git: GitRepository, tmp_path: Path
) -> None:
    git.commit()
    own = tmp_path / "policy.toml"
    own.write_text(FIRST + DEFERRAL, "utf-8")
    configure(git, 'registry = "model/decoy.json"\n')
    report = compared(git, explicit=own)
    assert changes(report) == []
    assert report.notes == (
        "the configuration policy.toml is not part of git:main: it was applied to both, and "
        "changes of the configuration are not judged",
    )


def test_a_configuration_that_was_named_in_the_tree_is_compared_with_the_former(
    git: GitRepository,
) -> None:
    (git.root / "ci").mkdir()
    named = git.root / "ci" / "policy.toml"
    named.write_text(FIRST, "utf-8")
    git.commit()
    lose_a_behind(git, "model/decoy.json")
    named.write_text('registry = "model/decoy.json"\n', "utf-8")
    report = compared(git, explicit=named)
    assert lost(report) == {("BAS801", "a")}
    assert len(changes(report)) == 1


def test_a_link_outside_leads_to_the_configuration_in_the_tree(
    git: GitRepository, tmp_path: Path
) -> None:
    git.commit()
    link = tmp_path / "link.toml"
    link.symlink_to(git.root / "provenance.toml")
    configure(git, FIRST + DEFERRAL)
    assert any("[[deferral]] 1 is" in text for text in changes(compared(git, explicit=link)))


def test_a_named_configuration_that_is_new_is_reported(git: GitRepository) -> None:
    git.commit()
    configure(git, FIRST, "new.toml")
    report = compared(git, explicit=git.root / "new.toml")
    assert "git:main does not have new.toml, which --config names" in report.notes[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("registry = [", "provenance.toml: not TOML"),
        (b"registry = '\xff'", "provenance.toml: not UTF-8"),
        ("registri = 1", "unknown key"),
        ("", "`registry` is missing"),
        ("#" * (4 * 1024 * 1024 + 1), "provenance.toml"),
        (f"{FIRST}run{'.a' * 15} = 1", "unknown key `run.a`"),
        (f"{FIRST}baseline{'.a' * 15} = 1", "`baseline`: expected a non-empty string"),
        (f"{FIRST}run{'.a' * 2000} = 1", "more than 16 names in a dotted key"),
        (None, "'provenance.toml' is a link, not a regular file"),
        (Path(), "'provenance.toml' is a folder, not a regular file"),
    ],
    ids=[
        "syntax",
        "encoding",
        "key",
        "registry",
        "size",
        "run",
        "baseline",
        "deep",
        "link",
        "folder",
    ],
)
def test_a_broken_configuration_of_the_baseline_is_never_replaced_by_the_present_one(
    git: GitRepository, text: str | bytes | Path | None, reason: str
) -> None:
    path = git.root / "provenance.toml"
    path.unlink()
    if text is None:
        path.symlink_to("model/provenance.toml")
    elif isinstance(text, Path):
        path.mkdir()
        (path / "kept").touch()
    else:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    git.commit()
    git.run("rm", "-rq", "--cached", "provenance.toml")
    if isinstance(text, Path):
        (path / "kept").unlink()
        path.rmdir()
    else:
        path.unlink()
    configure(git, FIRST)
    with pytest.raises(InputError) as caught:
        compared(git)
    assert caught.value.message.startswith("baseline git:main: ")
    assert reason in caught.value.message
    assert "--baseline none" in str(caught.value.help)


# --- what has changed -----------------------------------------------------------------------------


def test_an_unchanged_configuration_says_nothing(git: GitRepository) -> None:
    assert changed(git, DEFERRAL, "# a comment\n" + DEFERRAL.replace(" = ", "=")) == []


def test_entries_in_another_order_say_nothing(git: GitRepository) -> None:
    other = DEFERRAL.replace('"a"', '"b"')
    assert changed(git, DEFERRAL + other, other + DEFERRAL) == []


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        (
            "",
            DEFERRAL,
            '[[deferral]] 1 is {"expires": "2026-12-31", "reason": "superseded", "reference": '
            '"ADR-1", "rows": ["a"], "rule": "BAS801"}; git:main does not have it',
        ),
        (
            DEFERRAL,
            "",
            '[[deferral]] 1 of the baseline is missing; git:main has {"expires": "2026-12-31", '
            '"reason": "superseded", "reference": "ADR-1", "rows": ["a"], "rule": "BAS801"}',
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
            f"[trust]\nsignatures = 2\n{WORKFLOW}{WORKFLOW.replace('o/r', 'o/s')}",
            f"{WORKFLOW}{WORKFLOW.replace('o/r', 'o/s')}",
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
    ],
)
def test_a_change_of_policy_shows_both_values(
    git: GitRepository, then: str, now: str, said: str
) -> None:
    (text,) = changed(git, then, now)
    assert text.startswith(said)


def test_a_change_of_policy_is_a_warning_at_its_line(git: GitRepository) -> None:
    configure(git, f"{FIRST}{DEFERRAL}")
    git.commit()
    configure(git, f"{FIRST}\n{DEFERRAL.replace('2026', '2036')}")
    (found,) = [f for f in compared(git).findings if f.code == "BAS810"]
    assert (found.severity, found.path, found.row) == (Severity.WARNING, "provenance.toml", None)
    assert found.position is not None
    assert found.position.line == 8


@pytest.mark.parametrize(
    ("now", "line"),
    [
        ('\nregistry = "model/decoy.json"\n', 2),
        ("[run]\n[trust]\n", 1),
        ('"registry" = "model/decoy.json"\n', 1),
    ],
)
def test_a_registry_that_moved_is_reported_at_its_key(
    git: GitRepository, now: str, line: int
) -> None:
    git.commit()
    lose_a_behind(git, "model/decoy.json")
    configure(git, now if "decoy" in now else f'registry = "model/decoy.json"\n{now}')
    found = next(f for f in compared(git).findings if f.code == "BAS810")
    assert found.position is not None
    assert found.position.line == line


def test_a_key_of_the_same_name_with_other_bytes_is_a_change(git: GitRepository) -> None:
    configure(git, f'{FIRST}[[trust.key]]\npath = "release.pub"\n')
    (git.root / "release.pub").write_text("one")
    git.commit()
    (git.root / "release.pub").write_text("two")
    (text,) = changes(compared(git))
    assert text.startswith('`trust.key` "release.pub" is a file with the SHA-256 3fc4ccfe7458…;')
    (git.root / "release.pub").unlink()
    (text,) = changes(compared(git))
    assert "is a file that cannot be read; git:main has a file with the SHA-256" in text


def test_hostile_keys_and_values_are_escaped_and_cut(git: GitRepository) -> None:
    configure(git, f'{FIRST}[layout]\nkeys = ["{"k" * 500}a"]\n')
    git.commit()
    configure(git, f'{FIRST}[layout]\nkeys = ["{"k" * 500}\\u001b[2K\\u202e"]\n')
    (text,) = changes(compared(git))
    assert text.isprintable()
    assert "kkkk" in text
    assert len(text) < 400


def test_changes_without_number_are_counted(
    git: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "_MOST", 2)
    texts = changed(git, "", "".join(DEFERRAL.replace('"a"', f'"{n}"') for n in range(5)))
    assert len(texts) == 3
    assert "the configuration is another; git:main has other values of more than 2 keys" in texts


def test_thousands_of_changes_take_no_longer_than_their_text(git: GitRepository) -> None:
    then = "".join(DEFERRAL.replace('"a"', f'"{n}"') for n in range(3000))
    configure(git, FIRST + then)
    git.commit()
    configure(git, FIRST + then.replace("2026", "2036"))
    located = 0
    real = Tables.locate

    def locate(self: Tables, *arguments: Any) -> Any:
        nonlocal located
        located += 1
        return real(self, *arguments)

    config = load_config(git.root)
    with (
        mock.patch.object(Tables, "locate", locate),
        open_baseline(BaselineName("git:main", git.root), config) as opened,
    ):
        assert len(policy.policy_changes(opened, config)) == 201
    assert located < 300


def test_a_change_of_policy_cannot_be_deferred(git: GitRepository) -> None:
    said = changed(git, "", DEFERRAL.replace("BAS801", "BAS810").replace('"a"', '"*"'))
    assert len(said) == 1


def test_a_result_is_not_written_over_what_the_former_configuration_names(
    git: GitRepository, tmp_path: Path
) -> None:
    then = tmp_path / "then"
    (then / "old").mkdir(parents=True)
    configure(GitRepository(then), 'registry = "old/index.json"\n')
    index = then / "old" / "index.json"
    index.write_bytes((git.root / "model" / "registry.json").read_bytes())
    before = index.read_bytes()
    done = run_cli("check", "-C", git.root, "--baseline", then, "--output", index)
    assert done.code == 2
    assert index.read_bytes() == before
