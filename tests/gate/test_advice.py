# SPDX-License-Identifier: Apache-2.0
"""The advice of every finding, followed to the letter: it removes the finding and adds no other.

A new rule needs a line in this file, or a reason in `BY_HAND` why its advice cannot be followed.
`tests/support/advice.py` explains scenes and steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from provenance.gate.rules import BY_CODE
from tests.support.advice import (
    Advice,
    Mutation,
    about_back,
    command,
    commands_in,
    defer,
    deferred,
    edited,
    follow,
    member,
    option,
    put_back,
    removed,
    set_scene,
    then,
    value,
    without,
)
from tests.support.advice_steps import (
    CONFIGURATION,
    all_smoke,
    beside,
    bundle_named,
    check_by_another,
    check_by_both,
    configured,
    data_named,
    fetched,
    gives_two,
    license_named,
    model_fetched,
    named_so,
    owned,
    released_name,
    second_signer,
    sidecar_fetched,
    steps_again,
    summary_fetched,
)
from tests.support.cases import all_cases
from tests.support.keys import KeyPair
from tests.support.models import External, model
from tests.support.mutations import (
    content,
    copy,
    cut,
    describe,
    drop,
    flip,
    lengthen,
    link,
    move,
    put,
    reexport,
    remove,
    rename,
    reverse,
    shorten,
    text,
    together,
)
from tests.support.production import production
from tests.support.repository import PASSED, sha256

ZERO: Final = "0" * 64
ROW: Final = ("models", "s1")
DIGESTS: Final = (*ROW, "external_data_sha256")
MEMBER: Final = ("members", "s1")
REGISTRY: Final = "model/registry.json"
LICENSE_URL: Final = "https://example.org/LICENSE"
ORIGIN: Final = {"source": "https://example.org/upstream", "license": "MIT"}
OTHER_MODEL: Final = model(salt=99)


def row_mutation(*where: Any, to: Any, baseline: bool = False) -> Mutation:
    """Set a member of a row to another value."""
    return Mutation("registry.json", put("models", *where, to=to), baseline)


def lost(*where: Any, baseline: bool = False) -> Mutation:
    """Remove a member of a row."""
    return Mutation("registry.json", drop("models", *where), baseline)


def exported(name: str, made: bytes, row: str, field: str = "sha256") -> Mutation:
    """Replace a file of a row, and write its digest into the row."""
    digest = put("models", row, field, to=sha256(made))
    return Mutation(name, together((name, content(made)), ("registry.json", digest)))


SLIPS: Final = [
    # The registry
    Advice("REG101", row_mutation("s1", "sha256", to=""), "provenance hash --write", command),
    Advice("REG101", row_mutation("s1", "sha256", to="zz"), "--accept s1", command),
    Advice("REG101", row_mutation("s1", "sha256", to=f"md5:{ZERO[:32]}"),
           'write "" there, then: provenance hash s1 --write', then(member("sha256", ""), command)),
    Advice("REG101", row_mutation("s1", "external_data_sha256", "s1.onnx.data", to="zz"),
           "--accept s1", command),
    Advice("REG101", row_mutation("s1", "external_data_sha256", to="zz"),
           "--add-external-data --accept s1", command),
    Advice("REG101", lost("s1", "sha256"), 'Add "sha256": ""', then(value, command)),
    Advice("REG101", lost("s1", "onnx", baseline=True), "provenance restore s1", command),
    Advice("REG101", lost("s1", "id", baseline=True), "provenance restore '#1'", command),
    Advice("REG101", row_mutation("s1", "opset", to="17"), "Correct `opset`", member("opset", 17)),
    Advice("REG101", Mutation("registry.json", rename(*ROW, "sha256", to="sha")),
           "Did you mean `sha256` instead of `sha`?",
           lambda scene, _: rename("models", "s1", "sha", to="sha256")(scene.registry)),
    Advice("REG102", Mutation("registry.json", lengthen("models")), "Remove one of the two rows",
           edited(REGISTRY, drop("models", 6))),
    Advice("REG103", Mutation("registry.json", text('"id": "s1",', '"id": "s1", "id": "s1",')),
           "Keep one of the two", edited(REGISTRY, text('"id": "s1", "id": "s1",', '"id": "s1",'))),
    Advice("REG105", Mutation("registry.json", reverse(*ROW)), "check --fix", command),
    Advice("REG107", row_mutation("s1", "sigstore_bundle", to="../../s1.sigstore.json"),
           "inside the repository", member("sigstore_bundle", "../bundles/s1.onnx.sigstore.json")),
    Advice("REG108", row_mutation("s1", "sigstore_bundle", to="../bundles/s0.onnx.sigstore.json"),
           "after the model: s1.onnx.sigstore.json", bundle_named),
    # Licenses
    Advice("LIC201", lost("s1", "license"), 'SPDX expression of the model',
           member("license", "MIT")),
    Advice("LIC202", lost("s1", "license_url"), "license file", member("license_url", LICENSE_URL)),
    Advice("LIC202", lost("s1", "license_url", baseline=True), "provenance restore", command),
    Advice("LIC203", lost("s1", "sigstore_bundle"), "provenance check --fix", command),
    Advice("LIC204", row_mutation("s1", "license", to="MITT"), "Write MIT if", license_named),
    Advice("LIC207", row_mutation("s1", "license_url", to="LICENSE"),
           "the address of the license file", member("license_url", LICENSE_URL)),
    # Model files
    Advice("ART301", Mutation("s1.onnx", remove()), "file, or remove the row", put_back("s1.onnx")),
    Advice("ART301", Mutation("s1.onnx", remove(), with_baseline=True), "Fetch or add the file.",
           put_back("s1.onnx")),
    Advice("ART301", Mutation("s1.onnx", move("s1_v2.onnx")), "Rename s1_v2.onnx back to s1.onnx",
           named_so),
    Advice("ART301", Mutation("quant.int8.onnx", move("q8.onnx")), "Rename q8.onnx back", named_so),
    Advice("ART301", row_mutation("s1", "onnx", to="s_1.onnx"), 'Write "onnx": "s1.onnx".', value),
    Advice("ART301",
           Mutation("plain.onnx", together(("plain.onnx", move("p.onnx")),
                                           ("plain.json", move("p.json")))),
           'Write "onnx": "p.onnx", or rename',
           then(value, edited("model/p.json", put("onnx", to="p.onnx")))),
    Advice("REG101", lost("s1", "onnx"), 'Write "onnx": "s1.onnx" above `sigstore_bundle`.',
           then(value, edited(REGISTRY, reverse(*ROW)))),
    Advice("REG107", row_mutation("s1", "onnx", to="../../s1.onnx"), '"onnx": "s1.onnx".', value),
    Advice("ART302", row_mutation("s1", "onnx", to="s0.onnx"), 'Write "onnx": "s1.onnx".', value),
    Advice("ART301", row_mutation("plain", "quant_mode", to="static"), "remove `quant_mode`",
           without("quant_mode")),
    Advice("ART301", Mutation("quant.int8.onnx", remove()), "Fetch or add",
           put_back("quant.int8.onnx")),
    Advice("ART302", Mutation("probe.onnx", content(OTHER_MODEL)), "--accept probe", command),
    Advice("ART302", Mutation("s1.onnx.data", flip()),
           "export the sidecar with it, then: provenance", then(data_named, command)),
    Advice("ART302", Mutation("s1.onnx.data", flip()), "restore the file", about_back),
    Advice("ART302", Mutation("s1.onnx", flip()), "Restore the file", about_back),
    Advice("ART302", Mutation("s1.onnx.data", cut(0.5)), "Restore the file", about_back),
    Advice("ART303", exported("probe.onnx", b"junk", "probe"),
           "then: provenance hash probe --write --accept probe",
           then(put_back("probe.onnx"), command)),
    Advice("ART304", Mutation("s1.onnx.data", remove()), "Fetch it", about_back),
    Advice("ART304", Mutation("s1.onnx.data", move("s1.onnx.data2")), "Rename", named_so),
    Advice("ART304",
           Mutation("s1.onnx.data", together(("s1.onnx.data", move("s1.onnx.data2")),
                                             ("registry.json", drop(*DIGESTS)))),
           "Then: provenance hash s1 --write --add-external-data", then(named_so, command)),
    Advice("ART305", Mutation("s1.onnx", reexport(1, external=External("../s1.data"))),
           "then: provenance hash s1 --write --add-external-data --accept s1",
           then(put_back("s1.onnx", "s1.json", "ens.json"), command)),
    Advice("ART306", lost("s1", "external_data_sha256"),
           "provenance hash --write --add-external-data", command),
    Advice("ART306",
           Mutation("registry.json", rename(*DIGESTS, "s1.onnx.data", to="x.data")),
           "Name the entry s1.onnx.data",
           edited(REGISTRY, rename(*DIGESTS, "x.data", to="s1.onnx.data"))),
    Advice("ART307",
           Mutation("s1.onnx", reexport(1, external=External("s1.onnx.data", length=4096))),
           "then: provenance hash s1 --write --add-external-data --accept s1",
           then(put_back("s1.onnx", "s1.json", "ens.json"), command)),
    Advice("ART308", lost("quant", "int8_sha256"),
           'Add "int8_sha256": "" to the row, then: provenance hash quant --write',
           then(value, command)),
    Advice("ART309", Mutation("s1.onnx", link("/dev/null")), "Put the file itself there",
           about_back),
    Advice("ART310", row_mutation("s1", "opset", to=18), "provenance check --fix", command),
    Advice("ART310", "opset-shared-by-row-and-sidecar", "in both: provenance check --fix", command),
    Advice("ART311", Mutation("s1.onnx.data", copy("s3.onnx.data")), "Remove it", removed),
    Advice("ART312", Mutation("s1.onnx", reexport(1, external=())), "Remove the file, if it exists",
           then(edited("model/s1.onnx.data", remove()), command)),
    Advice("ART314",
           exported("quant.int8.onnx", model(inputs=[("other", 6)]), "quant", "int8_sha256"),
           "then: provenance hash quant --write --accept quant",
           then(put_back("quant.int8.onnx"), command)),
    # Sidecars
    Advice("SID401", Mutation("s1.json", remove()), "Export it with the model",
           put_back("s1.json")),
    Advice("SID401", row_mutation("probe", "smoke", to=False), '"smoke": true', value),
    Advice("SID402", Mutation("probe.json", content(b'{"sha256": "%s"}' % ZERO.encode())),
           "Export model and sidecar together", edited("model/probe.json", describe("probe.onnx"))),
    Advice("SID402", Mutation("probe.json", content(b'{"sha256": "%s"}' % ZERO.encode())),
           "declare a [[deferral]]", deferred, since=("BAS810",)),
    Advice("SID403", Mutation("s1.json", shorten("encoder_vocab")), "Export", put_back()),
    Advice("SID404", Mutation("s1.json", put("sha256", to=ZERO)), "Export model and", put_back()),
    Advice("SID404", Mutation("plain.json", put("sha256", to=ZERO)),
           'until then say "smoke": true and declare a [[deferral]] of SID402',
           then(value, defer("SID402", "plain")), since=("BAS810",)),
    Advice("SID405", Mutation("s1.json", cut(0.5)), "Export it again", put_back()),
    Advice("SID407", Mutation("s1.json", drop("seed")), "Export the sidecar and the manifest",
           put_back()),
    Advice("SID408", Mutation("s1.json", put("id", to="other")), "write it in both", put_back()),
    Advice("SID408",
           Mutation("probe.json", together(
               ("probe.json", content(b'{"training": {"smoke": true}}')),
               ("registry.json", put("models", "probe", "smoke", to=False)))),
           '"smoke": true', value),
    Advice("SID409", Mutation("plain.json", put("int8_sha256", to=ZERO)), "Export", put_back()),
    Advice("SID410", Mutation("s1.json", reverse("input_names")), "Export model", put_back()),
    Advice("SID411", Mutation("s1.json", put("input_shape", to=[1, 7])), "Export model",
           put_back()),
    Advice("SID412", Mutation("s1.json", put("input_dtypes", to=["int8", "int8"])), "Export",
           put_back()),
    Advice("SID413", Mutation("s1.json", put("opset", to=18)), "provenance check --fix", command),
    Advice("SID414", Mutation("s1.json", drop("feature_mean")), "Export the sidecar", put_back()),
    Advice("SID415", Mutation("s1.json", copy("gone.json")), "Remove it", removed),
    Advice("SID416", Mutation("s1.json", put("feature_order", 0, to="motion2")), "Export",
           put_back()),
    # Ensembles
    Advice("ENS501", Mutation("ens.json", put(*MEMBER, "id", to="s_one")), "Use the same name",
           put_back()),
    Advice("ENS502", Mutation("ens.json", lengthen("members")), "Export the manifest", put_back()),
    Advice("ENS503", Mutation("ens.json", drop(*MEMBER)), "Export the manifest again", put_back()),
    Advice("ENS504", Mutation("ens.json", put(*MEMBER, "sha256", to=ZERO)), "Export", put_back()),
    Advice("ENS505", Mutation("ens.json", put("ensemble_size", to=5)), "Export", put_back()),
    Advice("ENS506", Mutation("ens.json", put(*MEMBER, "seed", to=7)), "Export the manifest",
           put_back()),
    Advice("ENS507", Mutation("ens.json", put("opset", to=18)), "Export", put_back()),
    Advice("ENS508", Mutation("ens.json", reverse("codec_vocab")), "Export the manifest",
           put_back()),
    Advice("ENS509", Mutation("ens.json", put("smoke", to=True)), "--ensemble ens", command),
    Advice("ENS510", Mutation("ens_PROMOTE.json", remove()), 'write "smoke": true in', all_smoke,
           since=("BAS809",)),
    Advice("ENS510", Mutation("ens_PROMOTE.json", remove()), "Then: provenance promote",
           then(all_smoke, put_back("ens_PROMOTE.json"), command)),
    Advice("ENS510", Mutation("ens_PROMOTE.json", remove(), with_baseline=True), "Copy it back",
           put_back("ens_PROMOTE.json")),
    Advice("ENS510", Mutation("ens_PROMOTE.json", copy("ens_PROMOTE_2.json")), "move the others",
           edited("model/ens_PROMOTE_2.json", remove())),
    Advice("ENS511", Mutation("ens_PROMOTE.json", put("verdict", to="HOLD")), "Run the gate",
           put_back()),
    Advice("ENS512", Mutation("ens.json", put("gate", "mean_plcc", to=0.99)), "Export", put_back()),
    Advice("ENS514", Mutation("ens_PROMOTE.json", put("corpus", "sha256", to=ZERO)), "Run the gate",
           put_back()),
    Advice("ENS515", Mutation("ens.json", put("feature_mean", 0, to=0.7)), "Export", put_back()),
    Advice("ENS516", Mutation("plain.json", put("loso_mean_plcc", to=0.9)), "Evaluate", put_back()),
    Advice("ENS518", Mutation("ens.json", put("id", to="ens_v2")), "Export the manifest",
           put_back()),
    Advice("ENS519", Mutation("ens_PROMOTE.json", cut(0.5)), "Export it again", put_back()),
    Advice("ENS520", Mutation("s1.onnx", reexport(1, gives_two)), "Export all members",
           put_back("s1.onnx", "s1.json", "ens.json", "registry.json")),
    Advice("ENS521",
           Mutation("ens.json", together(*(("ens.json", put("members", seed, "sha256", to=ZERO))
                                           for seed in ("s0", "s1")))),
           "Export the manifest again", put_back()),
    # Since a baseline
    Advice("BAS802", lost("probe", "description", baseline=True), "provenance restore", command),
    Advice("BAS802", lost("probe", "description", baseline=True), "[[deferral]] of BAS802",
           deferred, since=("BAS810",)),
    Advice("BAS805", row_mutation("probe", "kind", to="nr", baseline=True),
           "[[deferral]] of BAS805", deferred, since=("BAS810",)),
    Advice("BAS806", row_mutation("probe", "license", to="BSD-2-Clause", baseline=True),
           "[[deferral]] of BAS806", deferred, since=("BAS810",)),
    Advice("BAS806", row_mutation("probe", "license", to="BSD-2-Clause", baseline=True),
           "Put it back", member("license", "MIT")),
    Advice("BAS809", Mutation("ens.json", remove(), with_baseline=True), "Copy it back",
           put_back("ens.json")),
    Advice("BAS810", Mutation("../provenance.toml", text("example.org", "example.com"), True),
           "put the former value back", put_back()),
]  # fmt: skip
"""Single mistakes in a correct registry."""

CASES: Final = [
    Advice("REG102", "registry-with-duplicate-ids", "a unique id",
           edited(REGISTRY, put("models", 1, "id", to="n"))),
    Advice("REG114", "registry-violates-its-schema", "Shorten it",
           edited(REGISTRY, put("models", "m", "notes", to="short"))),
    Advice("REG114", "registry-violates-its-schema", "Remove `mine`", without("mine"),
           since=("BAS802",)),
    Advice("REG114", "registry-violates-its-schema", "Write one of the allowed values",
           edited(REGISTRY, put("schema_version", to=1))),
    Advice("REG114", "registry-violates-its-schema", "#/properties/schema_version/enum",
           edited("model/registry.schema.json",
                  put("properties", "schema_version", "enum", 0, to=2))),
    Advice("REG104", "onnx-in-a-folder-below-the-registry", "Move the model beside the registry",
           then(beside, member("onnx", "m.onnx"))),
    Advice("REG106", "registry-too-large-for-its-consumer", "Shorten",
           edited(REGISTRY, text("x" * 1_048_576, ""))),
    Advice("REG115", "digest-in-another-spelling", "provenance check --fix", command),
    Advice("REG116", "withdrawn-model-in-a-row", "Remove the row: provenance remove",
           then(command, edited("model/m.onnx", remove())), since=("BAS813",)),
    Advice("LIC204", "license-misspelt", "Write Apache-2.0 if", license_named, since=("BAS806",)),
    Advice("LIC205", "release-changed-license", "sign again: provenance release", command),
    Advice("LIC205", "release-changed-license", "Put the signed value back",
           member("license", "MIT")),
    Advice("LIC206", "license-file-of-another-license", "Write the license of that file",
           member("license", "BSD-2-Clause-Patent"), since=("BAS806",)),
    Advice("LIC208", "same-bytes-under-two-licenses", "the same license in both rows",
           member("license", "CC-BY-NC-4.0"), row="n", since=("BAS806",)),
    Advice("ART301", "int8-missing", "remove `int8_sha256` and `quant_mode`",
           without("int8_sha256", "quant_mode"), since=("BAS802",)),
    Advice("ART306", "external-data-in-a-function", "--add-external-data", command),
    Advice("ART313", "two-rows-with-one-file", "Keep one row",
           edited(REGISTRY, drop("models", "n")), since=("BAS801",)),
    Advice("ART315", "int8-that-is-the-model", "Remove the int8 file and its fields",
           then(edited("model/m.int8.onnx", remove()), without("int8_sha256", "quant_mode")),
           since=("BAS802",)),
    Advice("ART315", "int8-that-is-the-model", "or quantize the model, then: provenance",
           then(edited("model/m.int8.onnx", content(OTHER_MODEL)), command)),
    Advice("SID415", "sidecar-left-behind-by-a-renamed-model", "Remove it", removed),
    Advice("SID406", "sidecar-without-digest", "the exporter write",
           edited("model/m.json", describe("m.onnx"))),
    Advice("SID401", "sidecar-left-behind-by-a-renamed-model", "model/m_v1.json is its sidecar",
           edited("model/m_v1.json", move("m.json"))),
    Advice("SID417", "claim-production-without-a-gate", "Run the gate and record it",
           edited("model/m.json", put("gate", to=PASSED))),
    Advice("SID417", "claim-production-without-a-gate", 'declare its "origin"',
           edited("model/m.json", put("origin", to=ORIGIN))),
    Advice("SID417", "claim-production-without-a-gate", '"smoke": true', value),
    Advice("SID417", "claim-production-with-an-empty-sidecar", 'The exporter writes "sha256"',
           edited("model/m.json", together(
               ("m.json", describe("m.onnx")), ("m.json", put("gate", to=PASSED))))),
    Advice("SID418", "claim-smoke-with-the-evidence-for-production", "provenance promote m",
           command),
    Advice("SID419", "origin-without-a-source", 'Write it as "origin": {"source": "…"',
           edited("model/m.json", put("origin", to=ORIGIN))),
    Advice("SID419", "origin-of-another-license", "write it in both",
           edited("model/m.json", put("origin", "license", to="MIT"))),
    Advice("SID419", "origin-beside-a-gate", "Remove `origin`",
           edited("model/m.json", drop("origin"))),
    Advice("SID419", "origin-beside-a-gate", "or the record", edited("model/m.json", drop("gate"))),
    Advice("ENS513", "ens-production-on-hold", "Declare the members as smoke",
           edited(REGISTRY, together(*(("registry.json", put("models", seed, "smoke", to=True))
                                       for seed in ("ens_seed0", "ens_seed1"))))),
    Advice("ENS517", "gate-not-passed-in-production", '"smoke": true', value),
    Advice("RUN005", "run-gives-nan", "[run.inputs]", configured("[run.inputs]\nx = -1\n")),
    Advice("RUN002", "run-does-not-run", "Set the sizes and values",
           configured("[run]\ndimensions = {batch = 8}\n")),
    Advice("RUN001", "run-does-not-load", "declare a [[deferral]]", deferred),
    # Since a baseline
    Advice("BAS801", "baseline-row-gone", "provenance restore n", command),
    Advice("BAS803", "baseline-sidecar-unchanged", 'name the digests: "sha256"',
           edited("model/m.json", describe("m.onnx"))),
    Advice("BAS815", "baseline-bundle-unchanged", "provenance release", command),
    Advice("BAS812", "withdrawal-gone-since-the-baseline", "Entries are only ever added",
           about_back),
    Advice("BAS804", "baseline-promoted-by-hand", 'Say "smoke": true until', value),
    Advice("BAS807", "baseline-registry-field-gone", "provenance restore", command),
    Advice("BAS807", "baseline-registry-field-gone", "[[deferral]] of BAS807", deferred,
           since=("BAS810",)),
    Advice("BAS808", "baseline-sidecar-gone", "Copy it back", about_back),
    Advice("BAS808", "baseline-sidecar-gone", "[[deferral]] of BAS808", deferred,
           since=("BAS810",)),
    Advice("BAS809", "baseline-ensemble-without-its-manifest", "Copy it back",
           put_back("ens.json")),
    # Deferrals
    Advice("DEF901", "deferral-whose-cause-is-gone", "Remove the [[deferral]]",
           edited(CONFIGURATION, content(b'registry = "model/registry.json"\n')),
           since=("BAS810",)),
    Advice("DEF901", "deferral-whose-cause-is-gone-for-one-row", "Narrow `rows`",
           edited(CONFIGURATION, text('["?"]', '["m"]')), since=("BAS810",)),
    Advice("DEF902", "deferral-that-matches-no-row", "or remove it",
           edited(CONFIGURATION, text(', "seed*"', "")), since=("BAS810",)),
    Advice("DEF903", "deferral-expired", "a new date",
           edited(CONFIGURATION, text("2026-01-31", "2999-01-31")), since=("BAS810",)),
    Advice("DEF904", "deferral-without-reason-and-reference", 'reference = "…"',
           edited(CONFIGURATION, text('reason = "  "', 'reason = "  "\nreference = "ADR-1105"')),
           since=("BAS810",)),
    Advice("DEF904", "deferral-without-reason-and-reference", 'reason = "…"',
           edited(CONFIGURATION, text('reason = "  "', 'reason = "until the retrain"')),
           since=("BAS810",)),
    Advice("DEF905", "deferral-of-a-digest", "Remove the deferral and correct",
           then(edited(CONFIGURATION, content(b'registry = "model/registry.json"\n')),
                put_back("m.onnx")),
           since=("BAS810",)),
    Advice("DEF906", "deferral-still-to-be-explained", 'reason = "…"',
           edited(CONFIGURATION, text("todo: why is this shipped all the same?", "the retrain")),
           since=("BAS810",)),
    # Signatures and attestations
    Advice("SIG601", "not-released", "provenance release --signer URI", command),
    Advice("SIG602", "bundle-empty", "provenance release --signer URI", command),
    Advice("SIG603", "bundle-with-another-signature", "sign again: provenance release", command),
    Advice("SIG603", "bundle-with-another-signature", "Restore the released bundle", put_back()),
    Advice("SIG605", "release-with-other-bytes-under-a-new-digest",
           "sign again: provenance release", command),
    Advice("SIG606", "consumer-with-another-name", "under the names they were released with",
           released_name),
    Advice("SIG607", "countersignature-behind-a-gap", "Remove it", removed),
    Advice("SIG608", "signers-too-few", "into bundles/m.onnx.2.sigstore.json", second_signer),
    Advice("ATT701", "release-with-two-bundles-swapped", "sign again: provenance release", command),
    Advice("ATT701", "bundle-is-a-plain-signature", "provenance release --signer URI", command),
    Advice("ATT702", "release-with-a-file-that-nobody-signed", "provenance release", command),
    Advice("ATT703", "release-changed-field", "provenance release", command),
    Advice("ATT704", "release-changed-sidecar", "provenance release", command),
    Advice("ATT704", "release-changed-sidecar", "Restore the released sidecar", about_back),
    Advice("ATT705", "release-with-a-signed-file-gone", "provenance release", command),
    Advice("ATT706", "release-with-another-deferral", "provenance release", command),
    Advice("ATT707", "ensemble-without-a-seed-attestation", "--signer URI", command),
    Advice("ATT708", "ensemble-with-another-manifest", "provenance release", command),
    Advice("ATT709", "release-without-its-summary", "provenance release --signer URI", command),
    Advice("ATT710", "release-with-another-policy", "provenance release", command),
    Advice("ATT710", "summary-with-another-predicate", "provenance release", command),
    # The pipeline
    Advice("PIP001", "pipeline-layout-that-is-a-bundle", "provenance layout --signer URI --output",
           command),
    Advice("PIP002", "pipeline-layout-by-another", "Get the layout from the project's owner",
           owned),
    Advice("PIP004", "pipeline-layout-that-runs-a-command", "Ask the owner for a layout", owned),
    Advice("PIP003", "pipeline-layout-expired", "provenance layout --signer URI --output", command),
    Advice("PIP005", "pipeline-link-that-is-another-step", "Do `verify`", steps_again),
    Advice("PIP006", "pipeline-step-missing", "Do `check`", steps_again),
    Advice("PIP007", "pipeline-step-by-another", "Do `check`", steps_again),
    Advice("PIP008", "pipeline-step-by-too-few", "with another of these keys as well",
           then(check_by_another, steps_again)),
    Advice("PIP009", "pipeline-step-disputed", "everyone repeat the step", check_by_both),
    Advice("PIP010", "pipeline-file-changed", "Otherwise put it back. Do `sign`",
           then(put_back("notes.txt"), steps_again)),
    Advice("PIP011", "pipeline-file-added", "Otherwise put it back. Do `check`",
           then(edited("model/more.txt", remove()), steps_again)),
    Advice("PIP012", "pipeline-file-gone", "put back what was released", put_back("notes.txt")),
    Advice("PIP013", "pipeline-refused-by-a-rule-of-its-own", "--signer URI --output", command),
    Advice("PIP014", "pipeline-file-unseen", "or move it elsewhere",
           edited("model/seeds.link.json", remove())),
    Advice("ATT714", "withdrawal-gone-since-the-release", "Put it back into", about_back),
    # Requirements of a consumer
    Advice("USE001", "require-a-row-of-a-plain-signature", "Ask the publisher", fetched),
    Advice("USE006", "require-a-summary-of-another-bundle", "Fetch the model, its bundle", fetched),
    Advice("USE007", "require-an-age-of-an-old-release", "Fetch the current release", fetched),
    Advice("USE011", "require-files-without-the-sidecar", "Fetch it from the publisher",
           sidecar_fetched),
    Advice("ATT712", "summary-of-another-project", "--resource-uri URI",
           option("--resource-uri", "https://example.net/models/registry.json")),
    Advice("ATT713", "consumer-without-the-sidecar", "Fetch it from the publisher",
           sidecar_fetched),
    Advice("ATT711", "consumer-with-a-plain-signature", "Ask the publisher", model_fetched),
    Advice("USE005", "require-a-summary-that-is-not-there", "Fetch <registry>.vsa.sigstore.json",
           summary_fetched),
    Advice("USE004", "require-a-license-of-which-half-is-allowed", "or allow its license",
           option("--license-allow", "Zlib")),
]  # fmt: skip
"""Cases of `tests/cases/`."""

_AGAIN: Final = "a model has to be exported again"
_OTHERS: Final = "another person has to act: the publisher, or the owner of the layout"

BY_HAND: Final[dict[str, str]] = {
    **dict.fromkeys(("RUN003", "RUN006", "RUN007"), _AGAIN),
    "RUN004": "what a model may take is a decision",
    "SIG604": "whom to trust is a decision, and changes the policy that was released",
    **dict.fromkeys(("REG109", "REG110", "REG113"), "what an index means is a decision"),
    **dict.fromkeys(("REG111", "REG112"), "where an index has its digests is a decision"),
    **dict.fromkeys(("ENS522", "ENS523"), "a model is trained or evaluated again"),
    **dict.fromkeys(("ENS524", "BAS816"), "which gate applies is a decision"),
    "BAS813": "the end of a model is a decision",
    **dict.fromkeys(("USE002", "USE003", "USE008", "USE009", "USE010", "USE012"), _OTHERS),
}
"""Rules whose advice a test cannot follow, each with the reason."""


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The registry that mutations are made in."""
    return production(tmp_path_factory.mktemp("advice") / "tree").root


