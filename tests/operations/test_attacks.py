# SPDX-License-Identifier: Apache-2.0
"""Attacks on a registry, a download and the tool itself, each as its attacker would mount it.

Each attack once verified, overwrote something, hung, or ended in a traceback. Attacks that fit in a
small repository are the cases `attack-…` of `tests/cases/`.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

import provenance
from provenance import Report
from provenance.artifacts.digest import of_bytes
from provenance.artifacts.journal import JOURNAL_FOLDER
from provenance.artifacts.onnx_model import NotOnnxError, read_onnx
from provenance.artifacts.paths import FileError, FileProblem, Tree
from provenance.evidence.collect import collect_file
from provenance.evidence.read_rows import read_bundle
from provenance.evidence.rows import ModelEvidence
from provenance.gate.judge import Terms, judge
from provenance.gate.rules import Target
from provenance.operations import named_files
from provenance.registry.rows import Row
from tests.operations.workspace import CONFIG, DEFERRAL, SEEDS, Workspace
from tests.support.cases import message_bundle
from tests.support.command import Result, run_cli, time_limit
from tests.support.keys import KeyPair
from tests.support.models import External, data, model, proto
from tests.support.production import production
from tests.support.releases import SUMMARY
from tests.support.repository import SUFFIX, Repository, codes, copied, replace_once, sha256
from tests.support.verifying import verify_model

SEED0 = SEEDS[0]
MANIFEST = "fr_regressor_v2_ensemble_v1.json"
PATIENCE = 90.0
"""Seconds after which a command counts as hanging, even with coverage on a busy machine."""


def verified_row(repository: Repository) -> list[tuple[str, str | None]]:
    """Verify the row `m`; return the code and row of each finding."""
    result = run_cli("verify", "m", "--format", "json", cwd=repository.root)
    assert result.code == (1 if result.codes else 0), result.out
    return result.codes


def said(result: Result, code: int) -> str:
    """Check the exit code of a command, and return its output."""
    assert result.code == code, result.out + result.err
    assert "Traceback" not in result.err
    return result.out + result.err


def snapshot(root: Path) -> dict[str, bytes | str]:
    """Every file below `root` with its bytes, every link with its target, every folder."""

    def entries() -> Iterator[tuple[str, bytes | str]]:
        for path in sorted(root.rglob("*")):
            content: bytes | str = "a folder"
            if path.is_symlink():
                content = f"-> {path.readlink()}"
            elif path.is_file():
                content = path.read_bytes()
            yield path.relative_to(root).as_posix(), content

    return dict(entries())


# --- a registry ---------------------------------------------------------------------------------


def add_two_data_files(repository: Repository) -> None:
    """Add a model that keeps its weights in two files of one size."""
    files = {name: data(24, salt) for salt, name in enumerate(("a.data", "b.data"))}
    for name, content in files.items():
        repository.write(name, content)
    external = [External("a.data", tensor="a"), External("b.data", tensor="b")]
    covered = {name: sha256(content) for name, content in files.items()}
    repository.add("m", model(external=external), external_data_sha256=covered)


@pytest.mark.parametrize(
    ("add", "names"),
    [
        (add_two_data_files, ("a.data", "b.data")),
        (lambda r: r.add_int8("m"), ("m.onnx", "m.int8.onnx")),
    ],
    ids=["two data files", "a model and its int8 variant"],
)
def test_exchanged_files_with_updated_digests_are_not_verified(
    repository: Repository, add: Callable[[Repository], object], names: tuple[str, str]
) -> None:
    add(repository)
    one, other = map(repository.released().path, names)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    assert run_cli("hash", "--write", "--accept", "m", cwd=repository.root).code == 0
    assert verified_row(repository) == [("SIG605", "m"), ("SIG605", "m")]


@pytest.fixture(scope="module")
def two_rows(tmp_path_factory: pytest.TempPathFactory, key: KeyPair) -> Repository:
    """Two released rows. Not to be changed: copy them."""
    repository = Repository(tmp_path_factory.mktemp("rows") / "repository", key)
    repository.add("m", license="MIT", own={"a": {"b": {"c": {"x": 1}}}})
    repository.add("n", license="ISC")
    return repository.released()


@pytest.fixture
def rows(two_rows: Repository, tmp_path: Path) -> Repository:
    return copied(two_rows, tmp_path / "repository")


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        ('"models": [', '"models": [{"onnx": "evil.onnx"}], "models": [', None),
        ('"license": "MIT"', '"license": "GPL-3.0-only", "license": "MIT"', "m"),
        ('"license": "ISC"', '"license": "GPL-3.0-only", "license": "ISC"', None),
        ('"x": 1', '"x": 2, "x": 1', "m"),
    ],
    ids=["two lists of models", "in the row", "in another row", "deep in the row"],
)
def test_a_row_of_a_registry_with_a_repeated_key_is_not_verified(
    rows: Repository, old: str, new: str, row: str | None
) -> None:
    assert verified_row(rows) == []
    rows.edit_registry(old, new)
    assert verified_row(rows) == [("REG103", row)]


def remove_manifest(workspace: Workspace) -> None:
    (workspace.root / "model" / MANIFEST).unlink()


def rename_in_manifest(workspace: Workspace) -> None:
    replace_once(workspace.root / "model" / MANIFEST, f'"onnx": "{SEED0}.onnx"', '"onnx": "x.onnx"')


@pytest.mark.parametrize("unlist", [remove_manifest, rename_in_manifest])
@pytest.mark.parametrize(("attested", "code"), [(False, "ATT707"), (True, "ATT708")])
def test_a_seed_that_the_manifest_does_not_list_still_needs_its_attestation(
    retrained: Workspace, unlist: Callable[[Workspace], None], attested: bool, code: str
) -> None:
    assert codes(retrained.verify(SEED0)) == []
    attestation = retrained.bundles / f"{SEED0}.onnx.provenance{SUFFIX}"
    assert attestation.is_file()
    if not attested:
        attestation.unlink()
    unlist(retrained)
    assert [c for c in codes(retrained.verify(SEED0)) if c.startswith("ATT7")] == [code]


# --- a download ---------------------------------------------------------------------------------


def download(repository: Repository, folder: Path, *names: str) -> Path:
    """Put the named files and the bundle of the first into a folder; return the first."""
    folder.mkdir()
    for name in names:
        shutil.copy(repository.path(name), folder)
    shutil.copy(repository.root / "bundles" / f"{names[0]}{SUFFIX}", folder)
    return folder / names[0]


def verify_file(path: Path, key: KeyPair, **options: Any) -> Report:
    return verify_model(path, provenance.trust_from_keys([key.public]), **options)


def test_a_download_signed_with_a_deferral_expires_with_the_deferral(
    repository: Repository, key: KeyPair, tmp_path: Path
) -> None:
    day = datetime.date(2999, 6, 30)
    repository.add_sidecar(repository.add("m"), sha256="0" * 64)
    repository.defer("SID402", ["m"], expires=day)
    path = download(repository.released(), tmp_path / "download", "m.onnx")
    assert codes(verify_file(path, key, today=day)) == []
    assert codes(verify_file(path, key, today=day + datetime.timedelta(days=1))) == ["DEF903"]


def sign_bytes(path: Path, content: bytes, key: KeyPair) -> Path:
    """Write a model and a plain signature over its bytes, as `cosign sign-blob` does."""
    path.write_bytes(content)
    bundle = path.with_name(f"{path.name}{SUFFIX}")
    bundle.write_text(json.dumps(message_bundle(content, key)))
    return bundle


def test_a_plain_signature_does_not_cover_an_int8_variant(tmp_path: Path, key: KeyPair) -> None:
    path, variant = tmp_path / "m.onnx", tmp_path / "m.int8.onnx"
    bundle = sign_bytes(path, model(), key)
    variant.write_bytes(model(salt=1))
    report = verify_file(path, key)
    assert (codes(report), [f.code for f in report.findings]) == ([], ["ATT711"])
    assert [f.path for row in report.rows for f in row.model_files] == ["m.onnx"]
    assert codes(verify_file(variant, key, bundle=bundle)) == ["SIG603"]


def test_a_plain_signature_does_not_cover_external_data(tmp_path: Path, key: KeyPair) -> None:
    (tmp_path / "m.data").write_bytes(data(24))
    sign_bytes(tmp_path / "m.onnx", model(external=External("m.data")), key)
    assert codes(verify_file(tmp_path / "m.onnx", key)) == ["ATT702"]


def test_a_signed_int8_variant_that_was_not_fetched_is_an_error(
    repository: Repository, key: KeyPair, tmp_path: Path
) -> None:
    repository.add_int8("m")
    report = verify_file(download(repository.released(), tmp_path / "download", "m.onnx"), key)
    assert codes(report) == ["ATT705"]
    assert "m.int8.onnx" in report.failing[0].message


@pytest.mark.parametrize("problem", FileProblem, ids=lambda t: t.name)
def test_a_file_that_was_not_hashed_is_not_verified(
    rows: Repository, key: KeyPair, problem: FileProblem
) -> None:
    bundle = rows.root / "bundles" / f"m.onnx{SUFFIX}"
    evidence = collect_file(
        Tree.at(rows.models),
        Row(0, {"id": "m", "onnx": "m.onnx"}, {}),
        read_bundle(str(bundle), bundle.read_bytes()),
    )
    terms = Terms(trust=provenance.trust_from_keys([key.public]), today=datetime.date(2026, 7, 1))
    assert judge(evidence, None, terms, target=Target.MODEL).exit_code == 0
    gone = ModelEvidence("m.onnx", "m.onnx", problem=FileError(problem, "m.onnx", "not read"))
    evidence = replace(evidence, rows=(replace(evidence.rows[0], onnx=gone),))
    assert judge(evidence, None, terms, target=Target.MODEL).exit_code == 1


def test_a_file_that_vanishes_before_it_is_read_is_not_verified(
    rows: Repository, key: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = download(rows, tmp_path / "download", "m.onnx")
    read = named_files.bundle_bytes

    def read_and_remove(bundle: Path) -> bytes:
        path.unlink()
        return read(bundle)

    monkeypatch.setattr(named_files, "bundle_bytes", read_and_remove)
    assert "ART301" in codes(verify_file(path, key))


def test_a_download_cache_of_links_is_verified_by_what_the_links_lead_to(
    repository: Repository, key: KeyPair, tmp_path: Path
) -> None:
    repository.add_external("m")
    repository.add_sidecar(repository.rows[0])
    cache = tmp_path / "cache"
    (cache / "snapshot").mkdir(parents=True)
    names = ("m.onnx", "m.onnx.data", "m.json")
    path = download(repository.released(), cache / "blobs", *names)
    for blob in path.parent.iterdir():
        hidden = blob.rename(blob.with_name(sha256(blob.name.encode())))
        (cache / "snapshot" / blob.name).symlink_to(f"../blobs/{hidden.name}")
    report = verify_file(cache / "snapshot" / "m.onnx", key)
    assert codes(report) == []
    assert [Path(f.path).name for f in report.rows[0].model_files] == ["m.onnx", "m.onnx.data"]
    (cache / "snapshot" / "m.onnx.data").resolve().write_bytes(data(24, salt=99))
    assert codes(verify_file(cache / "snapshot" / "m.onnx", key)) == ["SIG605"]


# --- the sidecar of a production seed -----------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"sha256": None}, "SID404", ""),
        ({"input_names": None}, None, ""),
        (
            {"input_names": None, "feature_order": ["f0"]},
            "SID403",
            "`feature_order` declares a width of 1 for input 'features'",
        ),
        ({"input_names": ["features", "x"]}, "SID410", "declares an input 'x'"),
    ],
    ids=["no digest", "no names of inputs", "no names and another width", "an unknown input"],
)
def test_a_sidecar_of_a_seed_that_describes_other_bytes_is_refused(
    repository: Repository, changes: dict[str, Any], code: str | None, message: str
) -> None:
    repository.add_ensemble("ens", 1, smoke=False)
    assert codes(repository.save().check()) == []
    sidecar = json.loads(repository.path("ens_seed0.json").read_text()) | changes
    repository.write("ens_seed0.json", {k: v for k, v in sidecar.items() if v is not None})
    report = repository.check()
    assert codes(report) == ([code] if code else [])
    assert all(message in finding.message for finding in report.failing)


# --- bytes that a runtime reads -----------------------------------------------------------------


def large(tensor: Any) -> bytes:
    """A model of more than 4 KiB with one more tensor."""
    message = proto(external=[], salt=1)
    message.graph.initializer.append(tensor)
    message.graph.doc_string = "x" * 5000
    content: bytes = message.SerializeToString()
    return content


def outside(*locations: str, **more: Any) -> Any:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1024], **more)
    tensor.external_data.add(key="offset", value="0")
    for location in locations or ("w.data",):
        tensor.external_data.add(key="location", value=location)
    tensor.data_location = TensorProto.EXTERNAL
    return tensor


def in_two_versions(domain: str) -> bytes:
    message = proto()
    message.opset_import.add(domain=domain, version=18)
    content: bytes = message.SerializeToString()
    return content


ADDRESSES = (
    "*/_ORT_MEM_ADDR_/*",
    "*/_ort_mem_addr_/*",
    "*/_ORT_NATIVE_ENDIAN_MEM_ADDR_/*",
    "./*/_ORT_MEM_ADDR_/*",
    "*//_ORT_MEM_ADDR_//*",
    "*/_ORT_MEM_ADDR_/*/x",
    "sub/_ORT_MEM_ADDR_",
)
"""Locations of external data that ONNX Runtime reads as an address in memory."""
MISREAD: dict[str, tuple[bytes, str]] = {
    **{f"an address in memory: {at}": (large(outside(at)), "ART305") for at in ADDRESSES},
    "data that is too short": (large(outside()), "ART307"),
    "short data of a documented tensor": (large(outside(doc_string="x" * 300)), "ART307"),
    "short data of a tensor over 4 KiB": (large(outside(doc_string="x" * 5000)), "ART307"),
    "data in two places": (large(outside("w.data", "other.data")), "ART303"),
    "an opset in two versions": (in_two_versions(""), "ART303"),
    "an opset in two versions, by two names": (in_two_versions("ai.onnx"), "ART303"),
}


@pytest.mark.parametrize(("content", "code"), MISREAD.values(), ids=MISREAD)
def test_a_model_that_a_runtime_reads_differently_is_refused(
    repository: Repository, content: bytes, code: str
) -> None:
    for name in ("w.data", "*/_ORT_MEM_ADDR_/*", "sub/_ORT_MEM_ADDR_", "*/_ORT_MEM_ADDR_/*/x"):
        with contextlib.suppress(OSError):  # a file and a folder of one name
            repository.write(name, data(24))
    repository.add("m", content)
    assert code in codes(repository.save().check())


# --- files beside a release that are not part of it ----------------------------------------------


@pytest.mark.parametrize(
    ("name", "stray"),
    [
        *((f"{SEED0}{end}", True) for end in (".ort", ".bin", ".int8.json", ".onnx.bak")),
        ("evil.ONNX", True),
        *((name, False) for name in (f"{SEED0}.md", "README", "notes.json")),
    ],
)
def test_a_file_with_the_name_of_a_model_is_a_stray(
    retrained: Workspace, name: str, stray: bool
) -> None:
    (retrained.root / "model" / name).write_text("{}")
    found = [(f.code, f.path) for f in retrained.check().failing]
    assert found == ([("ART311", f"model/{name}")] if stray else [])


def write_bytes_name(folder: Path, name: bytes, content: bytes = b"") -> None:
    """Write a file whose name is not UTF-8."""
    try:
        Path(os.fsdecode(os.path.join(os.fsencode(folder), name))).write_bytes(content)
    except OSError:  # pragma: no cover
        pytest.skip("this file system holds UTF-8 names only")


@pytest.mark.parametrize("command", ["check", "release"])
def test_a_stray_whose_name_is_not_utf8_is_named_with_escapes(
    rows: Repository, key: KeyPair, command: str
) -> None:
    write_bytes_name(rows.models, b"evil\xff.onnx", model())
    signer = ("--signer", key.signer) if command == "release" else ()
    shown = said(run_cli(command, *signer, cwd=rows.root), 1)
    assert "ART311" in shown
    assert r"evil\udcff.onnx" in shown


@pytest.mark.parametrize(
    "document",
    [
        {"id": "e", "members": []},
        {"gate": {}, "verdict": "PROMOTE"},
        {"id": "m", "sha256": "0" * 64},
    ],
    ids=["manifest", "verdict", "sidecar"],
)
def test_a_document_whose_name_is_not_utf8_is_a_stray(
    rows: Repository, key: KeyPair, document: dict[str, Any]
) -> None:
    write_bytes_name(rows.models, b"evil\xff.json", json.dumps(document).encode())
    assert codes(rows.check()) == ["ART311"]
    for command in (("check",), ("release", "--signer", key.signer), ("verify",)):
        for format in ("human", "json"):
            result = run_cli(*command, "--format", format, cwd=rows.root)
            assert result.code in (0, 1)
            assert (result.out + result.err).encode("utf-8")


def test_a_bundle_whose_name_is_not_utf8_is_a_stray(rows: Repository) -> None:
    write_bytes_name(rows.root / "bundles", b"evil\xff.sigstore.json", b"{}")
    assert codes(rows.verify()) == ["SIG607"]


# --- unexpected values and names ------------------------------------------------------------------

FIELDS = (
    *("id", "kind", "onnx", "sha256", "int8_sha256", "external_data_sha256", "opset", "smoke"),
    *("quant_mode", "license", "license_url", "sigstore_bundle", "notes", "description"),
)


@pytest.mark.parametrize("command", ["check", "verify", "hash", "release"])
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [[], {}, [[]], {"a": []}, None, 0.5], ids=json.dumps)
def test_a_field_of_another_type_never_passes(
    rows: Repository, key: KeyPair, command: str, field: str, value: Any
) -> None:
    rows.rows[0][field] = value
    rows.save()
    signer = ("--signer", key.signer) if command == "release" else ()
    result = run_cli(command, *signer, "--format", "json", cwd=rows.root)
    if command == "hash":
        assert result.code in (0, 1)
    elif (field, value) == ("external_data_sha256", {}):
        assert result.code == (1 if command == "verify" else 0)
    else:
        assert result.code == 1
        assert "REG101" in [code for code, _ in result.codes]


TOML = {
    "arrays 20,000 deep": "a = " + "[" * 20_000 + "]" * 20_000,
    "inline tables 20,000 deep": "a = " + "{a = " * 20_000,
    "a number of 5,000 digits": "a = " + "9" * 5_000,
    "a dotted key of 80 KB": f"a{'.a' * 40_000} = 1",
    "a table header of 80 KB": f"[a{'.a' * 40_000}]",
    "keys below a table header of 40 KB": f"[a{'.a' * 20_000}]\n" + "a = 1\n" * 10_000,
    "a million empty arrays": f"a = [{'[],' * 1_000_000}]",
}


@pytest.mark.parametrize("text", TOML.values(), ids=TOML)
@pytest.mark.parametrize("command", ["check", "verify", "init", "check --config", "verify --trust"])
def test_toml_that_exceeds_a_bound_is_an_error(rows: Repository, command: str, text: str) -> None:
    name, _, option = command.partition(" ")
    file = "other.toml" if option else "provenance.toml"
    if name == "init":
        (rows.root / file).unlink()
        file = "pyproject.toml"
    (rows.root / file).write_text(text)
    result = run_cli(name, *((option, file) if option else ()), cwd=rows.root)
    assert f"{file}: more than" in said(result, 2)
    assert (rows.root / file).read_text() == text


@pytest.mark.parametrize("command", ["check", "init"])
def test_a_pyproject_that_is_not_utf8_is_an_error(rows: Repository, command: str) -> None:
    (rows.root / "provenance.toml").unlink()
    (rows.root / "pyproject.toml").write_bytes(b'[project]\nname = "\xff"\n')
    assert "not UTF-8 (byte 18)" in said(run_cli(command, cwd=rows.root), 2)


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/.."])
def test_a_key_pair_needs_a_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    shown = said(run_cli("keygen", name, cwd=tmp_path / "empty"), 2)
    assert "not a name for a key pair" in shown
    assert list(tmp_path.rglob("*")) == [tmp_path / "empty"]


# --- files that are made to keep the tool busy --------------------------------------------------


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def message(field: int, body: bytes) -> bytes:
    """A length-delimited field of the protobuf wire format."""
    return varint(field << 3 | 2) + varint(len(body)) + body


NODE, INITIALIZER, GRAPH, INPUT, ATTRIBUTE, EXTERNAL_DATA = 1, 5, 7, 11, 5, 13
EMPTY_ENTRIES = message(INITIALIZER, message(EXTERNAL_DATA, b"") * 127)
BUSY = {
    "nodes of empty attributes": message(NODE, message(ATTRIBUTE, b"") * 2_040) * 2_000,
    "tensors of empty entries": EMPTY_ENTRIES * 130_000,
    "fewer tensors of empty entries": EMPTY_ENTRIES * 60_000,
    "two million tiny inputs": message(INPUT, b"") * 2_000_000,
}


@pytest.mark.parametrize("extra", BUSY.values(), ids=BUSY)
def test_a_model_of_many_small_messages_is_read_or_refused_soon(extra: bytes) -> None:
    # Protobuf merges messages that occur twice: the graph of the model holds `extra` too.
    content = proto().SerializeToString() + message(GRAPH, extra)
    with time_limit(PATIENCE):
        try:
            digest, facts = read_onnx(io.BytesIO(content), len(content))
        except NotOnnxError as e:
            digest = e.digest
        else:
            assert [i.name for i in facts.inputs] == ["features"]
    assert digest == of_bytes(content)


def test_a_large_tree_ensemble_is_a_model_like_any_other(repository: Repository) -> None:
    """scikit-learn's converter writes one node with long attributes."""
    made, nodes = proto(), 300_000
    made.graph.node.append(
        helper.make_node(
            "TreeEnsembleRegressor",
            ["features"],
            ["trees"],
            domain="ai.onnx.ml",
            nodes_treeids=[0] * nodes,
            nodes_nodeids=list(range(nodes)),
            nodes_featureids=[5] * nodes,
            nodes_truenodeids=list(range(nodes)),
            nodes_falsenodeids=list(range(nodes)),
            nodes_values=[0.25] * nodes,
            nodes_modes=["BRANCH_LEQ"] * nodes,
        )
    )
    made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    repository.add("m", made.SerializeToString(deterministic=True))
    repository.save()
    assert said(run_cli("check", cwd=repository.root, deadline=PATIENCE), 0)


