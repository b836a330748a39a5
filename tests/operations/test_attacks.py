# SPDX-License-Identifier: Apache-2.0
"""Attacks on a registry, a download and the tool itself, each as its attacker would mount it.

What every one of them has in common: it once verified, overwrote something, hung, or ended in a
traceback. Where a whole small repository shows the attack, it is a folder `attack-…` of
`tests/cases/`.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

import provenance
from provenance import Report
from provenance.artifacts.digest import of_bytes
from provenance.artifacts.journal import JOURNAL_FOLDER
from provenance.artifacts.onnx_model import NotOnnxError, read_onnx
from provenance.artifacts.paths import FileError, FileProblem, Tree
from provenance.artifacts.registry import Row
from provenance.evidence.collect import collect_file
from provenance.evidence.read_rows import read_bundle
from provenance.evidence.rows import ModelEvidence
from provenance.gate.judge import Terms, judge
from provenance.gate.rules import Target
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
"""Seconds after which a hostile file has made the tool hang: a guard that has to hold under the
tracing of coverage on a busy machine, not a measurement."""


def verified_row(repository: Repository, row: str = "m") -> list[tuple[str, str | None]]:
    """What `verify ROW` says."""
    result = run_cli("verify", row, "--format", "json", cwd=repository.root)
    assert result.code == (1 if result.codes else 0), result.out
    return result.codes


def exchange(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def said(result: Result, code: int) -> str:
    """What a command said; it ended as it should, and not by a traceback."""
    assert result.code == code, result.out + result.err
    assert "Traceback" not in result.err
    return result.out + result.err


# --- files of one row exchanged, with digests to match ------------------------------------------


@pytest.fixture
def with_two_data_files(repository: Repository) -> Repository:
    """A released model that keeps its weights in two files of one size."""
    for salt, name in enumerate(("a.data", "b.data")):
        repository.write(name, data(24, salt))
    external = [External("a.data", tensor="a"), External("b.data", tensor="b")]
    covered = {n: sha256(repository.path(n).read_bytes()) for n in ("a.data", "b.data")}
    repository.add("m", model(external=external), external_data_sha256=covered)
    return repository.released()


def test_two_data_files_exchanged_and_hashed_again_are_not_what_was_signed(
    with_two_data_files: Repository,
) -> None:
    repository = with_two_data_files
    exchange(repository.path("a.data"), repository.path("b.data"))
    assert run_cli("hash", "--write", "--accept", "m", cwd=repository.root).code == 0
    assert verified_row(repository) == [("SIG605", "m"), ("SIG605", "m")]


def test_a_model_and_its_int8_variant_exchanged_and_hashed_again_are_not_what_was_signed(
    repository: Repository,
) -> None:
    repository.add_int8("m")
    repository.released()
    exchange(repository.path("m.onnx"), repository.path("m.int8.onnx"))
    assert run_cli("hash", "--write", "--accept", "m", cwd=repository.root).code == 0
    assert verified_row(repository) == [("SIG605", "m"), ("SIG605", "m")]


# --- a registry that says two things ------------------------------------------------------------


@pytest.fixture(scope="module")
def two_rows(tmp_path_factory: pytest.TempPathFactory, key: KeyPair) -> Repository:
    """A released row, and another. Not to be changed: copy them."""
    repository = Repository(tmp_path_factory.mktemp("rows") / "repository", key)
    repository.add("m", license="MIT")
    repository.add("n", license="ISC")
    return repository.released()


@pytest.fixture
def one_row(two_rows: Repository, tmp_path: Path) -> Repository:
    return copied(two_rows, tmp_path / "repository")


def test_a_row_is_not_verified_in_a_registry_with_two_lists_of_models(one_row: Repository) -> None:
    one_row.edit_registry('"models": [', '"models": [{"onnx": "evil.onnx"}],\n  "models": [')
    assert verified_row(one_row) == [("REG103", None)]


def test_a_row_that_names_two_licenses_is_not_verified(one_row: Repository) -> None:
    one_row.edit_registry('"license": "MIT"', '"license": "GPL-3.0-only", "license": "MIT"')
    assert verified_row(one_row) == [("REG103", "m")]


def test_a_row_is_not_verified_beside_one_that_says_two_things(one_row: Repository) -> None:
    one_row.edit_registry('"license": "ISC"', '"license": "GPL-3.0-only", "license": "ISC"')
    assert verified_row(one_row) == [("REG103", None)]


def test_a_key_is_found_twice_however_deep_it_stands(repository: Repository) -> None:
    repository.add("m", own={"a": {"b": {"c": {"x": 1}}}})
    repository.released()
    repository.edit_registry('"x": 1', '"x": 2, "x": 1')
    assert verified_row(repository) == [("REG103", None)]


# --- a seed whose provenance was removed --------------------------------------------------------


def remove_attestation(workspace: Workspace) -> None:
    (workspace.bundles / f"{SEED0}.onnx.provenance{SUFFIX}").unlink()


def keep_attestation(workspace: Workspace) -> None:
    assert (workspace.bundles / f"{SEED0}.onnx.provenance{SUFFIX}").is_file()


def remove_manifest(workspace: Workspace) -> None:
    (workspace.root / "model" / MANIFEST).unlink()


def rename_in_manifest(workspace: Workspace) -> None:
    replace_once(workspace.root / "model" / MANIFEST, f'"onnx": "{SEED0}.onnx"', '"onnx": "x.onnx"')


def test_a_seed_of_the_untouched_release_verifies(retrained: Workspace) -> None:
    assert codes(retrained.verify(SEED0)) == []


@pytest.mark.parametrize("unlist", [remove_manifest, rename_in_manifest], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("change", "code"),
    [(remove_attestation, "ATT707"), (keep_attestation, "ATT708")],
    ids=["attestation removed", "attestation kept"],
)
def test_a_seed_that_the_manifest_no_longer_lists_still_needs_its_attestation(
    retrained: Workspace,
    unlist: Callable[[Workspace], None],
    change: Callable[[Workspace], None],
    code: str,
) -> None:
    change(retrained)
    unlist(retrained)
    found = codes(retrained.verify(SEED0))
    assert [c for c in found if c.startswith("ATT7")] == [code]


# --- what a consumer has: one file --------------------------------------------------------------


def download(repository: Repository, folder: Path, *names: str) -> Path:
    """The named files and the bundle of the first, in a folder of their own; the first."""
    folder.mkdir()
    for name in names:
        shutil.copy(repository.path(name), folder)
    shutil.copy(repository.root / "bundles" / f"{names[0]}{SUFFIX}", folder)
    return folder / names[0]


def trust_in(key: KeyPair) -> provenance.Trust:
    return provenance.trust_from_keys([key.public])


def judged_file(path: Path, key: KeyPair, today: datetime.date | None = None) -> Report:
    return verify_model(path, trust_in(key), today=today)


def test_a_download_signed_with_a_deferral_does_not_outlive_its_date(
    repository: Repository, key: KeyPair, tmp_path: Path
) -> None:
    day = datetime.date(2999, 6, 30)
    repository.add_sidecar(repository.add("m"), sha256="0" * 64)
    repository.defer("SID402", ["m"], expires=day)
    path = download(repository.released(), tmp_path / "download", "m.onnx")
    assert codes(judged_file(path, key, day)) == []
    assert codes(judged_file(path, key, day + datetime.timedelta(days=1))) == ["DEF903"]


@pytest.fixture
def signed_bytes(tmp_path: Path, key: KeyPair) -> Path:
    """A model with a plain signature over its bytes, as `cosign sign-blob` writes it."""
    path = tmp_path / "m.onnx"
    path.write_bytes(model())
    path.with_name(f"m.onnx{SUFFIX}").write_text(json.dumps(message_bundle(model(), key)))
    return path


def test_a_plain_signature_covers_the_file_alone(signed_bytes: Path, key: KeyPair) -> None:
    report = judged_file(signed_bytes, key)
    assert (report.exit_code, [f.code for f in report.findings]) == (0, ["ATT711"])


def test_an_int8_variant_beside_a_plain_signature_is_not_said_to_be_verified(
    signed_bytes: Path, key: KeyPair
) -> None:
    # Another file, as docs/verify.md says: it is neither judged nor shown among what was.
    signed_bytes.with_name("m.int8.onnx").write_bytes(model(salt=1))
    report = judged_file(signed_bytes, key)
    assert [f.path for row in report.rows for f in row.model_files] == ["m.onnx"]


def test_an_int8_variant_is_not_verified_by_the_plain_signature_over_its_model(
    signed_bytes: Path, key: KeyPair
) -> None:
    variant = signed_bytes.with_name("m.int8.onnx")
    variant.write_bytes(model(salt=1))
    bundle = signed_bytes.with_name(f"m.onnx{SUFFIX}")
    report = verify_model(variant, trust_in(key), bundle=bundle)
    assert (report.exit_code, codes(report)) == (1, ["SIG603"])


def test_a_plain_signature_does_not_cover_external_data(tmp_path: Path, key: KeyPair) -> None:
    content = model(external=External("m.data"))
    (tmp_path / "m.onnx").write_bytes(content)
    (tmp_path / "m.data").write_bytes(data(24))
    (tmp_path / f"m.onnx{SUFFIX}").write_text(json.dumps(message_bundle(content, key)))
    report = judged_file(tmp_path / "m.onnx", key)
    assert (report.exit_code, codes(report)) == (1, ["ATT702"])


def test_a_signed_int8_variant_that_was_not_fetched_is_an_error(
    repository: Repository, key: KeyPair, tmp_path: Path
) -> None:
    repository.add_int8("m")
    path = download(repository.released(), tmp_path / "download", "m.onnx")
    report = judged_file(path, key)
    assert (report.exit_code, codes(report)) == (1, ["ATT705"])
    assert "m.int8.onnx" in report.failing[0].message


@pytest.mark.parametrize("problem", FileProblem, ids=lambda t: t.name)
def test_what_was_not_hashed_is_not_verified(
    repository: Repository, key: KeyPair, tmp_path: Path, problem: FileProblem
) -> None:
    repository.add("m")
    path = download(repository.released(), tmp_path / "download", "m.onnx")
    beside = path.with_name(f"m.onnx{SUFFIX}")
    evidence = collect_file(
        Tree.at(path.parent),
        Row(0, {"id": "m", "onnx": "m.onnx"}, {}),
        read_bundle(str(beside), beside.read_bytes()),
    )
    terms = Terms(trust=trust_in(key), today=datetime.date(2026, 7, 1))
    assert judge(evidence, None, terms, target=Target.MODEL).exit_code == 0
    gone = ModelEvidence("m.onnx", "m.onnx", problem=FileError(problem, "m.onnx", "not read"))
    row = replace(evidence.rows[0], onnx=gone)
    evidence = replace(evidence, rows=(row,))
    assert judge(evidence, None, terms, target=Target.MODEL).exit_code == 1


def test_a_file_that_vanishes_before_it_is_read_is_not_verified(
    repository: Repository, key: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provenance.operations import named_files

    repository.add("m")
    path = download(repository.released(), tmp_path / "download", "m.onnx")
    read = named_files.bundle_bytes

    def read_and_remove(bundle: Path) -> bytes:
        path.unlink()
        return read(bundle)

    monkeypatch.setattr(named_files, "bundle_bytes", read_and_remove)
    assert "ART301" in codes(judged_file(path, key))


def test_a_download_cache_of_links_verifies(
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
    report = judged_file(cache / "snapshot" / "m.onnx", key)
    assert codes(report) == []
    assert [Path(f.path).name for f in report.rows[0].model_files] == ["m.onnx", "m.onnx.data"]


def test_other_weights_in_a_download_cache_of_links_are_refused(
    repository: Repository, key: KeyPair, tmp_path: Path
) -> None:
    repository.add_external("m")
    path = download(repository.released(), tmp_path / "download", "m.onnx")
    (tmp_path / "blob").write_bytes(data(24, salt=99))
    path.with_name("m.onnx.data").symlink_to("../blob")
    assert codes(judged_file(path, key)) == ["SIG605"]


# --- the sidecar of a production seed -----------------------------------------------------------


@pytest.fixture
def seed(repository: Repository) -> Repository:
    """An ensemble of one production seed, which passes the gate."""
    repository.add_ensemble("ens", 1, smoke=False)
    assert codes(repository.save().check()) == []
    return repository


def edit_sidecar(repository: Repository, change: Callable[[dict[str, Any]], object]) -> None:
    path = repository.path("ens_seed0.json")
    sidecar = json.loads(path.read_text())
    change(sidecar)
    path.write_text(json.dumps(sidecar, indent=2))


def test_a_seed_whose_sidecar_no_longer_says_which_bytes_it_describes_is_stale(
    seed: Repository,
) -> None:
    edit_sidecar(seed, lambda s: s.pop("sha256"))
    assert codes(seed.check()) == ["SID404"]


def test_without_input_names_a_width_is_that_of_the_input_at_its_place(seed: Repository) -> None:
    edit_sidecar(seed, lambda s: s.pop("input_names"))
    assert codes(seed.check()) == []
    edit_sidecar(seed, lambda s: s.update(feature_order=["f0"]))
    report = seed.check()
    assert codes(report) == ["SID403"]
    assert "`feature_order` declares a width of 1 for input 'features'" in report.failing[0].message


def test_a_declared_input_that_the_graph_lacks_is_found(seed: Repository) -> None:
    edit_sidecar(seed, lambda s: s.update(input_names=["features", "codec_1hot"]))
    report = seed.check()
    assert codes(report) == ["SID410"]
    assert "declares an input 'codec_1hot'" in report.failing[0].message


# --- bytes that a runtime reads and the gate does not -------------------------------------------


def large(tensor: Any) -> bytes:
    """A model of more than 4 KiB with one more tensor."""
    message = proto(external=[], salt=1)
    message.graph.initializer.append(tensor)
    message.graph.doc_string = "x" * 5000
    content: bytes = message.SerializeToString()
    return content


def outside(location: str = "w.data", **more: Any) -> Any:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1024], **more)
    for key, value in (("location", location), ("offset", "0")):
        tensor.external_data.add(key=key, value=value)
    tensor.data_location = TensorProto.EXTERNAL
    return tensor


def in_two_versions(domain: str) -> bytes:
    message = proto()
    message.opset_import.add(domain=domain, version=18)
    content: bytes = message.SerializeToString()
    return content


def in_two_places() -> bytes:
    tensor = outside()
    tensor.external_data.add(key="location", value="other.data")
    return large(tensor)


UNJUDGED: dict[str, tuple[bytes, str]] = {
    **{
        f"an address in memory: {location}": (large(outside(location)), "ART305")
        for location in (
            "*/_ORT_MEM_ADDR_/*",
            "*/_ort_mem_addr_/*",
            "*/_ORT_NATIVE_ENDIAN_MEM_ADDR_/*",
            "./*/_ORT_MEM_ADDR_/*",
            "*//_ORT_MEM_ADDR_//*",
            "*/_ORT_MEM_ADDR_/*/x",
            "sub/_ORT_MEM_ADDR_",
        )
    },
    "data that is too short": (large(outside()), "ART307"),
    "short data of a documented tensor": (large(outside(doc_string="x" * 300)), "ART307"),
    "short data of a tensor over 4 KiB": (large(outside(doc_string="x" * 5000)), "ART307"),
    "data in two places": (in_two_places(), "ART303"),
    "an opset in two versions": (in_two_versions(""), "ART303"),
    "an opset in two versions, by two names": (in_two_versions("ai.onnx"), "ART303"),
}


@pytest.mark.parametrize(("content", "code"), UNJUDGED.values(), ids=list(UNJUDGED))
def test_what_a_runtime_would_read_is_judged(
    repository: Repository, content: bytes, code: str
) -> None:
    for name in ("w.data", "*/_ORT_MEM_ADDR_/*", "sub/_ORT_MEM_ADDR_", "*/_ORT_MEM_ADDR_/*/x"):
        with contextlib.suppress(OSError):  # a file and a folder of one name
            repository.write(name, data(24))
    repository.add("m", content)
    assert code in codes(repository.save().check())


# --- what lies beside a release and is not part of it --------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["evil.ONNX", f"{SEED0}.ort", f"{SEED0}.bin", f"{SEED0}.int8.json", f"{SEED0}.onnx.bak"],
)
def test_what_bears_the_name_of_a_model_is_a_stray(retrained: Workspace, name: str) -> None:
    (retrained.root / "model" / name).write_text("{}")
    report = retrained.check()
    assert [(f.code, f.path) for f in report.failing] == [("ART311", f"model/{name}")]


@pytest.mark.parametrize("name", [f"{SEED0}.md", "README", "notes.json"])
def test_what_is_written_about_a_model_is_no_stray(retrained: Workspace, name: str) -> None:
    (retrained.root / "model" / name).write_text("{}")
    assert codes(retrained.check()) == []


def make_unreadable_name(folder: Path, name: bytes, content: bytes = b"") -> None:
    """A file whose name is no text."""
    try:
        with open(os.path.join(os.fsencode(folder), name), "wb") as stream:
            stream.write(content)
    except OSError:  # pragma: no cover
        pytest.skip("this file system holds UTF-8 names only")


@pytest.mark.parametrize("command", ["check", "release"])
def test_a_stray_whose_name_is_no_text_is_named_with_escapes(
    one_row: Repository, key: KeyPair, command: str
) -> None:
    make_unreadable_name(one_row.models, b"evil\xff.onnx", model())
    signer = ("--signer", key.signer) if command == "release" else ()
    shown = said(run_cli(command, *signer, cwd=one_row.root), 1)
    assert "ART311" in shown
    assert r"evil\udcff.onnx" in shown


DOCUMENTS = {
    "manifest": {"id": "e", "members": []},
    "verdict": {"gate": {}, "verdict": "PROMOTE"},
    "sidecar": {"id": "m", "sha256": "0" * 64},
}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_whose_name_is_no_text_is_no_traceback(
    one_row: Repository, key: KeyPair, kind: str
) -> None:
    make_unreadable_name(one_row.models, b"evil\xff.json", json.dumps(DOCUMENTS[kind]).encode())
    for command in (("check",), ("release", "--signer", key.signer), ("verify",)):
        for format in ("human", "json"):
            result = run_cli(*command, "--format", format, cwd=one_row.root)
            assert result.code in (0, 1)
            assert (result.out + result.err).encode("utf-8")


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_whose_name_is_no_text_is_not_passed_over(
    one_row: Repository, kind: str
) -> None:
    make_unreadable_name(one_row.models, b"evil\xff.json", json.dumps(DOCUMENTS[kind]).encode())
    assert codes(one_row.check()) == ["ART311"]


def test_a_bundle_whose_name_is_no_text_is_a_stray(one_row: Repository) -> None:
    make_unreadable_name(one_row.root / "bundles", b"evil\xff.sigstore.json", b"{}")
    assert codes(one_row.verify()) == ["SIG607"]


# --- values and names that no reader expects ----------------------------------------------------

FIELDS = (
    *("id", "kind", "onnx", "sha256", "int8_sha256", "external_data_sha256", "opset", "smoke"),
    *("quant_mode", "license", "license_url", "sigstore_bundle", "notes", "description"),
)


@pytest.mark.parametrize("command", ["check", "verify", "hash", "release"])
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [[], {}, [[]], {"a": []}, None, 0.5], ids=json.dumps)
def test_a_field_of_another_type_is_never_a_pass(
    one_row: Repository, key: KeyPair, command: str, field: str, value: Any
) -> None:
    one_row.rows[0][field] = value
    one_row.save()
    signer = ("--signer", key.signer) if command == "release" else ()
    result = run_cli(command, *signer, "--format", "json", cwd=one_row.root)
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


@pytest.mark.parametrize("text", TOML.values(), ids=list(TOML))
@pytest.mark.parametrize("command", ["check", "verify", "init", "check --config", "verify --trust"])
def test_toml_that_its_reader_cannot_hold_is_an_error(
    one_row: Repository, command: str, text: str
) -> None:
    name, _, option = command.partition(" ")
    file = "pyproject.toml" if name == "init" else "provenance.toml"
    if name == "init":
        (one_row.root / "provenance.toml").unlink()
    if option:
        file = "other.toml"
    (one_row.root / file).write_text(text)
    result = run_cli(name, *((option, file) if option else ()), cwd=one_row.root)
    assert f"{file}: more than" in said(result, 2)
    assert (one_row.root / file).read_text() == text


@pytest.mark.parametrize("command", ["check", "init"])
def test_a_pyproject_that_is_not_utf8_is_an_error(one_row: Repository, command: str) -> None:
    (one_row.root / "provenance.toml").unlink()
    (one_row.root / "pyproject.toml").write_bytes(b'[project]\nname = "\xff"\n')
    assert "not UTF-8 (byte 18)" in said(run_cli(command, cwd=one_row.root), 2)


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


def with_graph(extra: bytes) -> bytes:
    """A model whose graph holds `extra` too: protobuf merges messages that occur twice."""
    content: bytes = proto().SerializeToString()
    return content + message(7, extra)


NODE, INITIALIZER, INPUT, ATTRIBUTE, EXTERNAL_DATA = 1, 5, 11, 5, 13
BUSY = {
    "nodes of empty attributes": message(NODE, message(ATTRIBUTE, b"") * 2_040) * 2_000,
    "tensors of empty entries": message(INITIALIZER, message(EXTERNAL_DATA, b"") * 127) * 130_000,
    "fewer tensors of empty entries": (
        message(INITIALIZER, message(EXTERNAL_DATA, b"") * 127) * 60_000
    ),
    "two million tiny inputs": message(INPUT, b"") * 2_000_000,
}


@pytest.mark.parametrize("extra", BUSY.values(), ids=list(BUSY))
def test_a_model_that_is_made_to_keep_its_reader_busy_is_read_or_refused_soon(
    extra: bytes,
) -> None:
    content = with_graph(extra)
    with time_limit(PATIENCE):
        try:
            digest, facts = read_onnx(io.BytesIO(content), len(content))
        except NotOnnxError as e:
            digest = e.digest
        else:
            assert [i.name for i in facts.inputs] == ["features"]
    assert digest == of_bytes(content)


def tree_ensemble(nodes: int) -> bytes:
    """A tree ensemble, as scikit-learn's converter writes it: one node with long attributes."""
    from onnx import helper

    made = proto()
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
    content: bytes = made.SerializeToString(deterministic=True)
    return content


