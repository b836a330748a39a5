# SPDX-License-Identifier: Apache-2.0
"""`init` proposes how an index of any shape is read, and proves it by the files on disk.

Each shape is a table: the files, the index, and what the configuration must say and give.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import provenance.config as configuration
from provenance.artifacts.baseline import Checkout
from provenance.artifacts.paths import Tree
from provenance.operations.adoption import disk as disks
from provenance.operations.adoption import documents, licenses, outline
from provenance.registry import reading
from tests.support.command import Result, run_cli
from tests.support.models import model


def digest(data: bytes, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, data).hexdigest()


OWL, ELK, FOX = (model(salt=n) for n in (1, 2, 3))
MORE = {"elk": ELK, "fox": FOX}
TEXT = b"cat\ndog\n"
H = digest


def pointer(data: bytes) -> bytes:
    """A Git LFS pointer to `data`."""
    head = "version https://git-lfs.github.com/spec/v1"
    return f"{head}\noid sha256:{H(data)}\nsize {len(data)}\n".encode()


@dataclass
class Shape:
    """An index, the files beside it, and the expected result.

    `rows` has the ids, each with the files of the row. `lines` are lines of the configuration,
    without their comments; `comments` are words of it. `codes` are the findings of `check`.
    """

    index: Any
    files: Mapping[str, bytes]
    rows: Mapping[str, list[str]]
    lines: list[str]
    path: str = "index.json"
    comments: list[str] = field(default_factory=list)
    codes: set[str] = field(default_factory=lambda: {"LIC204"})

    def write(self, root: Path) -> None:
        text = self.index if isinstance(self.index, str) else json.dumps(self.index, indent=1)
        more = {} if isinstance(self.index, Several) else {self.path: text.encode()}
        parts = self.index.items() if isinstance(self.index, Several) else ()
        more |= {p: (t if isinstance(t, str) else json.dumps(t)).encode() for p, t in parts}
        for path, data in {**self.files, **more}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)


class Several(dict[str, Any]):
    """Index files by path."""


def read(root: Path) -> dict[str, list[str]]:
    """The rows that the written configuration gives, each with its files."""
    registry = reading.read(Checkout(Tree.at(root)), configuration.load(root).indexes)
    found = {}
    for row in registry.rows:
        names = [n for n in (row.onnx, *(f.name for f in row.files)) if n is not None]
        found[row.label] = sorted(map(registry.absolute, names))
    return found


def uncommented(text: str) -> list[str]:
    return [line.split("  # ")[0] for line in text.splitlines() if not line.startswith("#")]


def yaml_of_one(name: str, data: bytes) -> str:
    return (
        f"description: A net.\ntask_type: detection\nfiles:\n  - name: {name}.onnx\n"
        f"    size: {len(data)}\n    checksum: {H(data, 'sha384')}\n"
        "license: https://example.org/terms\n"
    )


M = "$.models[*]"
HUB = [
    {
        "model": f"M {n}",
        "model_path": f"zoo/{n}/{n}.onnx",
        "onnx_version": f"1.{i}",
        "opset_version": 17,
        "metadata": {
            "model_sha": H(data),
            "model_bytes": len(data),
            "model_with_data_path": f"zoo/{n}/{n}.tar.gz",
            "model_with_data_sha": H(n.encode()),
            "model_with_data_bytes": len(n),
        },
    }
    for i, (n, data) in enumerate({"owl": OWL, "elk": ELK}.items())
]
HUB_LINES = [
    'rows = "$[*]"', 'id = "{onnx|stem}"', 'onnx = "model_path"', 'opset = "opset_version"',
    'sha256 = "$.metadata.model_sha"', 'size = "$.metadata.model_bytes"',
    'path = "$.metadata.model_with_data_path"', 'sha256 = "$.metadata.model_with_data_sha"',
    'size = "$.metadata.model_with_data_bytes"',
]  # fmt: skip
HUB_ROWS = {n: [f"zoo/{n}/{n}.onnx", f"zoo/{n}/{n}.tar.gz"] for n in ("owl", "elk")}
HUB_FILES = {
    "zoo/owl/owl.onnx": OWL, "zoo/owl/owl.tar.gz": b"owl",
    "zoo/elk/elk.onnx": ELK, "zoo/elk/elk.tar.gz": b"elk",
}  # fmt: skip

TASKS = {
    kind: {name: {"at": f"https://e.org/{name}.onnx", "sha": H(data)}}
    for kind, name, data in (("det", "owl", OWL), ("rec", "elk", ELK))
}

SHAPES: dict[str, Shape] = {
    "two files in a row": Shape(
        HUB, HUB_FILES, HUB_ROWS, HUB_LINES, comments=["proved: 2 of 2 files have this digest"]
    ),
    "pointers prove digests and sizes": Shape(
        HUB, {p: pointer(d) for p, d in HUB_FILES.items()}, HUB_ROWS,
        [*HUB_LINES, 'absent = "skip"'],
        comments=["of 4 files: 4 Git LFS pointers", "2 of 2 files are here, 2 as Git LFS pointers"],
    ),
    "no file is here": Shape(
        HUB, {}, HUB_ROWS, [*HUB_LINES, 'absent = "skip"'],
        comments=["of 4 files: 4 not here", "not proved: no file of it is here"],
    ),
    "files by path below keys": Shape(
        {
            name: {"key": name, "files": {
                f"voices/{name}.onnx": {"size_bytes": len(data), "md5_digest": H(data, "md5")},
                f"voices/{name}/CARD": {"size_bytes": 3, "md5_digest": H(b"abc", "md5")},
            }}
            for name, data in (("owl", OWL), ("elk", ELK))
        },
        {"voices/owl.onnx": OWL, "voices/elk.onnx": ELK,
         "voices/owl/CARD": b"abc", "voices/elk/CARD": b"abc"},
        {"owl": ["voices/owl.onnx", "voices/owl/CARD"],
         "elk": ["voices/elk.onnx", "voices/elk/CARD"]},
        ['rows = "$.*"', 'id = "~"', 'each = "$.files.*"', 'path = "~"', 'md5 = "md5_digest"',
         'size = "size_bytes"'],
        codes={"LIC204", "REG111"},
    ),
    "TOML tables with a folder for each id": Shape(
        "".join(
            f'[[model]]\nid = "{name}"\nlicense = "MIT"\n'
            f'[[model.file]]\nfilename = "net.onnx"\nsha256 = "{H(data)}"\n'
            '[[model.file]]\nfilename = "setup.json"\nsha256 = "<not yet>"\n'
            for name, data in (("owl", OWL), ("elk", ELK))
        ),
        {"m/owl/net.onnx": OWL, "m/elk/net.onnx": ELK, "m/owl/setup.json": b"{}",
         "m/elk/setup.json": b"[]"},
        {n: [f"m/{n}/net.onnx", f"m/{n}/setup.json"] for n in ("owl", "elk")},
        ['rows = "$.model[*]"', 'id = "id"', 'each = "$.file[*]"', 'path = "{id}/{$.filename}"',
         'sha256 = "sha256"', '"<not yet>" = ""', 'license = "license"'],
        path="m/registry.toml", codes={"REG112"},
    ),
    "a YAML file for each model, as one pattern": Shape(
        Several({f"nets/{n}/net.yml": yaml_of_one(n, d)
                 for n, d in (("owl", OWL), ("elk", ELK), ("fox", FOX))}),
        {"nets/owl/owl.onnx": OWL, "nets/elk/elk.onnx": ELK, "nets/fox/fox.onnx": FOX},
        {n: [f"nets/{n}/{n}.onnx"] for n in ("elk", "fox", "owl")},
        ['path = "nets/*/net.yml"', 'rows = "$"', 'id = "{index|folder|name}"',
         'each = "$.files[*]"', 'path = "name"', 'sha384 = "checksum"', 'size = "size"',
         'kind = "task_type"', 'license_url = "license"', '"https://example.org/terms" = "TODO"'],
    ),
    "documents of which one names no file": Shape(
        Several({f"nets/{n}.yml": f"license: MIT\nfile: {n}.onnx\nsha256: {H(d)}\n"
                 for n, d in (("owl", OWL), ("elk", ELK), ("fox", FOX))}
                | {"nets/later.yml": f"license: MIT\nfile: null\nformer: {H(TEXT)}\n"}),
        {"nets/owl.onnx": OWL, "nets/elk.onnx": ELK, "nets/fox.onnx": FOX},
        {n: [f"nets/{n}.onnx"] for n in ("elk", "fox", "owl")},
        ['path = ["nets/elk.yml", "nets/fox.yml", "nets/owl.yml"]', 'id = "{index|stem}"',
         'onnx = "file"'], codes=set(),
    ),
    "keys that group, and addresses": Shape(
        "engine:\n  v1:\n" + "".join(
            f"    {kind}:\n" + "".join(
                f"      {lang}:\n        where: https://example.org/{kind}_{lang}.onnx\n"
                f"        SHA256: {H(data)}\n" for lang, data in langs.items()
            ) for kind, langs in
            {"det": {"en": OWL, "de": ELK}, "rec": {"en": FOX, "fr": model(salt=9)}}.items()
        ),
        {"w/det_en.onnx": OWL, "w/det_de.onnx": ELK, "w/rec_en.onnx": FOX,
         "w/rec_fr.onnx": model(salt=9)},
        {"engine/v1/det/en": ["w/det_en.onnx"], "engine/v1/det/de": ["w/det_de.onnx"],
         "engine/v1/rec/en": ["w/rec_en.onnx"], "engine/v1/rec/fr": ["w/rec_fr.onnx"]},
        ['rows = "$.*.*.*.*"', 'id = "{~3}/{~2}/{~1}/{~}"', 'base = "w"',
         'onnx = "{$.where|name}"', 'url = "where"', 'sha256 = "SHA256"'],
        path="models.yaml",
    ),
    "an entry of another kind among keys that group": Shape(
        {
            "one": {"v1": TASKS, "v2": TASKS}, "two": {"v1": TASKS, "v2": TASKS},
            "fonts": {"zh": {"path": "https://e.org/zh.ttf", "sha": "0" * 64}},
        },
        {"w/owl.onnx": OWL, "w/elk.onnx": ELK},
        {f"{group}/{v}/{task}": [f"w/{task[4:]}.onnx"] for group in ("one", "two")
         for v in ("v1", "v2") for task in ("det/owl", "rec/elk")},
        ['rows = "$.*.*.*.*"', 'shared = "allow"', 'base = "w"', 'onnx = "{$.at|name}"',
         'sha256 = "sha"'],
        comments=["2 files are in several rows"],
    ),
    "several lists, and a companion beside the model": Shape(
        {"schema": 2,
         "detectors": [{"name": "a", "file": "det/a.onnx", "labels": "words.txt", "size": "nano",
                        "model_license": "AGPL-3.0 (weights)", "sha256": H(OWL)}],
         "classifiers": [{"name": "b", "file": "clf/b.onnx", "size": "small",
                          "model_license": "MIT", "sha256": H(ELK)}],
         "later": [{"name": "z", "file": "z.onnx"}]},
        {"m/det/a.onnx": OWL, "m/det/words.txt": TEXT, "m/clf/b.onnx": ELK},
        {"a": ["m/det/a.onnx", "m/det/words.txt"], "b": ["m/clf/b.onnx"]},
        ["rows = \"$['detectors','classifiers'][*]\"", 'path = "{onnx|folder}/{$.labels}"',
         'license = "model_license"', '"AGPL-3.0 (weights)" = "TODO"', 'sha256 = "sha256"'],
        path="m/registry.json", comments=["left out: $.later[*]", "perhaps AGPL-3.0-only"],
    ),
    "digests below, and a commit that is none": Shape(
        {"artifacts": {n: {"path": f"m/{n}.onnx", "license": "MIT",
                           "pinned": {"revision": H(d, "sha1"), "sha256": H(d)}}
                       for n, d in (("owl", OWL), ("elk", ELK))}},
        {},
        {"owl": ["m/owl.onnx"], "elk": ["m/elk.onnx"]},
        ['rows = "$.artifacts.*"', 'id = "~"', 'sha256 = "$.pinned.sha256"', 'absent = "skip"'],
        codes=set(),
    ),
    "a path or an address, and entries without": Shape(
        {"models": [
            {"name": "owl", "source": "w/owl.onnx", "digest": f"sha256:{H(OWL)}", "license": "MIT"},
            {"name": "elk", "source": "https://e.org/e.onnx", "digest": f"sha256:{H(ELK)}",
             "license": "MIT"},
            {"name": "code"}, {"name": "off", "source": None}, {"name": "no", "source": ""}]},
        {"w/owl.onnx": OWL},
        {"owl": ["w/owl.onnx"], "elk": []},
        ["rows = \"$.models[?@.source && @.source != null && @.source != '']\"",
         'digest = "digest"', 'absent = "skip"', 'onnx = "source"'],
        comments=["3 other entries name no file", "1 with only an address"], codes=set(),
    ),
    "two files with equal names and ids": Shape(
        Several({f"pkg/{w}/index.json": [{"name": f"w{i}", "model": f"w{i}.onnx"} for i in (0, 1)]
                 for w in ("en", "de")}),
        {f"pkg/{w}/{n}.onnx": model(salt=i) for i, (w, n) in enumerate(
            (w, n) for w in ("en", "de") for n in ("w0", "w1", "front"))},
        {f"{w}/w{i}": [f"pkg/{w}/front.onnx", f"pkg/{w}/w{i}.onnx"]
         for w in ("de", "en") for i in (0, 1)},
        ['path = ["pkg/de/index.json", "pkg/en/index.json"]', 'shared = "allow"',
         'id = "{index|folder|name}/{$.name}"', 'path = "{onnx|folder}/front.onnx"'],
        comments=["no row names it, but it is beside every model"],
    ),
    "no name of a file, but the id in its path": Shape(
        {"owl": {"md5": H(OWL, "md5"), "link": "https://e.org/1"},
         "elk": {"md5sum": H(ELK, "md5"), "link": "https://e.org/2"}},
        {"m/owl/owl.onnx": OWL, "m/elk/elk.onnx": ELK},
        {"owl": ["m/owl/owl.onnx"], "elk": ["m/elk/elk.onnx"]},
        ['base = "m"', 'id = "~"', 'onnx = "{id}/{id}.onnx"', "md5 = \"$['md5','md5sum']\"",
         'url = "link"'],
        codes={"LIC204", "REG111"},
    ),
    "the algorithm in a field": Shape(
        "large:\n" + "".join(f"- {{path: m/{n}.onnx, hash_val: {H(d, 'md5')}, hash_type: md5}}\n"
                             for n, d in (("owl", OWL), ("elk", ELK))),
        {"m/owl.onnx": OWL, "m/elk.onnx": ELK},
        {"owl": ["m/owl.onnx"], "elk": ["m/elk.onnx"]},
        ['rows = "$.large[*]"', 'id = "{onnx|stem}"', 'digest = "{$.hash_type}:{$.hash_val}"'],
        path="large.yml", codes={"LIC204", "REG111"},
    ),
    "a checksum file": Shape(
        f"{H(OWL)}  owl.onnx\n{H(TEXT)} *words.txt\n",
        {"m/owl.onnx": OWL, "m/words.txt": TEXT},
        {"owl.onnx": ["m/owl.onnx"], "words.txt": ["m/words.txt"]},
        ['path = "m/SHA256SUMS"', 'sigstore_bundle = "bundles/{id}.sigstore.json"'],
        path="m/SHA256SUMS",
    ),
    "names of files, alone": Shape(
        {"models": ["m/owl.onnx", "m/elk.onnx"]}, {"m/owl.onnx": OWL, "m/elk.onnx": ELK},
        {"owl": ["m/owl.onnx"], "elk": ["m/elk.onnx"]},
        [f'rows = "{M}"', 'onnx = "$"', 'id = "{onnx|stem}"'],
    ),
    "digests by the name of the file": Shape(
        {"owl.onnx": H(OWL), "elk.onnx": H(ELK)}, {"m/owl.onnx": OWL, "m/elk.onnx": ELK},
        {"owl.onnx": ["m/owl.onnx"], "elk.onnx": ["m/elk.onnx"]},
        ['rows = "$.*"', 'base = "m"', 'onnx = "~"', 'sha256 = "$"'],
    ),
    "digests by id": Shape(
        {"models": {"owl": H(OWL), "elk": H(ELK)}}, {"m/owl.onnx": OWL, "m/elk.onnx": ELK},
        {"owl": ["m/owl.onnx"], "elk": ["m/elk.onnx"]},
        ['rows = "$.models.*"', 'base = "m"', 'onnx = "{id}.onnx"', 'sha256 = "$"'],
    ),
    "a shared file": Shape(
        [{"name": n, "file": f"{f}.onnx", "sha": H(d).upper(), "licence": w}
         for n, f, d, w in (("x", "owl", OWL, "MIT"), ("y", "owl", OWL, "MIT"),
                            ("z", "elk", ELK, "Apache 2.0"))],
        {"owl.onnx": OWL, "elk.onnx": ELK},
        {"x": ["owl.onnx"], "y": ["owl.onnx"], "z": ["elk.onnx"]},
        ['shared = "allow"', 'sha256 = "sha"', 'license = "licence"', '"Apache 2.0" = "TODO"'],
        comments=["1 file is in several rows", "perhaps Apache-2.0"],
    ),
    "several digests, in every spelling": Shape(
        [{"id": n, "file": f"{n}.onnx", "license": "MIT", "b2": H(d, "blake2b"),
          "sha1": H(d, "sha1"),
          "sha256": "sha256-" + base64.b64encode(hashlib.sha256(d).digest()).decode()}
         for n, d in (("owl", OWL), ("elk", ELK))],
        {"owl.onnx": OWL, "elk.onnx": ELK},
        {"owl": ["owl.onnx"], "elk": ["elk.onnx"]},
        ['blake2b = "b2"', 'sha1 = "sha1"', 'sha256 = "sha256"'], codes={"REG111"},
    ),
    "models and other files in one list": Shape(
        [{"name": p[:3], "path": p, "sha256": H(d), "license": "MIT"}
         for p, d in (("owl.onnx", OWL), ("elk.bin", ELK))],
        {"owl.onnx": OWL, "elk.bin": ELK}, {"owl": ["owl.onnx"], "elk": ["elk.bin"]},
        ["[[registry.files]]", 'path = "path"', 'sha256 = "sha256"', 'id = "name"'], codes=set(),
    ),
    "names that are not unique": Shape(
        {k: [{"name": f"n{i}", "path": f"{k}/n{i}.onnx", "sha512": H(d, "sha512")}
             for i, d in enumerate(ds)]
         for k, ds in {"encoders": (OWL, ELK), "decoders": (FOX, model(salt=9))}.items()},
        {"encoders/n0.onnx": OWL, "encoders/n1.onnx": ELK, "decoders/n0.onnx": FOX,
         "decoders/n1.onnx": model(salt=9)},
        {f"{k}/n{i}": [f"{k}/n{i}.onnx"] for k in ("encoders", "decoders") for i in (0, 1)},
        ["rows = \"$['encoders','decoders'][*]\"", 'id = "{~1}/{$.name}"', 'sha512 = "sha512"'],
    ),
    "a digest that no file has": Shape(
        [{"name": n, "file": f"{n}.onnx", "sha256": "0" * 64, "license": "MIT"} for n in "ab"],
        {"a.onnx": OWL, "b.onnx": ELK}, {"a": ["a.onnx"], "b": ["b.onnx"]},
        ['sha256 = "sha256"'], comments=["not proved: 2 files here have another digest"],
        codes={"ART302"},
    ),
    "rows in categories": Shape(
        {"groups": [{"title": c, "models": [{"id": f"{c}{i}", "file": f"{c}{i}.onnx",
                                             "sha256": H(d), "license": "MIT"}]}
                    for i, (c, d) in enumerate({"a": OWL, "b": ELK}.items())]},
        {"a0.onnx": OWL, "b1.onnx": ELK}, {"a0": ["a0.onnx"], "b1": ["b1.onnx"]},
        ['rows = "$.groups[*].models[*]"', 'id = "id"'], codes=set(),
    ),
    "fields with usual names": Shape(
        [{"id": "owl", "file": "owl.onnx", "sha256": H(OWL), "type": "filter", "onnx_opset": 17,
          "is_smoke": True, "desc": "An owl.", "licence": {"spdx": "MIT", "url": "https://e.org/l"},
          "bundle": "b/owl.sigstore.json"}],
        {"owl.onnx": OWL}, {"owl": ["owl.onnx"]},
        ['kind = "type"', 'opset = "onnx_opset"', 'smoke = "is_smoke"', 'description = "desc"',
         'license = "$.licence.spdx"', 'license_url = "$.licence.url"',
         'sigstore_bundle = "bundle"'], codes=set(),
    ),
    "hostile names": Shape(
        {"mo dels'\"{x}": [{"na{me": "a", "fi'le": f"{n}.onnx", "$sha": H(d), "license": w}
                           for n, d, w in (("owl", OWL, "x\n[evil]\ny"),
                                           ("elk", ELK, "\x1b[31m"))]},
        {"owl.onnx": OWL, "elk.onnx": ELK}, {"owl": ["owl.onnx"], "elk": ["elk.onnx"]},
        ['onnx = "fi\'le"', "sha256 = \"$['$sha']\"", '"x\\n[evil]\\ny" = "TODO"'],
        path="a\nb.json",
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_an_index_is_mapped_and_the_mapping_is_read_back(tmp_path: Path, shape: Shape) -> None:
    shape.write(tmp_path)
    result = run_cli("init", cwd=tmp_path)
    assert (result.code, read(tmp_path)) == (0, shape.rows)
    text = (tmp_path / "provenance.toml").read_text()
    lines = uncommented(text)
    assert [line for line in shape.lines if line not in lines] == []
    assert [words for words in shape.comments if words not in text] == []
    report = run_cli("check", "--format", "json", cwd=tmp_path)
    assert {code for code, _ in report.codes} == shape.codes


def init(root: Path, files: Mapping[str, Any], *args: str) -> Result:
    """Run `init` where there are these files."""
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return run_cli("init", *args, cwd=root)


def row(name: str, data: bytes, **more: Any) -> dict[str, Any]:
    return {"name": name, "file": f"{name}.onnx", "sha256": H(data), "license": "MIT", **more}


STOCK = {"models": [{"id": "owl", "onnx": "owl.onnx", "sha256": H(OWL), "license": "MIT"}]}


def test_an_index_of_this_projects_shape_needs_one_line(tmp_path: Path) -> None:
    result = init(tmp_path, {"owl.onnx": OWL, "r.json": STOCK})
    assert 'registry = "r.json"' in (tmp_path / "provenance.toml").read_text().splitlines()
    assert "[registry" not in (tmp_path / "provenance.toml").read_text()
    assert "proved: 1 file with the declared digest" in result.out
    assert run_cli("init", "--format", "json", cwd=tmp_path).code == 2  # it is there already


def test_the_index_that_proves_most_is_used_and_the_others_are_named(tmp_path: Path) -> None:
    files = {
        "owl.onnx": OWL, "elk.onnx": ELK, "one.json": [row("owl", OWL)],
        "two.json": [row("owl", OWL), row("elk", ELK)],
        "tests/more.json": [row("owl", OWL), row("elk", ELK), row("fox", FOX)],
    }  # fmt: skip
    result = init(tmp_path, files)
    assert "registry two.json, 2 rows" in result.out
    assert "not used: one.json (1 row, 1 file proved)" in result.out
    assert "Of several indexes, two.json was chosen." in result.err
    os.unlink(tmp_path / "provenance.toml")
    assert init(tmp_path, {}, "--registry", "one.json", "--format", "json").json["rows"] == 1


@pytest.mark.parametrize(
    ("files", "args", "message"),
    [
        ({"c.json": {"model": "a.onnx", "lr": 1}}, (), "neither a registry nor ONNX models found"),
        (
            {"c.json": [{"file": "a.onnx"}, {"file": "b.onnx"}]},
            (),
            "it names 2 models, but no file",
        ),
        ({"c.json": {"a": 1}}, ("--registry", "c.json"), "not an index of models"),
        ({"c.json": b"{"}, ("--registry", "c.json"), "c.json: "),
        ({"c.txt": b"{"}, ("--registry", "c.txt"), "does not tell its format"),
        ({}, ("--registry", "c.json"), "does not exist"),
        ({"c.json": b"[" * 60}, ("--registry", "c.json"), "c.json: "),
    ],
)
def test_what_is_no_index_is_refused(
    tmp_path: Path, files: Mapping[str, Any], args: tuple[str, ...], message: str
) -> None:
    result = init(tmp_path, files, *args)
    assert (result.code, result.out) == (2, "")
    assert message in " ".join(result.err.split())
    assert not (tmp_path / "provenance.toml").exists()


def test_what_nothing_proves_is_used_if_it_is_named(tmp_path: Path) -> None:
    files = {"c.json": [{"file": "a.onnx"}, {"file": "b.onnx"}]}
    result = init(tmp_path, files, "--registry", "c.json")
    assert result.code == 0
    assert read(tmp_path) == {"a": ["a.onnx"], "b": ["b.onnx"]}
    assert "not proved: no file on disk has a declared digest" in result.out


MIT = (Path(__file__).parents[2] / "LICENSE").read_bytes()


@pytest.mark.parametrize(
    ("files", "license", "url"),
    [
        ({"LICENSE": b"SPDX-License-Identifier: MIT\n"}, "MIT", "MIT.html"),
        (
            {"m/LICENSE.txt": b"SPDX-License-Identifier: 0BSD\n", "LICENSE": MIT},
            "0BSD",
            "0BSD.html",
        ),
        ({"LICENSE": MIT}, "Apache-2.0", "Apache-2.0.html"),
        ({"LICENSE": b"All rights reserved.\n"}, "TODO", "{license}.html"),
        ({"LICENSE": MIT, "COPYING": MIT}, "TODO", "{license}.html"),
        ({}, "TODO", "{license}.html"),
    ],
)
def test_without_a_license_the_nearest_file_decides_if_it_is_certain(
    tmp_path: Path, files: Mapping[str, Any], license: str, url: str
) -> None:
    bare = {k: v for k, v in row("m/owl", OWL).items() if k != "license"}
    init(tmp_path, {"m/owl.onnx": OWL, "i.json": [bare], **files})
    lines = uncommented((tmp_path / "provenance.toml").read_text())
    assert f'license = "{license}"' in lines
    assert f'license_url = "https://spdx.org/licenses/{url}"' in lines


def test_several_fields_for_the_license_are_left_to_the_author(tmp_path: Path) -> None:
    more = {"code_license": "MIT", "weights_license": "0BSD"}
    rows = [{k: v for k, v in row("owl", OWL, **more).items() if k != "license"}]
    result = init(tmp_path, {"owl.onnx": OWL, "i.json": rows})
    text = (tmp_path / "provenance.toml").read_text()
    assert '# license = "code_license"  # choose "code_license" or "weights_license"' in text
    assert "several fields could be the license" in result.out


def test_names_of_files_beside_every_model_are_a_comment(tmp_path: Path) -> None:
    init(tmp_path, {"m/owl.onnx": OWL, "m/config.json": {}, "i.json": [row("m/owl", OWL)]})
    assert '# path = "{onnx|folder}/config.json"' in (tmp_path / "provenance.toml").read_text()


def test_different_lists_are_different_tables_and_pyproject_takes_them(tmp_path: Path) -> None:
    others = {n: {"weights": f"{n}.onnx", "md5": H(d, "md5")} for n, d in MORE.items()}
    files = {f"{n}.onnx": d for n, d in (MORE | {"owl": OWL}).items()}
    files |= {"pyproject.toml": b'[project]\nname = "x"\n'}
    files |= {"i.json": json.dumps({"a": [row("owl", OWL)], "b": others}).encode()}
    assert init(tmp_path, files).code == 0
    text = (tmp_path / "pyproject.toml").read_text()
    assert text.count("[[tool.provenance.registry]]") == 2
    assert text.count("[tool.provenance.registry.fields]") == 2
    assert read(tmp_path) == {n: [f"{n}.onnx"] for n in ("owl", *MORE)}


def test_each_list_is_read_from_the_documents_that_have_it(tmp_path: Path) -> None:
    more = [{"weights": "fox.onnx", "md5": H(FOX, "md5")}]
    lists = {
        "a": {"main": [row("owl", OWL)]},
        "b": {"main": [row("elk", ELK)]},
        "c": {"more": more},
    }
    files: dict[str, Any] = {f"{k}/i.json": {"v": 1, "w": 2, **v} for k, v in lists.items()}
    files |= {"a/owl.onnx": OWL, "b/elk.onnx": ELK, "c/fox.onnx": FOX}
    assert init(tmp_path, files).code == 0
    found = [path for paths in read(tmp_path).values() for path in paths]
    assert found == ["a/owl.onnx", "b/elk.onnx", "c/fox.onnx"]


def test_a_license_that_is_left_open_is_not_deferred(tmp_path: Path) -> None:
    bare = [{k: v for k, v in row("owl", ELK).items() if k != "license"}]
    files = {"owl.onnx": OWL, "stray.onnx": FOX, "i.json": bare}
    found = init(tmp_path, files, "--defer", "--format", "json").json
    assert [one["rule"] for one in found["deferrals"]] == ["ART311"]
    assert found["left"].keys() == {"ART302", "LIC204"}


def test_the_json_says_what_was_found(tmp_path: Path) -> None:
    files = {"owl.onnx": OWL, "fox.onnx": FOX, "i.json": [row("owl", OWL), row("elk", ELK)]}
    found = init(tmp_path, files, "--format", "json").json
    counts = {"here": 1, "pointers": 0, "missing": 1, "remote": 0, "proved": 1, "differing": 0}
    assert found["files"] == counts
    assert (found["mapped"], found["paths"], found["unnamed"]) == (True, ["i.json"], ["fox.onnx"])


def deep(levels: int) -> Any:
    value: Any = {"file": "owl.onnx", "sha256": H(OWL)}
    for n in range(levels):
        value = {f"k{n}": value}
    return value


@pytest.mark.parametrize(
    "index",
    [
        [row(f"m{i}", OWL, size=i) for i in range(3_000)],
        {f"k{i}": {f"y{i}": {f"z{i}": f"{i}.onnx"}} for i in range(3_000)},
        [{f"k{i}_{j}": f"{i}.onnx" for j in range(40)} for i in range(300)],
        {f"l{i}": [row(f"m{i}", OWL)] for i in range(300)},
        deep(40),
        [row("../" * 2_000 + "x", OWL), row("a" * 100_000, OWL)],
    ],
    ids=["long", "disjoint", "many fields", "many lists", "deep", "long names"],
)
def test_hostile_documents_take_little_time(tmp_path: Path, index: Any) -> None:
    result = init(tmp_path, {"owl.onnx": OWL, "i.json": index})
    assert result.code in (0, 2)
    assert "internal error" not in result.err


LIMITS: list[tuple[Any, str, int, Callable[[Result], bool]]] = [
    (disks, "MAX_FILES", 0, lambda r: r.code == 2),
    (disks, "MAX_HASHED", 0, lambda r: "too large to be hashed" in r.out),
    (documents, "MAX_DOCUMENTS", 0, lambda r: "too many or too large" in r.err),
    (documents, "MAX_BYTES", 1, lambda r: "too many or too large" in r.err),
    (documents, "MAX_READ", 0, lambda r: "too many or too large" in r.err),
    (outline, "MAX_NODES", 1, lambda r: "WRITTEN: models.json" in r.out),
    (outline, "MAX_CHILDREN", 1, lambda r: "WRITTEN: models.json" in r.out),
]


@pytest.mark.parametrize(("module", "name", "value", "holds"), LIMITS)
def test_the_search_is_bounded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    value: int,
    holds: Callable[[Result], bool],
) -> None:
    monkeypatch.setattr(module, name, value)
    files = {"owl.onnx": OWL, "elk.onnx": ELK, "i.json": [row("owl", OWL), row("elk", ELK)]}
    assert holds(init(tmp_path, files))


@pytest.mark.parametrize(
    ("words", "id"),
    [("MIT License", "MIT"), ("Apache 2.0", "Apache-2.0"), ("The Unlicense", "Unlicense"),
     ("AGPL-3.0 (weights)", "AGPL-3.0-only"), ("my own", None), ("", None),
     ("Apache License, Version 2.0", "Apache-2.0")],
)  # fmt: skip
def test_a_license_in_words_is_like_an_id(words: str, id: str | None) -> None:
    assert licenses.similar(words) == id