DEEP = "[" * 45 + "0," * 1_900_000 + "0" + "]" * 45
ROWS = {
    "20,000 empty rows": ('{"models": [' + ",".join(["{}"] * 20_000) + "]}", 1, "REG101"),
    "a million numbers": (json.dumps({"models": [0] * 1_000_000}), 2, "1,000,000 rows; at most"),
    "90,000 numbers": (json.dumps({"models": [0] * 90_000}), 1, "90,000 entries of `models`"),
    "4 MB, 45 levels deep": (
        f'{{"models": {DEEP}}}',
        1,
        "expected a row (an object), found an array",
    ),
    "4 MB of arrays, 45 levels each": (
        '{"models": [' + ",".join(["[" * 44 + "]" * 44] * 44_000) + "]}",
        1,
        "44,000 entries of `models`",
    ),
    "32 MB of empty arrays": (
        '{"models": [], "x": [' + "[]," * 10_000_000 + "[]]}",
        2,
        "has more than 2,000,000 values",
    ),
}


@pytest.mark.parametrize(("text", "code", "message"), ROWS.values(), ids=ROWS)
def test_a_registry_of_many_values_has_a_clear_result_soon(
    repository: Repository, text: str, code: int, message: str
) -> None:
    repository.save().registry.write_text(text)
    result = run_cli("check", cwd=repository.root, deadline=PATIENCE)
    assert message in said(result, code)