def _name(advice: Advice) -> str:
    scene = advice.scene if isinstance(advice.scene, str) else advice.scene.name
    return f"{advice.code}: {scene}: {advice.help}"


@pytest.mark.parametrize("advice", [*SLIPS, *CASES], ids=_name)
def test_advice_cures_its_finding(
    advice: Advice, clean: Path, tmp_path: Path, key: KeyPair, other_key: KeyPair
) -> None:
    follow(advice, set_scene(advice, tmp_path, clean, key, other_key))


def test_every_rule_has_advice_that_is_followed_or_a_reason() -> None:
    followed = {advice.code for advice in (*SLIPS, *CASES)}
    assert followed | BY_HAND.keys() == BY_CODE.keys()
    assert not followed & BY_HAND.keys()


@pytest.mark.parametrize("code", BY_HAND)
def test_advice_that_is_followed_by_hand_names_no_command(
    code: str, clean: Path, tmp_path: Path, key: KeyPair, other_key: KeyPair
) -> None:
    name = next(c.name for c in all_cases() if code in {f["code"] for f in c.findings})
    scene = set_scene(Advice(code, name, "", command), tmp_path, clean, key, other_key)
    helps = [f["help"] for f in scene.findings() if f["code"] == code]
    assert helps
    assert not any(commands_in(help) for help in helps)
