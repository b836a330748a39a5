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
DEFERRAL = '[[deferral]]\nrule = "X"\n'
PYPROJECT = '[tool.provenance]\nregistry = "r.json"\n'


def config(tmp_path: Path, text: str, name: str = "provenance.toml") -> Config:
    (tmp_path / name).write_text(text)
    return load(tmp_path)


def refusal(tmp_path: Path, text: str, name: str = "provenance.toml") -> InputError:
    with pytest.raises(InputError) as raised:
        config(tmp_path, text, name)
    assert raised.value.message.startswith(f"{name}: ")
    return raised.value


# --- finding the file -----------------------------------------------------------------------------


def test_one_line_is_enough(tmp_path: Path) -> None:
    found = config(tmp_path, MINIMAL)
    assert (found.registry, found.path) == ("model/registry.json", "provenance.toml")
    assert (found.root, found.deferrals, found.trust()) == (tmp_path, (), None)
    assert found.run == RunSettings(timeout=60, memory=2048)


@pytest.mark.parametrize(
    ("files", "root", "registry"),
    [
        ({"provenance.toml": MINIMAL, "a/pyproject.toml": PYPROJECT}, "a", "r.json"),
        ({"provenance.toml": MINIMAL, "pyproject.toml": PYPROJECT}, ".", "model/registry.json"),
        *(
            ({"provenance.toml": MINIMAL, "a/pyproject.toml": other}, ".", "model/registry.json")
            for other in ("[project]\nname = 'x'\n", "tool = 5\n", "[tool.other]\n")
        ),
    ],
)
def test_the_nearest_is_read(
    tmp_path: Path, files: dict[str, str], root: str, registry: str
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = load(tmp_path / "a" / "b")
    assert (found.root, found.registry) == (tmp_path / root, registry)


def test_a_named_configuration_may_be_outside_the_tree(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tmp_path / "policy.toml").write_text(MINIMAL)
    found = load(tree, tmp_path / "policy.toml")
    assert (found.root, found.path) == (tree, "policy.toml")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    with pytest.raises(InputError, match=r"no \[tool.provenance\]"):
        load(tree, tmp_path / "pyproject.toml")
    with pytest.raises(InputError, match="a folder"):
        load(tree, tmp_path)
    with (tree / "provenance.toml").open("wb") as stream:
        stream.truncate(5 << 20)
    with pytest.raises(InputError, match="larger than"):
        load(tree)


# --- what is refused ------------------------------------------------------------------------------

WORKFLOW = 'repository = "a/b"\nworkflow = ".github/workflows/r.yml"\nref = "refs/tags/v*"\n'
NUMBER = "expected a whole number"


OF_REGISTRY = [
    ("", "`registry` is missing", "For example"),
    ('regsitry = "x"', "unknown key `regsitry`", "Did you mean `registry`?"),
    ("registry = 5", "`registry`: expected the path of the registry, found 5", "For example"),
    ('registry = ""', "`registry` is empty", "For example"),
    ('registry = "a/../../x.json"', "leaves the folder", ""),
    ('registry = "/x.json"', "absolute", ""),
    ("registry = ", "not TOML", ""),
    (PYPROJECT, "[tool.provenance] belongs in pyproject.toml", 'registry = "…"'),
]
BELOW_REGISTRY = [
    ("zzzzzz = 1", "unknown key `zzzzzz`", "Known keys: "),
    ("[trust]\nkeys = []", "unknown key `trust.keys`", "`trust.key`?"),
    ('[[trust.key]]\nfile = "x"', "`trust.key.file`", "`trust.key.path`"),
    ("[[trust.key]]", "`path` is missing; expected the path of a public key", ""),
    ("[trust]\nkey = 5", "`trust.key`: expected tables: [[trust.key]]", ""),
    ("trust = 5", "`trust`: expected a table, found 5", "[[trust.key]]"),
    *(
        (f'[[trust.github]]\n{WORKFLOW}{key} = ""', f"`{key}` is empty", "")
        for key in ("event", "environment", "issuer", "server")
    ),
    *(
        (f'{key} = "{empty}"', f"`{key}` is empty; expected {expected}", f"remove `{key}`")
        for key, expected in (("baseline", "a non-empty string"), ("repository", "OWNER/REPO"))
        for empty in ("", " ")
    ),
    ("[deferral]\nrule = 'X'", "`deferral`: expected tables: [[deferral]]", ""),
    ('[[deferral]]\nrows = ["a"]', "`rule` is missing", ""),
    (DEFERRAL, "`rows` is missing; expected a list", "rows = ["),
    (f"{DEFERRAL}rows = [5]", "`rows`: expected a list", ""),
    (f'{DEFERRAL}rows = ["a"]\nreason = 5', "`reason`: expected a string, found 5", ""),
    (f'{DEFERRAL}rows = ["a"]\nexpires = "x"', "expected a date", ""),
    (f'{DEFERRAL}raws = ["a"]', "`deferral.raws`", "deferral.rows"),
    ("run = 5", "`run`: expected a table", ""),
    ("[run]\ntimeouts = 5", "unknown key `run.timeouts`", ""),
    ("[run]\ntimeout = 0", f"`run.timeout`: {NUMBER} from 1 to 86,400, found 0", ""),
    *((f"[run]\ntimeout = {value}", f"`run.timeout`: {NUMBER}", "") for value in (1.5, "true")),
    ("[run]\nmemory = 255", f"`run.memory`: {NUMBER} from 256 to 1,048,576", ""),
    *((f"[run]\nmemory = {value}", f"`run.memory`: {NUMBER}", "") for value in (1048577, "'2 G'")),
    ("[run]\ndimensions = 224", "`run.dimensions`: expected a table", ""),
    ("[run.dimensions]\nH = 0", f"`run.dimensions.H`: {NUMBER} from 1 to", ""),
    *(
        (f"[run.dimensions]\nH = {value}", f"`run.dimensions.H`: {NUMBER}", "")
        for value in (2**31, 2.0)
    ),
    *(
        (f"[run.inputs]\nx = {value}", f"`run.inputs.x`: expected a number, found {found}", "")
        for value, found in (("'one'", "'one'"), ("true", "True"), ("nan", "nan"), ("-inf", "-inf"))
    ),
    (f"[run.inputs]\nx = 1{'0' * 400}", "more than 256 characters in a name or number", ""),
    ("x = " + "[" * 5000, "more than 48 levels of arrays and tables", ""),
]


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [*OF_REGISTRY, *((f"{MINIMAL}{text}\n", *rest) for text, *rest in BELOW_REGISTRY)],
)
def test_a_fault_has_its_remedy(tmp_path: Path, text: str, message: str, help: str) -> None:
    error = refusal(tmp_path, text)
    assert message in error.message
    assert help in (error.help or "")