DOUBLED = {
    f"d{number}": {"allOf": [{"$ref": f"#/$defs/d{number - 1}"}] * 2} for number in range(1, 40)
}
SCHEMAS: dict[str, tuple[Any, str | None]] = {
    "a pattern that backtracks": ({"pattern": "^(a+)+$"}, "REG114"),
    "a pattern that backtracks, in keys": ({"patternProperties": {"^(a|aa)+$": False}}, None),
    "references that double": ({"$ref": "#/$defs/d39"}, None),
    "a reference to itself": ({"$ref": "#/$defs/d40"}, None),
    "a reference to a server": ({"$ref": "http://169.254.169.254/latest/meta-data"}, None),
    "a reference to a file": ({"$ref": "file:///etc/passwd"}, None),
}


@pytest.mark.parametrize(("schema", "code"), SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_that_never_ends_or_is_elsewhere_has_a_clear_result_soon(
    repository: Repository, schema: Any, code: str | None
) -> None:
    long = "a" * 50_000 + "!"
    repository.add("m", mine=long)[long] = 1
    repository.save()
    row = {"properties": {"mine": schema}} if "patternProperties" not in schema else schema
    definitions = {"d0": {}, **DOUBLED, "d40": {"$ref": "#/$defs/d40"}}
    whole = {"$defs": definitions, "properties": {"models": {"items": row}}}
    repository.write("s.json", whole)
    repository.edit_registry('"models": [', '"$schema": "s.json", "models": [')
    with time_limit(PATIENCE):
        result = run_cli("check", "--format", "json", cwd=repository.root)
    assert [c for c, _ in result.codes] == ([code] if code else [])
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("name", "about", "code"),
    [("m.json", "m", "SID402"), ("beside.json", "a model that no row has", "SID415")],
)
def test_a_document_of_many_values_is_read_soon(
    repository: Repository, name: str, about: str, code: str
) -> None:
    repository.add_sidecar(repository.add("m"))
    repository.save().write(name, f'{{"id": "{about}", "sha256": {DEEP}}}')
    assert code in run_cli("check", cwd=repository.root, deadline=PATIENCE).out


