# SPDX-License-Identifier: Apache-2.0
"""The configuration is read strictly, because a misspelt policy would not be enforced."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from provenance.artifacts import limits
from provenance.artifacts.documents.strict_json import Position
from provenance.config import Config, load, trust_from_file, trust_from_keys
from provenance.errors import InputError
from provenance.runtime.settings import RunSettings
from tests.support.keys import PUBLIC, KeyPair

MINIMAL = 'registry = "model/registry.json"\n'


def config(tmp_path: Path, text: str, name: str = "provenance.toml") -> Config:
    (tmp_path / name).write_text(text)
    return load(tmp_path)


def refusal(tmp_path: Path, text: str, name: str = "provenance.toml") -> InputError:
    with pytest.raises(InputError) as raised:
        config(tmp_path, text, name)
    return raised.value


def test_one_line_is_enough(tmp_path: Path) -> None:
    found = config(tmp_path, MINIMAL)
    assert (found.registry, found.path, found.root) == (
        "model/registry.json",
        "provenance.toml",
        tmp_path,
    )
    assert found.deferrals == ()
    assert found.trust() is None


def test_the_nearest_configuration_above_counts(tmp_path: Path) -> None:
    (tmp_path / "provenance.toml").write_text('registry = "outer.json"\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").write_text('[tool.provenance]\nregistry = "inner.json"\n')
    found = load(below)
    assert (found.registry, found.root) == ("inner.json", tmp_path / "a")


def test_a_pyproject_without_the_table_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "provenance.toml").write_text(MINIMAL)
    below = tmp_path / "package"
    below.mkdir()
    for text in ("[project]\nname = 'x'\n", "tool = 5\n", "[tool.other]\n"):
        (below / "pyproject.toml").write_text(text)
        assert load(below).root == tmp_path


def test_its_own_file_is_preferred_to_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.provenance]\nregistry = "other.json"\n')
    assert config(tmp_path, MINIMAL).registry == "model/registry.json"


def test_one_configuration_serves_many_trees(tmp_path: Path) -> None:
    elsewhere = tmp_path / "policy.toml"
    elsewhere.write_text(MINIMAL)
    tree = tmp_path / "tree"
    tree.mkdir()
    found = load(tree, elsewhere)
    assert (found.root, found.path) == (tree, "policy.toml")


def test_a_named_pyproject_without_the_table_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    with pytest.raises(InputError, match=r"no \[tool.provenance\]"):
        load(tmp_path, tmp_path / "pyproject.toml")


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ('regsitry = "x"\n', "unknown key `regsitry`", "Did you mean `registry`?"),
        (MINIMAL + "zzzzzz = 1\n", "unknown key `zzzzzz`", "Known keys: "),
        (MINIMAL + "[trust]\nkeys = []\n", "unknown key `trust.keys`", "`trust.key`?"),
        (MINIMAL + '[[trust.key]]\nfile = "x"\n', "`trust.key.file`", "`trust.key.path`"),
        (MINIMAL + "[[trust.key]]\n", "`path` is missing; expected the path of a public key", None),
        (MINIMAL + "[trust]\nkey = 5\n", r"`trust.key`: expected tables: [[trust.key]]", None),
        (MINIMAL + "trust = 5\n", "`trust`: expected a table, found 5", "[[trust.key]]"),
        (MINIMAL + "[deferral]\nrule = 'X'\n", "`deferral`: expected tables: [[deferral]]", None),
        (MINIMAL + '[[deferral]]\nrows = ["a"]\n', "`rule` is missing", None),
        (MINIMAL + '[[deferral]]\nrule = "X"\n', "`rows` is missing; expected a list", "rows = ["),
        (MINIMAL + '[[deferral]]\nrule = "X"\nrows = [5]\n', "`rows`: expected a list", None),
        (
            MINIMAL + '[[deferral]]\nrule = "X"\nrows = ["a"]\nreason = 5\n',
            "`reason`: expected a string, found 5",
            None,
        ),
        (MINIMAL + '[[deferral]]\nrule="X"\nrows=["a"]\nexpires="x"\n', "expected a date", None),
        (MINIMAL + '[[deferral]]\nrule = "X"\nraws = ["a"]\n', "`deferral.raws`", "deferral.rows"),
        ("", "`registry` is missing", "For example"),
        ("registry = 5\n", "`registry`: expected the path of the registry, found 5", "For example"),
        ('registry = ""\n', "`registry` is empty", "For example"),
        ('registry = "a/../../x.json"\n', "leaves the folder", None),
        ('registry = "/x.json"\n', "absolute", None),
        ("registry = \n", "not TOML", None),
        ("x = " + "[" * 5000, "more than 48 levels of arrays and tables", None),
    ],
)
def test_what_is_wrong_is_named_with_the_way_out(
    tmp_path: Path, text: str, message: str, help: str | None
) -> None:
    error = refusal(tmp_path, text)
    assert error.message.startswith("provenance.toml: ")
    assert message in error.message
    if help is not None:
        assert error.help is not None
        assert help in error.help


def test_a_table_of_another_type_in_pyproject_is_an_error(tmp_path: Path) -> None:
    error = refusal(tmp_path, "[tool]\nprovenance = 5\n", "pyproject.toml")
    assert "[tool.provenance] is not a table" in error.message


def test_a_deferral_is_read_whole(tmp_path: Path) -> None:
    text = (
        MINIMAL + '[[deferral]]\nrule = "SID402"\nrows = ["seed?"]\nreason = " why "\n'
        'reference = "ADR-1105"\nexpires = 2026-12-31\n'
    )
    (deferral,) = config(tmp_path, text).deferrals
    assert deferral.as_json() == {
        "rule": "SID402",
        "reason": "why",
        "reference": "ADR-1105",
        "expires": "2026-12-31",
    }
    assert deferral.expires == datetime.date(2026, 12, 31)


def test_how_models_are_run_has_defaults(tmp_path: Path) -> None:
    assert config(tmp_path, MINIMAL).run == RunSettings(timeout=60, memory=2048)


def test_how_models_are_run_is_read_whole(tmp_path: Path) -> None:
    text = "[run]\ntimeout = 5\nmemory = 4096\n"
    tables = "dimensions = { H = 224, 'x.2' = 7 }\ninputs = { steps = 1, scale = -0.5 }\n"
    assert config(tmp_path, MINIMAL + text + tables).run == RunSettings(
        5, 4096, {"H": 224, "x.2": 7}, {"steps": 1, "scale": -0.5}
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run = 5", "`run`: expected a table"),
        ("[run]\ntimeouts = 5", "unknown key `run.timeouts`"),
        ("[run]\ntimeout = 0", "`run.timeout`: expected a whole number from 1 to 86,400, found 0"),
        ("[run]\ntimeout = 1.5", "`run.timeout`: expected a whole number"),
        ("[run]\ntimeout = true", "`run.timeout`: expected a whole number"),
        ("[run]\nmemory = 255", "`run.memory`: expected a whole number from 256 to 1,048,576"),
        ("[run]\nmemory = 1048577", "`run.memory`: expected a whole number"),
        ("[run]\nmemory = '2 GiB'", "`run.memory`: expected a whole number"),
        ("[run]\ndimensions = 224", "`run.dimensions`: expected a table"),
        ("[run.dimensions]\nH = 0", "`run.dimensions.H`: expected a whole number from 1 to"),
        ("[run.dimensions]\nH = 2147483648", "`run.dimensions.H`: expected a whole number"),
        ("[run.dimensions]\nH = 2.0", "`run.dimensions.H`: expected a whole number"),
        ("[run.inputs]\nx = 'one'", "`run.inputs.x`: expected a number, found 'one'"),
        ("[run.inputs]\nx = true", "`run.inputs.x`: expected a number, found True"),
        ("[run.inputs]\nx = nan", "`run.inputs.x`: expected a number, found nan"),
        ("[run.inputs]\nx = -inf", "`run.inputs.x`: expected a number"),
        (f"[run.inputs]\nx = 1{'0' * 400}", "more than 256 characters in a name or number"),
    ],
)
def test_how_models_are_run_is_strict(tmp_path: Path, text: str, message: str) -> None:
    assert f"provenance.toml: {message}" in refusal(tmp_path, MINIMAL + text).message


def test_a_deferral_is_found_in_the_text(tmp_path: Path) -> None:
    text = "# [[deferral]]\n" + MINIMAL + ' [[ deferral ]]\nrule = "X"\nrows = ["a"]\n'
    found = config(tmp_path, text)
    assert found.deferral_position(found.deferrals[0]) == Position(3, 1)


def test_a_deferral_written_inline_is_at_the_start_of_the_file(tmp_path: Path) -> None:
    found = config(tmp_path, MINIMAL + 'deferral = [{ rule = "X", rows = ["a"] }]\n')
    assert found.deferral_position(found.deferrals[0]) == Position(1, 1)


@pytest.mark.parametrize(("before", "line"), [("", 1), ('[project]\nname = "x"\n', 3)])
def test_a_configuration_starts_where_its_table_does(
    tmp_path: Path, before: str, line: int
) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(f'{before}[tool.provenance]\nregistry = "r.json"\n')
    assert load(tmp_path).position == Position(line, 1)
    path.unlink()
    assert config(tmp_path, MINIMAL).position == Position(1, 1)


def test_the_policys_digest_is_of_its_values(tmp_path: Path) -> None:
    plain = config(tmp_path, MINIMAL).policy_sha256
    assert config(tmp_path, f"# a comment\n\n{MINIMAL}").policy_sha256 == plain
    dated = MINIMAL + '[[deferral]]\nrule="X"\nrows=["a"]\nexpires={}\n'
    digests = {config(tmp_path, dated.format(f"2026-12-{d}")).policy_sha256 for d in (30, 31)}
    assert len(digests | {plain}) == 3


def test_trust_is_in_keys_below_the_root(tmp_path: Path, key: KeyPair) -> None:
    (tmp_path / "release.pub").write_bytes(key.public.read_bytes())
    trust = config(tmp_path, MINIMAL + '[[trust.key]]\npath = "release.pub"\n').trust()
    assert trust is not None
    assert [k.hint for k in trust.keys] == [key.hint]
    assert trust.source.startswith("provenance.toml")


def test_a_key_of_another_kind_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "release.pub").write_bytes(PUBLIC["rsa"]())
    found = config(tmp_path, MINIMAL + '[[trust.key]]\npath = "release.pub"\n')
    with pytest.raises(
        InputError, match=r"release.pub: expected an ECDSA P-256 key in PEM, found an RSA key"
    ):
        found.trust()


def test_a_consumers_trust_is_a_file_of_its_own(tmp_path: Path, key: KeyPair) -> None:
    folder = tmp_path / "trust"
    folder.mkdir()
    (folder / "k.pub").write_bytes(key.public.read_bytes())
    (folder / "trust.toml").write_text('[[trust.key]]\npath = "k.pub"\n')
    trust = trust_from_file(folder / "trust.toml")
    assert [k.hint for k in trust.keys] == [key.hint]
    assert trust.source.endswith("trust.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "trusts no signer"),
        (MINIMAL, "unknown key `registry`"),
        ("x = ", "not TOML"),
        ('[[trust.key]]\npath = "none.pub"\n', "none.pub' does not exist"),
    ],
)
def test_a_trust_file_with_something_wrong_is_an_error(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "trust.toml").write_text(text)
    with pytest.raises(InputError) as raised:
        trust_from_file(tmp_path / "trust.toml")
    assert message in raised.value.message


def test_keys_that_are_given_by_name_are_said_to_be(key: KeyPair) -> None:
    trust = trust_from_keys([key.public])
    assert trust.source == "--key"
    assert trust.keys[0].path == str(key.public)


def test_a_file_that_is_too_large_or_no_file_is_an_error(tmp_path: Path) -> None:
    with (tmp_path / "provenance.toml").open("wb") as stream:
        stream.truncate(5 << 20)
    with pytest.raises(InputError, match="larger than"):
        load(tmp_path)
    with pytest.raises(InputError, match="a folder"):
        load(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("key", "expected"), [("baseline", "a non-empty string"), ("repository", "OWNER/REPO")]
)
@pytest.mark.parametrize("empty", ["", " "])
def test_a_text_that_is_empty_is_no_way_to_leave_it_out(
    tmp_path: Path, key: str, expected: str, empty: str
) -> None:
    said = refusal(tmp_path, f'registry = "r.json"\n{key} = "{empty}"\n')
    assert said.message == f"provenance.toml: `{key}` is empty; expected {expected}"
    assert f"remove `{key}`" in (said.help or "")


@pytest.mark.parametrize("key", ["event", "environment", "issuer", "server"])
def test_an_empty_condition_of_a_workflow_is_none_that_is_left_out(
    tmp_path: Path, key: str
) -> None:
    workflow = 'repository = "a/b"\nworkflow = ".github/workflows/r.yml"\nref = "refs/tags/v*"\n'
    table = f'[[trust.github]]\n{workflow}{key} = ""\n'
    assert f"`{key}` is empty" in refusal(tmp_path, f'registry = "r.json"\n{table}').message


def test_the_table_of_a_pyproject_in_a_file_of_its_own_is_named(tmp_path: Path) -> None:
    said = refusal(tmp_path, '[tool.provenance]\nregistry = "r.json"\n')
    assert said.message == "provenance.toml: [tool.provenance] belongs in pyproject.toml"
    assert 'registry = "…"' in (said.help or "")


def test_all_keys_of_a_file_count(tmp_path: Path, key: KeyPair, other_key: KeyPair) -> None:
    both = tmp_path / "both.pub"
    both.write_bytes(key.public.read_bytes() + other_key.public.read_bytes())
    table = '[[trust.key]]\npath = "both.pub"\n[trust]\nsignatures = 2\n'
    (tmp_path / "trust.toml").write_text(table)
    given = (
        config(tmp_path, MINIMAL + table).trust(),
        trust_from_file(tmp_path / "trust.toml"),
        trust_from_keys([both]),
    )
    for trust in given:
        assert trust is not None
        assert [k.hint for k in trust.keys] == [key.hint, other_key.hint]
        assert [k.path.rpartition("both.pub")[2] for k in trust.keys] == [" (key 1)", " (key 2)"]


def test_one_key_in_two_files_is_one_signer(tmp_path: Path, key: KeyPair) -> None:
    for name in ("a.pub", "b.pub"):
        (tmp_path / name).write_bytes(key.public.read_bytes() * 2)
    tables = "".join(f'[[trust.key]]\npath = "{name}"\n' for name in ("a.pub", "b.pub"))
    found = config(tmp_path, MINIMAL + tables + "[trust]\nsignatures = 2\n")
    with pytest.raises(InputError, match="signatures is 2, but the number of trusted signers is 1"):
        found.trust()


@pytest.mark.parametrize("kind", ["other", "private"])
def test_a_key_in_the_place_of_a_trust_file_is_named_and_not_shown(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "given"
    path.write_bytes(PUBLIC[kind]())
    with pytest.raises(InputError, match=r"expected a TOML file with \[\[trust") as raised:
        trust_from_file(path)
    said = f"{raised.value} {raised.value.help}"
    assert "--key" in said
    assert [line for line in path.read_text().splitlines() if line in said] == []


@pytest.mark.parametrize("written", ["none.pub", "../release.pub"])
def test_a_key_that_the_configuration_cannot_reach_has_advice(tmp_path: Path, written: str) -> None:
    found = config(tmp_path, MINIMAL + f'[[trust.key]]\npath = "{written}"\n')
    with pytest.raises(InputError, match=r"trust\.key") as raised:
        found.trust()
    assert "Copy it into the folder of provenance.toml" in str(raised.value.help)


ENTRY = 'rule = "SID402"\nrows = ["{}"]\nreason = "x"\nreference = "y"\n'


@pytest.mark.parametrize(
    ("tables", "limit", "message"),
    [
        (f"[[deferral]]\n{ENTRY.format('a')}" * 3, "DEFERRALS", "3 deferrals; at most 2 are read"),
        (
            f"[[deferral]]\n{ENTRY.format('a*')}" * 3,
            "PATTERNS",
            "3 patterns in `rows`; at most 2 are read",
        ),
        (
            '[[trust.key]]\npath = "k"\n' * 3,
            "TRUST_ENTRIES",
            "`trust` has 3 entries; at most 2 are read",
        ),
    ],
)
def test_what_is_compared_with_every_row_is_bounded_in_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tables: str, limit: str, message: str
) -> None:
    monkeypatch.setattr(limits, limit, 3)
    (tmp_path / "provenance.toml").write_text(f"{MINIMAL}{tables}")
    load(tmp_path)
    monkeypatch.setattr(limits, limit, 2)
    assert message in refusal(tmp_path, MINIMAL + tables).message