def test_the_table_of_a_pyproject_is_a_table(tmp_path: Path) -> None:
    error = refusal(tmp_path, "[tool]\nprovenance = 5\n", "pyproject.toml")
    assert "[tool.provenance] is not a table" in error.message


ENTRY = '[[deferral]]\nrule = "SID402"\nrows = ["{}"]\nreason = "x"\nreference = "y"\n'


@pytest.mark.parametrize(
    ("table", "limit", "message"),
    [
        (ENTRY.format("a"), "DEFERRALS", "3 deferrals; at most 2 are read"),
        (ENTRY.format("a*"), "PATTERNS", "3 patterns in `rows`; at most 2 are read"),
        ('[[trust.key]]\npath = "k"\n', "TRUST_ENTRIES", "`trust` has 3 entries; at most 2"),
    ],
)
def test_the_number_of_entries_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, limit: str, message: str
) -> None:
    monkeypatch.setattr(limits, limit, 3)
    config(tmp_path, MINIMAL + table * 3)
    monkeypatch.setattr(limits, limit, 2)
    assert message in refusal(tmp_path, MINIMAL + table * 3).message


# --- values and their places ----------------------------------------------------------------------


def test_every_field_of_a_table_is_read(tmp_path: Path) -> None:
    fields = {"rule": "SID402", "reason": "why", "reference": "ADR-1105", "expires": "2026-12-31"}
    found = config(
        tmp_path,
        f'{MINIMAL}[run]\ntimeout = 5\nmemory = 4096\ndimensions = {{ H = 224, "x.2" = 7 }}\n'
        'inputs = { steps = 1, scale = -0.5 }\n[[deferral]]\nrule = "SID402"\nrows = ["seed?"]\n'
        'reason = " why "\nreference = "ADR-1105"\nexpires = 2026-12-31\n',
    )
    assert found.run == RunSettings(5, 4096, {"H": 224, "x.2": 7}, {"steps": 1, "scale": -0.5})
    (deferral,) = found.deferrals
    assert deferral.as_json() == fields
    assert deferral.expires == datetime.date(2026, 12, 31)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("# [[deferral]]\n [[ deferral ]]\nrule = 'X'\nrows = ['a']\n", Position(3, 1)),
        ("deferral = [{ rule = 'X', rows = ['a'] }]\n", Position(1, 1)),
    ],
)
def test_a_deferral_has_a_place(tmp_path: Path, text: str, position: Position) -> None:
    found = config(tmp_path, MINIMAL + text)
    assert found.deferral_position(found.deferrals[0]) == position


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("provenance.toml", MINIMAL, 1),
        ("pyproject.toml", PYPROJECT, 1),
        ("pyproject.toml", f'[project]\nname = "x"\n{PYPROJECT}', 3),
    ],
)
def test_the_place_of_a_configuration(tmp_path: Path, name: str, text: str, line: int) -> None:
    assert config(tmp_path, text, name).position == Position(line, 1)