# --- what a release may write -------------------------------------------------------------------


@pytest.fixture
def unsigned(repository: Repository) -> Repository:
    """An ensemble without bundles, attestations and a summary."""
    repository.add_ensemble("ens", 1)
    return repository.save()


def refused_unchanged(repository: Repository, *command: str, code: int = 2) -> str:
    """Run a command that must fail and leave the tree and its surroundings as they are."""
    before = snapshot(repository.root.parent)
    shown = said(run_cli(*command, cwd=repository.root), code)
    assert snapshot(repository.root.parent) == before
    return shown


@pytest.mark.parametrize(
    "victim", ["../model/registry.json", "../release.pub", "nowhere", "../../victim.txt"]
)
@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("release", "ens_seed0.onnx"),
        ("release", "ens_seed0.onnx.provenance"),
        ("release", "registry.json.vsa"),
        ("sign", "ens_seed0.onnx"),
        ("attest", "ens_seed0.onnx.provenance"),
    ],
)
def test_no_bundle_is_written_through_a_link(
    unsigned: Repository, key: KeyPair, command: str, name: str, victim: str
) -> None:
    (unsigned.root.parent / "victim.txt").write_text("untouched")
    (unsigned.root / "bundles" / f"{name}{SUFFIX}").symlink_to(victim)
    shown = refused_unchanged(unsigned, command, "--signer", key.signer)
    assert f"{name}{SUFFIX}' is a link" in shown


