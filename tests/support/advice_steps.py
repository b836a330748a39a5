# SPDX-License-Identifier: Apache-2.0
"""Steps for single lines of the table of advice: what people do, and values out of a help."""

from __future__ import annotations

import re
import shutil
from typing import Any, Final

from tests.support.advice import Scene, Step, command, member
from tests.support.cases import Workshop
from tests.support.keys import KeyPair
from tests.support.mutations import put
from tests.support.repository import sha256

CONFIGURATION: Final = "provenance.toml"


def second_signer(scene: Scene, _finding: Any) -> None:
    """Let the other trusted key of the run sign the same statement."""
    shop = Workshop(scene.tree, scene.outside, scene.key, scene.other)
    of = "bundles/m.onnx.sigstore.json"
    shop.do({"countersign": "bundles/m.onnx.2.sigstore.json", "of": of})


def summary_fetched(scene: Scene, _finding: Any) -> None:
    summary = "bundles/registry.json.vsa.sigstore.json"
    shutil.copyfile(scene.before / summary, scene.tree / summary)


def sidecar_fetched(scene: Scene, _finding: Any) -> None:
    shutil.copy(scene.before / "model/m.json", scene.outside)


def fetched(scene: Scene, _finding: Any) -> None:
    """Fetch the bundles of the release."""
    shutil.copytree(scene.before / "bundles", scene.tree / "bundles", dirs_exist_ok=True)


def model_fetched(scene: Scene, _finding: Any) -> None:
    """Fetch the model, its data and its bundle into the download folder."""
    for name in ("model/m.onnx", "model/m.onnx.data", "bundles/m.onnx.sigstore.json"):
        shutil.copy(scene.before / name, scene.outside)


def owned(scene: Scene, _finding: Any) -> None:
    """Let the owner of the layout write it again."""
    shop = Workshop(scene.tree, scene.outside, scene.key, scene.other)
    shop.do({"layout": "release.layout"})


def all_smoke(scene: Scene, _finding: Any) -> None:
    """Let the rows of the ensemble and its manifest say smoke."""
    for seed in ("s0", "s1", "s2"):
        put("models", seed, "smoke", to=True)(scene.registry)
    put("smoke", to=True)(scene.tree / "model/ens.json")


def configured(more: str) -> Step:
    def step(scene: Scene, _finding: Any) -> None:
        with (scene.tree / CONFIGURATION).open("a", encoding="utf-8") as stream:
            stream.write(more)

    return step


_COMMANDS: Final = {"check": "check", "sign": "release", "verify": "verify"}


def do_step(scene: Scene, name: str, by: KeyPair) -> None:
    """Do a step of the pipeline as one of those who may."""
    result = scene.run(_COMMANDS[name], "--link-dir", "links", "--link-key", by.signer)
    assert result.code == 0, f"{result.out}\n{result.err}"


def steps_again(scene: Scene, finding: Any) -> None:
    """Run the command of the help, and do the steps that follow."""
    command(scene, finding)
    found = re.search(r"Do `(\w+)` and all later steps", finding["help"])
    assert found
    steps = list(_COMMANDS)
    for name in steps[steps.index(found[1]) + 1 :]:
        do_step(scene, name, scene.key)


def check_by_another(scene: Scene, _finding: Any) -> None:
    """Do `check` with the other key of the run."""
    do_step(scene, "check", scene.other)


def check_by_both(scene: Scene, _finding: Any) -> None:
    for by in (scene.key, scene.other):
        do_step(scene, "check", by)


def data_named(scene: Scene, _finding: Any) -> None:
    """Let the sidecar of `s1` name the digest of its data."""
    digest = sha256((scene.tree / "model/s1.onnx.data").read_bytes())
    put("external_data_sha256", to={"s1.onnx.data": digest})(scene.tree / "model/s1.json")


def gives_two(graph: Any) -> None:
    """Let a graph declare two outputs a row."""
    graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2


def released_name(scene: Scene, _finding: Any) -> None:
    """Give a download the names that it was released with."""
    for suffix in ("", ".sigstore.json"):
        (scene.outside / f"other.onnx{suffix}").rename(scene.outside / f"m.onnx{suffix}")
    scene.arguments[1] = str(scene.outside / "m.onnx")


def beside(scene: Scene, _finding: Any) -> None:
    """Move the model beside the registry."""
    (scene.tree / "model/weights/m.onnx").rename(scene.tree / "model/m.onnx")


def named_so(scene: Scene, finding: Any) -> None:
    """Rename the file that the help names to the name that it gives."""
    found = re.match(r"Rename (\S+) back to ([^\s,]+)", finding["help"])
    assert found
    new = found[2].removesuffix(".")
    (scene.tree / "model" / found[1]).rename(scene.tree / "model" / new)


def bundle_named(scene: Scene, finding: Any) -> None:
    """Write the name that the help gives for the bundle."""
    name = finding["help"].rpartition(": ")[2]
    member("sigstore_bundle", f"../bundles/{name}")(scene, finding)


def license_named(scene: Scene, finding: Any) -> None:
    """Write the license that the help gives."""
    found = re.match(r"Write ([\w.-]+) if", finding["help"])
    assert found
    member("license", found[1])(scene, finding)