def test_the_digest_of_a_policy_depends_on_its_values(tmp_path: Path) -> None:
    plain = config(tmp_path, MINIMAL).policy_sha256
    assert config(tmp_path, f"# a comment\n\n{MINIMAL}").policy_sha256 == plain
    dated = f'{MINIMAL}{DEFERRAL}rows = ["a"]\nexpires = '
    digests = {config(tmp_path, f"{dated}2026-12-{d}\n").policy_sha256 for d in (30, 31)}
    assert len(digests | {plain}) == 3


# --- trust ----------------------------------------------------------------------------------------

TRUST = '[[trust.key]]\npath = "keys.pub"\n'


@pytest.mark.parametrize("source", ["provenance.toml", "trust.toml", "--key"])
def test_all_keys_count(tmp_path: Path, key: KeyPair, other_key: KeyPair, source: str) -> None:
    path = tmp_path / "keys.pub"
    (tmp_path / "trust.toml").write_text(TRUST)
    for keys, ends in (([key], [""]), ([key, other_key], [" (key 1)", " (key 2)"])):
        path.write_bytes(b"".join(k.public.read_bytes() for k in keys))
        if source == "provenance.toml":
            trust = config(tmp_path, MINIMAL + TRUST).trust()
        elif source == "trust.toml":
            trust = trust_from_file(tmp_path / source)
        else:
            trust = trust_from_keys([path])
        assert trust is not None
        assert source in trust.source
        assert [k.hint for k in trust.keys] == [k.hint for k in keys]
        assert [k.path.rpartition("keys.pub")[2] for k in trust.keys] == ends


def test_one_key_in_two_files_is_one_signer(tmp_path: Path, key: KeyPair) -> None:
    for name in ("a.pub", "keys.pub"):
        (tmp_path / name).write_bytes(key.public.read_bytes() * 2)
    tables = f'{TRUST}[[trust.key]]\npath = "a.pub"\n[trust]\nsignatures = 2\n'
    with pytest.raises(InputError, match="signatures is 2, but the number of trusted signers is 1"):
        config(tmp_path, MINIMAL + tables).trust()


@pytest.mark.parametrize("written", ["none.pub", "../keys.pub"])
def test_a_key_that_the_configuration_cannot_reach_has_advice(tmp_path: Path, written: str) -> None:
    found = config(tmp_path, MINIMAL + f'[[trust.key]]\npath = "{written}"\n')
    with pytest.raises(InputError, match=r"trust\.key") as raised:
        found.trust()
    assert "Copy it into the folder of provenance.toml" in str(raised.value.help)


def test_a_key_of_another_kind_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "keys.pub").write_bytes(PUBLIC["rsa"]())
    expected = r"keys.pub: expected an ECDSA P-256 key in PEM, found an RSA key"
    with pytest.raises(InputError, match=expected):
        config(tmp_path, MINIMAL + TRUST).trust()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "trusts no signer"),
        (MINIMAL, "unknown key `registry`"),
        ("x = ", "not TOML"),
        (TRUST, "keys.pub' does not exist"),
    ],
)
def test_a_trust_file_with_a_fault_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "trust.toml").write_text(text)
    with pytest.raises(InputError) as raised:
        trust_from_file(tmp_path / "trust.toml")
    assert message in raised.value.message


@pytest.mark.parametrize("kind", ["other", "private"])
def test_a_key_in_place_of_a_trust_file_is_not_shown(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "given"
    path.write_bytes(PUBLIC[kind]())
    with pytest.raises(InputError, match=r"expected a TOML file with \[\[trust") as raised:
        trust_from_file(path)
    message = f"{raised.value} {raised.value.help}"
    assert "--key" in message
    assert [line for line in path.read_text().splitlines() if line in message] == []