@pytest.mark.parametrize(
    "name", ["ens_seed0.onnx", "ens_seed0.onnx.provenance", "registry.json.vsa"]
)
def test_no_bundle_takes_the_place_of_a_folder(
    unsigned: Repository, key: KeyPair, name: str
) -> None:
    (unsigned.root / "bundles" / f"{name}{SUFFIX}").mkdir()
    shown = refused_unchanged(unsigned, "release", "--signer", key.signer)
    assert f"'bundles/{name}{SUFFIX}' is a folder, expected a regular file" in shown


def test_a_release_into_the_root_folder_removes_nothing_beside_the_repository(
    tmp_path: Path, key: KeyPair
) -> None:
    repository = Repository(tmp_path / "tree", key, folder=".")
    for id in "mn":
        repository.add(id, sigstore_bundle=f"{id}.onnx{SUFFIX}")
    repository.save()
    folders = [".tree.provenance-new", JOURNAL_FOLDER, "tree.provenance-new"]
    for name in folders:
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("years of work")
    assert said(run_cli("release", "--signer", key.signer, cwd=repository.root), 0)
    assert {p.parent.name for p in tmp_path.glob("*/thesis.txt")} == {*folders}
    assert codes(repository.verify()) == []


@pytest.mark.parametrize("leads_to", ["other.toml", "model/registry.json", "nowhere", "../nowhere"])
def test_init_writes_no_configuration_through_a_link(unsigned: Repository, leads_to: str) -> None:
    (unsigned.root / "provenance.toml").rename(unsigned.root / "other.toml")
    (unsigned.root / "provenance.toml").symlink_to(leads_to)
    assert "a configuration exists already" in refused_unchanged(unsigned, "init")