def test_a_large_tree_ensemble_is_a_model_like_any_other(repository: Repository) -> None:
    repository.add("m", tree_ensemble(300_000))
    repository.save()
    assert said(run_cli("check", cwd=repository.root, deadline=PATIENCE), 0)


ROWS = {
    "20,000 empty rows": ('{"models": [' + ",".join(["{}"] * 20_000) + "]}", 1, "REG101"),
    "a million numbers": (json.dumps({"models": [0] * 1_000_000}), 2, "1,000,000 rows; at most"),
    "90,000 numbers": (json.dumps({"models": [0] * 90_000}), 1, "90,000 entries of `models`"),
    "4 MB, 45 levels deep": (
        '{"models": ' + "[" * 45 + "0," * 1_900_000 + "0" + "]" * 45 + "}",
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


@pytest.mark.parametrize(("text", "code", "message"), ROWS.values(), ids=list(ROWS))
def test_a_registry_that_is_made_to_keep_its_reader_busy_has_a_clear_result_soon(
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


@pytest.mark.parametrize(("schema", "code"), SCHEMAS.values(), ids=list(SCHEMAS))
def test_a_schema_that_is_made_to_keep_its_reader_busy_has_a_clear_result_soon(
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


@pytest.mark.parametrize("name", ["m.json", "beside.json"])
def test_a_document_that_is_made_to_keep_its_reader_busy_is_read_soon(
    repository: Repository, name: str
) -> None:
    repository.add_sidecar(repository.add("m"))
    repository.save()
    array = "[" * 45 + "0," * 1_900_000 + "0" + "]" * 45
    about = "m" if name == "m.json" else "a model that no row has"
    repository.write(name, f'{{"id": "{about}", "sha256": {array}}}')
    result = run_cli("check", cwd=repository.root, deadline=PATIENCE)
    assert ("SID415" if name == "beside.json" else "SID402") in result.out


# --- what a release may write, and what it may not ----------------------------------------------


@pytest.fixture
def unsigned(repository: Repository) -> Repository:
    """An ensemble that has not been released: bundles, attestations and a summary are to come."""
    repository.add_ensemble("ens", 1)
    return repository.save()


def snapshot(root: Path) -> dict[str, bytes | str]:
    """Every file below `root` with its bytes, every link with where it leads, every folder."""

    def entries() -> Iterator[tuple[str, bytes | str]]:
        for path in sorted(root.rglob("*")):
            content: bytes | str = "a folder"
            if path.is_symlink():
                content = f"-> {path.readlink()}"
            elif path.is_file():
                content = path.read_bytes()
            yield path.relative_to(root).as_posix(), content

    return dict(entries())


WRITTEN = {
    "row bundle": "ens_seed0.onnx",
    "seed attestation": "ens_seed0.onnx.provenance",
    "release summary": "registry.json.vsa",
}
VICTIMS = ("../model/registry.json", "../release.pub", "nowhere", "../../victim.txt")


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("name", WRITTEN.values(), ids=list(WRITTEN))
def test_a_release_does_not_write_through_a_link(
    unsigned: Repository, key: KeyPair, name: str, victim: str
) -> None:
    outside = unsigned.root.parent / "victim.txt"
    outside.write_text("untouched")
    (unsigned.root / "bundles" / f"{name}{SUFFIX}").symlink_to(victim)
    before = snapshot(unsigned.root)
    result = run_cli("release", "--signer", key.signer, cwd=unsigned.root)
    assert f"{name}{SUFFIX}' is a link" in said(result, 2)
    assert snapshot(unsigned.root) == before
    assert outside.read_text() == "untouched"


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize(
    ("command", "name"), [("sign", "ens_seed0.onnx"), ("attest", "ens_seed0.onnx.provenance")]
)
def test_a_single_bundle_is_not_written_through_a_link(
    unsigned: Repository, key: KeyPair, command: str, name: str, victim: str
) -> None:
    (unsigned.root / "bundles" / f"{name}{SUFFIX}").symlink_to(victim)
    before = snapshot(unsigned.root)
    result = run_cli(command, "--signer", key.signer, cwd=unsigned.root)
    assert f"{name}{SUFFIX}' is a link" in said(result, 2)
    assert snapshot(unsigned.root) == before


@pytest.mark.parametrize("name", WRITTEN.values(), ids=list(WRITTEN))
def test_a_folder_where_a_bundle_goes_is_named_and_nothing_is_written(
    unsigned: Repository, key: KeyPair, name: str
) -> None:
    (unsigned.root / "bundles" / f"{name}{SUFFIX}").mkdir()
    before = snapshot(unsigned.root)
    result = run_cli("release", "--signer", key.signer, cwd=unsigned.root)
    shown = said(result, 2)
    assert f"'bundles/{name}{SUFFIX}' is a folder, expected a regular file" in shown
    assert snapshot(unsigned.root) == before


def test_bundles_in_the_root_folder_cost_nothing_that_lies_beside_the_repository(
    tmp_path: Path, key: KeyPair
) -> None:
    repository = Repository(tmp_path / "tree", key, folder=".")
    repository.add("m", sigstore_bundle=f"m.onnx{SUFFIX}")
    repository.add("n", sigstore_bundle=f"n.onnx{SUFFIX}")
    repository.save()
    for name in (".tree.provenance-new", "tree.provenance-new", JOURNAL_FOLDER):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("years of work")
    assert said(run_cli("release", "--signer", key.signer, cwd=repository.root), 0)
    kept = sorted(p.parent.name for p in tmp_path.glob("*/thesis.txt"))
    assert kept == [JOURNAL_FOLDER, ".tree.provenance-new", "tree.provenance-new"]
    assert codes(repository.verify()) == []


@pytest.mark.parametrize("leads_to", ["other.toml", "model/registry.json", "nowhere", "../nowhere"])
def test_a_link_is_never_taken_for_a_place_to_put_a_configuration(
    unsigned: Repository, leads_to: str
) -> None:
    (unsigned.root / "provenance.toml").rename(unsigned.root / "other.toml")
    (unsigned.root / "provenance.toml").symlink_to(leads_to)
    before = snapshot(unsigned.root.parent)
    shown = said(run_cli("init", cwd=unsigned.root), 2)
    assert "a configuration exists already" in shown
    assert snapshot(unsigned.root.parent) == before


def test_a_table_is_not_added_to_a_pyproject_that_is_a_link(unsigned: Repository) -> None:
    (unsigned.root / "provenance.toml").unlink()
    (unsigned.root.parent / "other.toml").write_text("[project]\n")
    (unsigned.root / "pyproject.toml").symlink_to("../other.toml")
    before = snapshot(unsigned.root.parent)
    shown = said(run_cli("init", cwd=unsigned.root), 2)
    assert "'pyproject.toml' is a link, expected a regular file" in shown
    assert snapshot(unsigned.root.parent) == before


@pytest.fixture
def behind_a_link(repository: Repository) -> Repository:
    """A bundle path whose '..' leads elsewhere if symbolic links are followed."""
    repository.add("m", sigstore_bundle=f"link/../m.onnx{SUFFIX}")
    (repository.root / "real" / "deep").mkdir(parents=True)
    repository.save()
    (repository.models / "link").symlink_to("../real/deep")
    return repository


def test_a_bundle_path_that_climbs_behind_a_link_is_not_verified(
    behind_a_link: Repository, key: KeyPair
) -> None:
    # A genuine bundle at the place that the text names; stock consumers would read another file.
    elsewhere = f"m.onnx{SUFFIX}"
    behind_a_link.rows[0]["sigstore_bundle"] = elsewhere
    behind_a_link.released()
    assert verified_row(behind_a_link) == []
    behind_a_link.rows[0]["sigstore_bundle"] = f"link/../m.onnx{SUFFIX}"
    behind_a_link.save()
    assert verified_row(behind_a_link) == [("SIG602", "m")]


@pytest.mark.parametrize("command", ["sign", "release"])
def test_a_bundle_path_that_climbs_behind_a_link_is_not_written(
    behind_a_link: Repository, key: KeyPair, command: str
) -> None:
    before = snapshot(behind_a_link.root)
    result = run_cli(command, "--signer", key.signer, cwd=behind_a_link.root)
    assert result.code in (1, 2)
    assert snapshot(behind_a_link.root) == before


def test_signing_a_row_says_that_the_summary_does_not_cover_it_yet(
    one_row: Repository, key: KeyPair
) -> None:
    one_row.rows[0]["notes"] = "changed"
    one_row.save()
    result = run_cli("sign", "--signer", key.signer, "--format", "json", cwd=one_row.root)
    assert result.json["notes"] == [
        "the release summary does not cover these bundles yet: provenance release"
    ]


def test_signing_what_is_signed_already_says_nothing_of_the_summary(
    one_row: Repository, key: KeyPair
) -> None:
    result = run_cli("sign", "--signer", key.signer, "--format", "json", cwd=one_row.root)
    assert result.json["notes"] == []


def test_attesting_where_there_is_no_seed_is_nothing_done(
    one_row: Repository, key: KeyPair
) -> None:
    result = run_cli("attest", "--signer", key.signer, cwd=one_row.root)
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
    assert result.code == 0, result.out + result.err
    assert {code for code, _ in result.codes} == {"SID402"}


def test_a_policy_that_is_kept_elsewhere_takes_no_key_from_the_tree(
    policy: Path, candidate: Workspace
) -> None:
    shutil.copy(policy.with_name("publisher.pub"), candidate.root / "publisher.pub")
    policy.with_name("publisher.pub").unlink()
    assert "'publisher.pub' does not exist" in said(verify_under(policy, candidate), 2)


def test_a_policy_that_is_kept_elsewhere_counts_its_own_keys_only(
    policy: Path, candidate: Workspace, other_key: KeyPair
) -> None:
    shutil.copy(other_key.public, policy.with_name("publisher.pub"))
    result = verify_under(policy, candidate)
    assert result.code == 1
    assert "SIG604" in {code for code, _ in result.codes}


def test_a_tree_needs_the_deferrals_that_its_release_was_signed_with(
    policy: Path, candidate: Workspace
) -> None:
    policy.write_text(policy.read_text().replace(DEFERRAL, ""))
    result = verify_under(policy, candidate)
    assert result.code == 1
    assert {code for code, _ in result.codes} == {"SID402", "ATT706"}


# --- names on their way to a terminal -----------------------------------------------------------

ESCAPE = "\x1b[2J\x1b[31m"


def test_a_path_cannot_move_the_cursor_in_the_output_of_init(tmp_path: Path, key: KeyPair) -> None:
    repository = Repository(tmp_path, key, folder=f"mo{ESCAPE}del")
    repository.add("m")
    repository.save()
    (tmp_path / "provenance.toml").unlink()
    (tmp_path / "release.pub").rename(tmp_path / f"rel{ESCAPE}.pub")
    shown = said(run_cli("init", cwd=tmp_path), 0)
    assert r"mo\u001b[2J\u001b[31mdel/registry.json" in shown
    assert r"rel\u001b[2J\u001b[31m.pub" in shown
    assert all(c.isprintable() for c in shown.replace("\n", ""))


def test_a_path_cannot_move_the_cursor_of_whoever_has_two_registries(tmp_path: Path) -> None:
    for name in ("one.json", f"{ESCAPE}.json"):
        (tmp_path / name).write_text('{"models": [{"onnx": "m.onnx"}]}')
    shown = said(run_cli("init", cwd=tmp_path), 2)
    assert "several registries" in shown
    assert all(c.isprintable() for c in shown.replace("\n", ""))


SPEAKING = f"a{ESCAPE}\n::error::b\r##[error]c\u202e"


@pytest.mark.parametrize(
    "arguments",
    [
        (SPEAKING,),
        ("check", SPEAKING),
        ("check", f"--{SPEAKING}"),
        ("check", "--config", SPEAKING),
        ("check", "--format", SPEAKING),
        ("check", "--output", f"{SPEAKING}=b"),
        ("verify", "--key", SPEAKING),
        ("-C", SPEAKING, "check"),
    ],
    ids=lambda arguments: " ".join(arguments).replace(SPEAKING, "NAME"),
)
def test_an_argument_speaks_to_no_terminal_and_to_no_runner(
    one_row: Repository, arguments: tuple[str, ...]
) -> None:
    lines = said(run_cli(*arguments, cwd=one_row.root), 2).split("\n")
    assert all(line.isprintable() for line in lines)
    assert not [line for line in lines if line.lstrip().startswith("::") or "##[" in line]


def test_a_registry_whose_path_is_no_text_is_an_error_of_init(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"mod\xff")
    folder.mkdir()
    (folder / "registry.json").write_text('{"models": [{"onnx": "m.onnx"}]}')
    assert said(run_cli("init", cwd=tmp_path), 2)


def test_a_configuration_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "registry.json").write_text('{"models": [{"onnx": "m.onnx"}]}')
    (tmp_path / ".provenance.toml.provenance-new").mkdir()
    assert "cannot write provenance.toml" in said(run_cli("init", cwd=tmp_path), 2)
    assert not (tmp_path / "provenance.toml").exists()


# --- nothing unsigned decides ---------------------------------------------------------------------


@dataclass(frozen=True)
class Unsigned:
    """A released repository, and what an attacker without a key does to it.

    `smoke` was released as a smoke model under CC-BY-NC-4.0; `plain` as a production model.
    """

    repository: Repository

    @property
    def root(self) -> Path:
        return self.repository.root

    @property
    def config(self) -> Path:
        return self.root / "provenance.toml"

    def configure(self, text: str) -> None:
        """Put tables or keys into the configuration of the tree."""
        self.config.write_text(f"{text}\n{self.config.read_text()}", "utf-8")

    def verify(self, *args: str) -> Result:
        return run_cli("verify", *args, "--format", "json", cwd=self.root)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, key: KeyPair) -> Repository:
    repository = production(tmp_path_factory.mktemp("published"), key)
    repository.add("smoke", license="CC-BY-NC-4.0")
    return repository.released()


@pytest.fixture
def tree(tmp_path: Path, published: Repository) -> Unsigned:
    shutil.copytree(published.root, tmp_path / "tree")
    return Unsigned(replace(published, root=tmp_path / "tree", rows=list(published.rows)))


def map_fields(attack: Unsigned) -> None:
    attack.config.write_text(
        f'{attack.config.read_text()}[fields]\nsmoke = "kind"\nlicense = "kind"\n'
    )


def other_rows(attack: Unsigned) -> None:
    registry = json.loads(attack.repository.registry.read_text())
    registry["genuine"] = registry["models"]
    attack.repository.registry.write_text(json.dumps(registry))
    attack.config.write_text(f'{attack.config.read_text()}[fields]\nrows = "genuine"\n')


def decoy(attack: Unsigned) -> None:
    """The configuration names a genuine copy; consumers read the registry, which was changed."""
    text = attack.repository.registry.read_text()
    (attack.repository.models / "decoy.json").write_text(text)
    attack.repository.registry.write_text(text.replace('"kind": "fr"', '"kind": "nr"'))
    attack.config.write_text(attack.config.read_text().replace("registry.json", "decoy.json", 1))


def decoy_elsewhere(attack: Unsigned) -> None:
    shutil.copytree(attack.repository.models, attack.root / "decoy")
    attack.config.write_text(attack.config.read_text().replace("model/registry", "decoy/registry"))


def loosened_policy(attack: Unsigned) -> None:
    deferral = '[[deferral]]\nrule = "SID402"\nrows = ["x"]\nreason = "r"\nreference = "r"\n'
    attack.config.write_text(f"{attack.config.read_text()}{deferral}".replace("SID402", "RUN001"))


def linked_policy(attack: Unsigned) -> None:
    """The same behind a link into a folder, so that the policy seems to lie outside the tree."""
    loosened_policy(attack)
    (attack.root / "sub").mkdir()
    attack.config.rename(attack.root / "sub" / "policy.toml")
    attack.config.symlink_to("sub/policy.toml")


def production_by_hand(attack: Unsigned) -> None:
    attack.repository.edit_registry(
        '"license": "CC-BY-NC-4.0",\n      "license_url": "https://example.org/LICENSE",\n'
        '      "sigstore_bundle": "../bundles/smoke.onnx.sigstore.json",\n      "smoke": true',
        '"license": "MIT",\n      "license_url": "https://example.org/LICENSE",\n'
        '      "sigstore_bundle": "../bundles/smoke.onnx.sigstore.json",\n      "smoke": false',
    )


CONSUMER = ("--require", "production", "--license-allow", "MIT")


@pytest.mark.parametrize(
    ("change", "args", "expected"),
    [
        (map_fields, ("smoke", *CONSUMER), 2),
        (map_fields, (), 2),
        (other_rows, ("smoke", *CONSUMER), 2),
        (other_rows, (), 2),
        (decoy, ("plain",), {"ATT703"}),
        (decoy, (), {"ATT703", "ATT709", "SIG607"}),
        (decoy_elsewhere, ("plain",), {"ATT703"}),
        (decoy_elsewhere, (), {"ATT712", "ATT710"}),
        (loosened_policy, (), {"ATT710"}),
        (linked_policy, (), {"ATT710"}),
        (production_by_hand, ("smoke", *CONSUMER), {"USE002", "USE004", "ATT703", "LIC205"}),
    ],
    ids=lambda v: v.__name__ if callable(v) else None,
)
def test_nothing_unsigned_decides(
    tree: Unsigned,
    change: Callable[[Unsigned], None],
    args: tuple[str, ...],
    expected: int | set[str],
) -> None:
    assert tree.verify(*(a for a in args if a == "plain")).code == 0
    change(tree)
    result = tree.verify(*args)
    if isinstance(expected, int):
        assert (result.code, result.out) == (expected, "")
        assert "`fields` is not supported" in result.err
    else:
        assert result.code == 1
        found = {code for code, _ in result.codes}
        assert found & expected, found
        assert not found - expected - {"DEF902", "SID417", "SID401"}, found


def test_a_policy_that_the_user_names_is_the_users_own_and_the_report_says_that(
    tree: Unsigned, tmp_path: Path
) -> None:
    policy = tmp_path / "policy" / "mine.toml"
    policy.parent.mkdir()
    policy.write_text(f"{tree.config.read_text()}[run]\ntimeout = 7\n")
    shutil.copy(tree.root / "release.pub", policy.parent)
    result = run_cli("verify", "--config", policy, cwd=tree.root)
    assert result.code == 0, result.out
    assert "from the command line, which differs from the signer's" in " ".join(result.out.split())


def test_the_summary_of_another_project_with_the_same_registry_name_is_refused(
    tree: Unsigned, tmp_path: Path, key: KeyPair
) -> None:
    """One key signs for two projects: the release of one is not that of the other."""
    config = tree.config.read_text().replace("example.org", "example.net")
    other = replace(tree.repository, root=tmp_path / "other")
    shutil.copytree(tree.root, other.root)
    (other.root / "provenance.toml").write_text(config)
    assert codes(other.release()) == []
    shutil.copy(other.root / "bundles" / SUMMARY, tree.root / "bundles" / SUMMARY)
    found = tree.verify()
    assert found.code == 1
    assert "ATT712" in {code for code, _ in found.codes}
    args = (
        "verify-release",
        tree.repository.registry,
        "--summary",
        other.root / "bundles" / SUMMARY,
    )
    named = ("--key", key.public, "--format", "json", "--resource-uri")
    assert run_cli(*args, *named, "https://example.net/models/registry.json").code == 0
    refused = run_cli(*args, *named, "https://example.org/models/registry.json")
    assert [code for code, _ in refused.codes] == ["ATT712"]


def remove(path: Path) -> None:
    path.unlink()


def dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def rewrite(path: Path) -> None:
    path.write_bytes(model(salt=99) if path.suffix == ".onnx" else path.read_bytes() + b"\n")


@pytest.mark.parametrize("change", [remove, dangle, rewrite], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("plain.json", "sidecar"),
        ("plain.onnx.data", "model"),
        ("quant.int8.onnx", "model"),
        ("quant.int8.json", "sidecar"),
        ("quant.json", "sidecar"),
    ],
)
def test_what_was_signed_and_is_not_there(
    published: Repository,
    key: KeyPair,
    tmp_path: Path,
    name: str,
    role: str,
    change: Callable[[Path], None],
) -> None:
    """By `verify-model`, and by `open_model`: other bytes are always an error, and so is a missing
    model. A missing sidecar is a warning, and an error for who requires it.
    """
    folder = tmp_path / "downloads"
    shutil.copytree(published.models, folder)
    shutil.copytree(published.root / "bundles", folder, dirs_exist_ok=True)
    file = folder / f"{name.partition('.')[0]}.onnx"
    trust = trust_in(key)
    require = provenance.Require(row=True, production=True, no_deferrals=True, summary=True)
    assert codes(verify_model(file, trust, require=require)) == []
    change(folder / name)
    plain = verify_model(file, trust)
    is_a_note = role == "sidecar" and change is not rewrite
    assert plain.exit_code == (0 if is_a_note else 1)
    assert len(plain.findings) == 1
    assert name in plain.findings[0].message
    for strict in (require, provenance.Require(files=True)):
        assert len(codes(verify_model(file, trust, require=strict))) == 1
    with pytest.raises(provenance.ModelRefusedError):
        provenance.open_model(file, trust, require=require)
