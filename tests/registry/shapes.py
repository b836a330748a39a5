# SPDX-License-Identifier: Apache-2.0
"""Small repositories whose indexes have the shapes of real ones, with names made up.

Each shape writes its files below a folder and returns the configuration that maps its index.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tests.support.models import model

BUNDLES: Final = """sigstore_bundle = "bundles/{id}.sigstore.json"
license_url = "https://spdx.org/licenses/MIT.html"
"""
LICENSED: Final = f'[registry.defaults]\nlicense = "MIT"\n{BUNDLES}'


class Folder:
    """A folder that is filled with files, each model with its own weights."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._models = 0

    def put(self, path: str, content: bytes | None = None) -> bytes:
        """Write a file, by default a new model, and return its bytes."""
        self._models += 1
        data = model(salt=self._models) if content is None else content
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data)
        return data

    def write(self, path: str, value: Any) -> None:
        """Write text, or a value as JSON."""
        text = value if isinstance(value, str) else json.dumps(value, indent=2)
        self.put(path, text.encode())


def hashed(data: bytes, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()


def list_with_two_files_a_row(at: Folder) -> str:
    rows = []
    for name in ("resnet", "yolo"):
        one, two = at.put(f"zoo/{name}/{name}.onnx"), at.put(f"zoo/{name}/{name}.tgz", b"archive")
        sums = {"sum": hashed(one), "bytes": len(one), "tgz": hashed(two)}
        rows.append({"title": name.upper(), "file": f"zoo/{name}/{name}.onnx", "sums": sums})
        rows[-1]["archive"] = f"zoo/{name}/{name}.tgz"
    at.write("zoo.json", rows)
    return f"""[registry]
path = "zoo.json"
rows = "$[*]"
[registry.fields]
id = "{{$.file|stem}}"
onnx = "file"
sha256 = "$.sums.sum"
size = "$.sums.bytes"
[[registry.files]]
path = "archive"
sha256 = "$.sums.tgz"
{LICENSED}"""


def object_of_rows_with_files_by_path(at: Folder) -> str:
    voices = {}
    for name in ("anna", "bert"):
        files = {}
        for path, content in ((f"{name}/voice.onnx", None), (f"{name}/voice.onnx.json", b"{}")):
            data = at.put(path, content)
            files[path] = {"size": len(data), "md5": hashed(data, "md5")}
        voices[name] = {"language": "de", "files": files}
    at.write("voices.json", voices)
    return f"""[registry]
path = "voices.json"
rows = "$.*"
[registry.fields]
id = "~"
[[registry.files]]
each = "$.files.*"
path = "~"
md5 = "md5"
size = "size"
{LICENSED}"""


def toml_with_values_in_place_of_digests(at: Folder) -> str:
    text = ""
    for name in ("one", "two"):
        data = at.put(f"models/{name}/net.onnx")
        at.put(f"models/{name}/config.json", b"{}")
        text += f"""[[model]]
id = '{name}'  # kept
[[model.file]]
name = "net.onnx"
sha256 = "{hashed(data)}"
[[model.file]]
name = "config.json"
sha256 = "<later>"

"""
    at.write("models/index.toml", text)
    return f"""[registry]
path = "models/index.toml"
rows = "$.model[*]"
[registry.fields]
id = "id"
[[registry.files]]
each = "$.file[*]"
path = "{{id}}/{{$.name}}"
sha256 = "sha256"
[registry.values.sha256]
"<later>" = ""
{LICENSED}"""


def yaml_file_for_each_model(at: Folder) -> str:
    for name in ("face", "hand"):
        data = at.put(f"public/{name}/{name}.onnx")
        at.write(
            f"public/{name}/model.yml",
            f"task: detect\nfiles:\n  - name: {name}.onnx\n    size: {len(data)}\n"
            f"    checksum: {hashed(data, 'sha384')}\n    source: https://example.org/{name}\n"
            "license: https://example.org/LICENSE\n",
        )
    return f"""[registry]
path = "public/*/model.yml"
rows = "$"
[registry.fields]
id = "{{index|folder|name}}"
license = "license"
[[registry.files]]
each = "$.files[*]"
path = "name"
url = "source"
sha384 = "checksum"
size = "size"
[registry.values.license]
"https://example.org/LICENSE" = "Apache-2.0"
[registry.defaults]
{BUNDLES}"""


def yaml_keys_four_deep(at: Folder) -> str:
    text = "runtime:\n  v4:\n"
    for kind in ("find", "read"):
        text += f"    {kind}:\n"
        for language in ("de", "en"):
            data = at.put(f"weights/{kind}_{language}.onnx")
            text += f"      {language}:\n        url: https://example.org/{kind}_{language}.onnx\n"
            text += f"        SHA256: {hashed(data)}\n"
    at.write("defaults.yaml", text)
    return f"""[registry]
path = "defaults.yaml"
rows = "$.*.*.*.*"
base = "weights"
[registry.fields]
id = "{{~3}}/{{~2}}/{{~1}}/{{~}}"
onnx = "{{$.url|name}}"
url = "url"
sha256 = "SHA256"
{LICENSED}"""


def assets_of_each_row(at: Folder) -> str:
    rows = []
    for name in ("small", "large"):
        assets = []
        for file, content in (("model.onnx", None), ("tokenizer.json", b"{}")):
            data = at.put(f"m/{name}/{file}", content)
            assets.append({"file": file, "sha256": hashed(data), "bytes": len(data)})
        rows.append({"id": name, "license": "MIT", "assets": assets})
    at.write("m/manifest.json", {"schema": 1, "models": rows})
    return f"""[registry]
path = "m/manifest.json"
rows = "$.models[*]"
[registry.fields]
id = "id"
license = "license"
[[registry.files]]
each = "$.assets[*]"
path = "{{id}}/{{$.file}}"
sha256 = "sha256"
size = "bytes"
[registry.defaults]
{BUNDLES}"""


def two_lists_with_companions(at: Folder) -> str:
    cat, dog = at.put("m/cat/cat.onnx"), at.put("m/dog/dog.onnx")
    at.put("m/cat/labels.txt", b"cat\n")
    first = {"name": "cat", "file": "cat/cat.onnx", "labels": "labels.txt", "size": "nano"}
    at.write(
        "m/index.json",
        {
            "finders": [first | {"terms": "AGPL (weights)", "sha256": hashed(cat)}],
            "sorters": [
                {"name": "dog", "file": "dog/dog.onnx", "terms": "MIT", "sha256": hashed(dog)}
            ],
            "planned": [{"name": "cow"}],
        },
    )
    return f"""[registry]
path = "m/index.json"
rows = "$['finders','sorters'][*]"
[registry.fields]
id = "name"
onnx = "file"
sha256 = "sha256"
license = "terms"
[[registry.files]]
path = "{{onnx|folder}}/{{$.labels}}"
[registry.values.license]
"AGPL (weights)" = "AGPL-3.0-only"
[registry.defaults]
{BUNDLES}"""


def nested_digests_beside_commits(at: Folder) -> str:
    rows = {}
    for name in ("x", "y"):
        pinned = {"revision": "0" * 40, "sha256": hashed(at.put(f"assets/{name}.onnx"))}
        rows[name] = {"path": f"assets/{name}.onnx", "pinned": pinned, "license": "MIT"}
    at.write("pins.json", {"artifacts": rows})
    return f"""[registry]
path = "pins.json"
rows = "$.artifacts.*"
[registry.fields]
id = "~"
onnx = "path"
sha256 = "$.pinned.sha256"
license = "license"
[registry.defaults]
{BUNDLES}"""


def paths_and_addresses(at: Folder) -> str:
    land, sea = at.put("w/land.onnx"), at.put("w/sea.onnx")
    terms = {"license": "MIT License"}
    at.write(
        "models.json",
        {
            "models": [
                {"name": "land", "source": "w/land.onnx", "digest": f"sha256:{hashed(land)}"}
                | terms,
                {"name": "sea", "source": "w/sea.onnx", "digest": f"sha256:{hashed(sea).upper()}"}
                | terms,
                {"name": "sky", "source": "https://example.org/sky.onnx"}
                | {"digest": f"sha256:{'ab' * 32}"}
                | terms,
                {"name": "script", "kind": "python"},
            ]
        },
    )
    return f"""[registry]
path = "models.json"
rows = "$.models[?@.source]"
absent = "skip"
[registry.fields]
id = "name"
onnx = "source"
digest = "digest"
license = "license"
[registry.values.license]
"MIT License" = "MIT"
[registry.defaults]
{BUNDLES}"""


def two_indexes_with_a_shared_file(at: Folder) -> str:
    for language in ("de", "en"):
        at.put(f"words/{language}/front.onnx")
        rows = [{"name": name, "file": f"{name}.onnx"} for name in ("hello", "stop")]
        for row in rows:
            at.put(f"words/{language}/{row['file']}")
        at.write(f"words/{language}/index.json", rows)
    return f"""[registry]
path = ["words/de/index.json", "words/en/index.json"]
rows = "$[*]"
shared = "allow"
[registry.fields]
id = "{{index|folder|name}}-{{$.name}}"
onnx = "file"
[[registry.files]]
path = "{{onnx|folder}}/front.onnx"
{LICENSED}"""


def one_digest_under_two_names(at: Folder) -> str:
    rows = {}
    for name, key in (("old", "md5"), ("new", "md5sum")):
        rows[name] = {key: hashed(at.put(f"m/{name}/{name}.onnx"), "md5")}
    at.write("models.json", rows)
    return f"""[registry]
path = "models.json"
rows = "$.*"
base = "m"
[registry.fields]
id = "~"
onnx = "{{~}}/{{~}}.onnx"
md5 = "$['md5','md5sum']"
{LICENSED}"""


def algorithm_and_value_apart(at: Folder) -> str:
    text = "files:\n"
    for name in ("liver", "spleen"):
        data = at.put(f"m/{name}.onnx")
        text += f"- path: m/{name}.onnx\n  hash_val: {hashed(data, 'sha1')}\n  hash_type: sha1\n"
    at.write("large_files.yml", text)
    return f"""[registry]
path = "large_files.yml"
rows = "$.files[*]"
[registry.fields]
id = "{{onnx|stem}}"
onnx = "path"
digest = "{{$.hash_type}}:{{$.hash_val}}"
{LICENSED}"""


def checksum_file(at: Folder) -> str:
    lines = [f"{hashed(at.put(f'm/{name}.onnx'))}  {name}.onnx\n" for name in ("a", "b")]
    lines.append(f"{hashed(at.put('m/labels.txt', b'cat'))} *./labels.txt\n")
    at.write("m/SHA256SUMS", "".join(lines))
    return f'[registry]\npath = "m/SHA256SUMS"\n{LICENSED}'


SHAPES: Final[Mapping[str, Callable[[Folder], str]]] = {
    shape.__name__.replace("_", "-"): shape
    for shape in (
        list_with_two_files_a_row,
        object_of_rows_with_files_by_path,
        toml_with_values_in_place_of_digests,
        yaml_file_for_each_model,
        yaml_keys_four_deep,
        assets_of_each_row,
        two_lists_with_companions,
        nested_digests_beside_commits,
        paths_and_addresses,
        two_indexes_with_a_shared_file,
        one_digest_under_two_names,
        algorithm_and_value_apart,
        checksum_file,
    )
}