def test_init_adds_no_table_to_a_pyproject_that_is_a_link(unsigned: Repository) -> None:
    (unsigned.root / "provenance.toml").unlink()
    (unsigned.root.parent / "other.toml").write_text("[project]\n")
    (unsigned.root / "pyproject.toml").symlink_to("../other.toml")
    shown = refused_unchanged(unsigned, "init")
    assert "'pyproject.toml' is a link, expected a regular file" in shown


def test_a_bundle_path_that_climbs_behind_a_link_is_neither_verified_nor_written(
    repository: Repository, key: KeyPair
) -> None:
    """A client that follows links finds another file at `link/..`."""
    row = repository.add("m", sigstore_bundle=f"m.onnx{SUFFIX}")
    (repository.root / "real" / "deep").mkdir(parents=True)
    repository.save()
    (repository.models / "link").symlink_to("../real/deep")
    repository.released()  # a genuine bundle at the place that the path names
    assert verified_row(repository) == []
    row["sigstore_bundle"] = f"link/../m.onnx{SUFFIX}"
    repository.save()
    assert verified_row(repository) == [("SIG602", "m")]
    repository.path(f"m.onnx{SUFFIX}").unlink()
    before = snapshot(repository.root)
    for command in ("sign", "release"):
        assert run_cli(command, "--signer", key.signer, cwd=repository.root).code in (1, 2)
        assert snapshot(repository.root) == before


@pytest.mark.parametrize("changed", [True, False])
def test_signing_a_changed_row_notes_that_the_summary_does_not_cover_it(
    rows: Repository, key: KeyPair, changed: bool
) -> None:
    if changed:
        rows.rows[0]["notes"] = "changed"
        rows.save()
    result = run_cli("sign", "--signer", key.signer, "--format", "json", cwd=rows.root)
    note = "the release summary does not cover these bundles yet: provenance release"
    assert result.json["notes"] == ([note] if changed else [])


def test_attest_without_seeds_has_nothing_to_do(rows: Repository, key: KeyPair) -> None:
    result = run_cli("attest", "--signer", key.signer, cwd=rows.root)
    assert "no ensemble seeds to attest" in said(result, 3)


# --- a policy that is kept elsewhere ------------------------------------------------------------


@pytest.fixture
def policy(candidate: Workspace, tmp_path: Path) -> Path:
    """A consumer's own policy, outside the tree, with the publisher's key beside it."""
    mine = tmp_path / "elsewhere" / "mine.toml"
    mine.parent.mkdir()
    mine.write_text(CONFIG.replace("bundles/release.pub", "publisher.pub") + DEFERRAL)
    shutil.copy(candidate.bundles / "release.pub", mine.with_name("publisher.pub"))
    return mine


def verify_under(policy: Path, workspace: Workspace) -> Result:
    command = ("verify", "--config", policy, "-C", workspace.root, "--format", "json")
    return run_cli(*command, cwd=policy.parent)


def test_a_tree_verifies_under_a_policy_that_is_kept_elsewhere(
    policy: Path, candidate: Workspace
) -> None:
    result = verify_under(policy, candidate)
    assert (result.code, {code for code, _ in result.codes}) == (0, {"SID402"})
    policy.write_text(policy.read_text().replace(DEFERRAL, ""))
    result = verify_under(policy, candidate)
    assert (result.code, {code for code, _ in result.codes}) == (1, {"SID402", "ATT706"})


def test_a_policy_that_is_kept_elsewhere_uses_no_key_of_the_tree(
    policy: Path, candidate: Workspace, other_key: KeyPair
) -> None:
    publisher = policy.with_name("publisher.pub")
    publisher.rename(candidate.root / "publisher.pub")
    assert "'publisher.pub' does not exist" in said(verify_under(policy, candidate), 2)
    shutil.copy(other_key.public, publisher)
    result = verify_under(policy, candidate)
    assert result.code == 1
    assert "SIG604" in {code for code, _ in result.codes}


# --- names on their way to a terminal -----------------------------------------------------------

ESCAPE = "\x1b[2J\x1b[31m"


def test_init_escapes_the_paths_that_it_finds(tmp_path: Path, key: KeyPair) -> None:
    repository = Repository(tmp_path, key, folder=f"mo{ESCAPE}del")
    repository.add("m")
    repository.save()
    (tmp_path / "provenance.toml").unlink()
    (tmp_path / "release.pub").rename(tmp_path / f"rel{ESCAPE}.pub")
    shown = said(run_cli("init", cwd=tmp_path), 0)
    assert r"mo\u001b[2J\u001b[31mdel/registry.json" in shown
    assert r"rel\u001b[2J\u001b[31m.pub" in shown
    assert all(c.isprintable() for c in shown.replace("\n", ""))


def test_init_escapes_the_paths_of_several_registries(tmp_path: Path) -> None:
    for name in ("one.json", f"{ESCAPE}.json"):
        row = {"id": "m", "onnx": "m.onnx", "sha256": "0" * 64}
        (tmp_path / name).write_text(json.dumps({"models": [row]}))
    shown = said(run_cli("init", cwd=tmp_path), 0)
    assert "one.json" in shown
    assert all(c.isprintable() for c in shown.replace("\n", ""))


HOSTILE = f"a{ESCAPE}\n::error::b\r##[error]c\u202e"


@pytest.mark.parametrize(
    "arguments",
    [
        (HOSTILE,),
        ("check", HOSTILE),
        ("check", f"--{HOSTILE}"),
        ("check", "--config", HOSTILE),
        ("check", "--format", HOSTILE),
        ("check", "--output", f"{HOSTILE}=b"),
        ("verify", "--key", HOSTILE),
        ("-C", HOSTILE, "check"),
    ],
    ids=lambda arguments: " ".join(arguments).replace(HOSTILE, "NAME"),
)
def test_an_argument_cannot_command_a_terminal_or_a_runner(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    Repository(tmp_path).save()
    lines = said(run_cli(*arguments, cwd=tmp_path), 2).split("\n")
    assert all(line.isprintable() for line in lines)
    assert not [line for line in lines if line.lstrip().startswith("::") or "##[" in line]


def test_init_refuses_a_registry_whose_path_is_not_utf8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"mod\xff")
    folder.mkdir()
    (folder / "registry.json").write_text('{"models": [{"onnx": "m.onnx"}]}')
    assert said(run_cli("init", cwd=tmp_path), 2)


def test_init_reports_a_configuration_that_cannot_be_written(tmp_path: Path) -> None:
    row = {"id": "m", "onnx": "m.onnx", "sha256": "0" * 64}
    (tmp_path / "registry.json").write_text(json.dumps({"models": [row]}))
    (tmp_path / ".provenance.toml.provenance-new").mkdir()
    assert "cannot write provenance.toml" in said(run_cli("init", cwd=tmp_path), 2)
    assert not (tmp_path / "provenance.toml").exists()


# --- nothing unsigned decides ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, key: KeyPair) -> Repository:
    """`smoke` is released as a smoke model under CC-BY-NC-4.0, `plain` as a production model."""
    repository = production(tmp_path_factory.mktemp("published"), key)
    repository.add("smoke", license="CC-BY-NC-4.0")
    return repository.released()


@pytest.fixture
def tree(tmp_path: Path, published: Repository) -> Repository:
    return copied(published, tmp_path / "tree")


def config_of(repository: Repository) -> Path:
    return repository.root / "provenance.toml"


def append(repository: Repository, toml: str) -> None:
    config_of(repository).write_text(f"{config_of(repository).read_text()}{toml}")


def map_fields(tree: Repository) -> None:
    append(tree, '[fields]\nsmoke = "kind"\nlicense = "kind"\n')


def other_rows(tree: Repository) -> None:
    registry = json.loads(tree.registry.read_text())
    tree.registry.write_text(json.dumps(registry | {"genuine": registry["models"]}))
    append(tree, '[fields]\nrows = "genuine"\n')


def remapped(tree: Repository, **fields: str) -> None:
    """Let the configuration read the registry through a mapping, with these fields in addition."""
    text = config_of(tree).read_text().replace('registry = "model/registry.json"\n', "")
    names = dict.fromkeys(("id", "onnx", "sha256", "kind", "opset", "license_url"))
    mapped = {name: name for name in (*names, "sigstore_bundle", "notes")} | fields
    lines = "".join(f'{name} = "{member}"\n' for name, member in mapped.items())
    table = '[registry]\npath = "model/registry.json"\nrows = "$.models[*]"\n[registry.fields]\n'
    config_of(tree).write_text(f"{text}\n{table}{lines}")


def license_from_another_field(tree: Repository) -> None:
    remapped(tree, license="kind")


def license_from_the_configuration(tree: Repository) -> None:
    remapped(tree)
    append(tree, '[registry.defaults]\nlicense = "MIT"\nsmoke = false\n')


REMAPPED = {"ATT703", "LIC205", "REG109", "USE002", "USE004"}


def decoy(tree: Repository) -> None:
    """The configuration names a genuine copy; consumers read the registry, which was changed."""
    shutil.copy(tree.registry, tree.path("decoy.json"))
    tree.registry.write_text(tree.registry.read_text().replace('"kind": "fr"', '"kind": "nr"'))
    replace_once(config_of(tree), "model/registry.json", "model/decoy.json")


def decoy_elsewhere(tree: Repository) -> None:
    shutil.copytree(tree.models, tree.root / "decoy")
    replace_once(config_of(tree), "model/registry", "decoy/registry")


def loosened_policy(tree: Repository) -> None:
    append(tree, '[[deferral]]\nrule = "RUN001"\nrows = ["x"]\nreason = "r"\nreference = "r"\n')


def linked_policy(tree: Repository) -> None:
    """The same behind a link into a folder, so that the policy seems to lie outside the tree."""
    loosened_policy(tree)
    (tree.root / "sub").mkdir()
    config_of(tree).rename(tree.root / "sub" / "policy.toml")
    config_of(tree).symlink_to("sub/policy.toml")


def production_by_hand(tree: Repository) -> None:
    between = (
        '"license_url": "https://example.org/LICENSE",\n'
        '      "sigstore_bundle": "../bundles/smoke.onnx.sigstore.json"'
    )
    tree.edit_registry(
        f'"license": "CC-BY-NC-4.0",\n      {between},\n      "smoke": true',
        f'"license": "MIT",\n      {between},\n      "smoke": false',
    )


CONSUMER = ("smoke", "--require", "production", "--license-allow", "MIT")


@pytest.mark.parametrize(
    ("change", "args", "expected"),
    [
        (map_fields, CONSUMER, 2),
        (map_fields, (), 2),
        (other_rows, CONSUMER, 2),
        (other_rows, (), 2),
        (license_from_another_field, CONSUMER, REMAPPED | {"LIC204"}),
        (license_from_the_configuration, CONSUMER, REMAPPED),
        (decoy, ("plain",), {"ATT703"}),
        (decoy, (), {"ATT703", "ATT709", "SIG607"}),
        (decoy_elsewhere, ("plain",), {"ATT703"}),
        (decoy_elsewhere, (), {"ATT712", "ATT710"}),
        (loosened_policy, (), {"ATT710"}),
        (linked_policy, (), {"ATT710"}),
        (production_by_hand, CONSUMER, {"USE002", "USE004", "ATT703", "LIC205"}),
    ],
    ids=lambda v: v.__name__ if callable(v) else None,
)
def test_nothing_unsigned_decides(
    tree: Repository,
    change: Callable[[Repository], None],
    args: tuple[str, ...],
    expected: int | set[str],
) -> None:
    assert run_cli("verify", *(a for a in args if a == "plain"), cwd=tree.root).code == 0
    change(tree)
    result = run_cli("verify", *args, "--format", "json", cwd=tree.root)
    if isinstance(expected, int):
        assert (result.code, result.out) == (expected, "")
        assert "`fields` is now [registry.fields]" in result.err
    else:
        assert result.code == 1
        found = {code for code, _ in result.codes}
        assert found & expected, found
        assert not found - expected - {"DEF902", "SID417", "SID401"}, found


def test_the_report_names_a_policy_of_the_user_that_differs_from_the_signers(
    tree: Repository, tmp_path: Path
) -> None:
    policy = tmp_path / "policy" / "mine.toml"
    policy.parent.mkdir()
    policy.write_text(f"{config_of(tree).read_text()}[run]\ntimeout = 7\n")
    shutil.copy(tree.root / "release.pub", policy.parent)
    result = run_cli("verify", "--config", policy, cwd=tree.root)
    assert result.code == 0, result.out
    assert "from the command line, which differs from the signer's" in " ".join(result.out.split())


def test_the_summary_of_another_project_with_the_same_registry_name_is_refused(
    tree: Repository, tmp_path: Path, key: KeyPair
) -> None:
    """One key signs for two projects: the release of one is not that of the other."""
    other = copied(tree, tmp_path / "other")
    replace_once(config_of(other), "example.org", "example.net")
    assert codes(other.release()) == []
    summary = other.root / "bundles" / SUMMARY
    shutil.copy(summary, tree.root / "bundles" / SUMMARY)
    assert "ATT712" in codes(tree.verify())
    for host, found in (("example.net", []), ("example.org", ["ATT712"])):
        result = run_cli(
            *("verify-release", tree.registry, "--summary", summary, "--key", key.public),
            *("--resource-uri", f"https://{host}/models/registry.json", "--format", "json"),
        )
        assert [code for code, _ in result.codes] == found


def remove(path: Path) -> None:
    path.unlink()


def dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def rewrite(path: Path) -> None:
    path.write_bytes(model(salt=99) if path.suffix == ".onnx" else path.read_bytes() + b"\n")


@pytest.mark.parametrize("change", [remove, dangle, rewrite], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "name", ["plain.json", "plain.onnx.data", "quant.int8.onnx", "quant.int8.json", "quant.json"]
)
def test_a_signed_file_that_is_missing_or_changed_is_reported(
    published: Repository, key: KeyPair, tmp_path: Path, name: str, change: Callable[[Path], None]
) -> None:
    """Only a missing sidecar is a warning, and an error with `files` required."""
    folder = tmp_path / "downloads"
    shutil.copytree(published.models, folder)
    shutil.copytree(published.root / "bundles", folder, dirs_exist_ok=True)
    file = folder / f"{name.partition('.')[0]}.onnx"
    require = provenance.Require(row=True, production=True, no_deferrals=True, summary=True)
    assert codes(verify_file(file, key, require=require)) == []
    change(folder / name)
    report = verify_file(file, key)
    is_warning = name.endswith(".json") and change is not rewrite
    assert report.exit_code == (0 if is_warning else 1)
    assert len(report.findings) == 1
    assert name in report.findings[0].message
    for strict in (require, provenance.Require(files=True)):
        assert len(codes(verify_file(file, key, require=strict))) == 1
    with pytest.raises(provenance.ModelRefusedError):
        provenance.open_model(file, provenance.trust_from_keys([key.public]), require=require)
