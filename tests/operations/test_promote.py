# SPDX-License-Identifier: Apache-2.0
"""`promote` flips `smoke` on complete evidence, and refuses on anything less."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import provenance
from tests.operations.workspace import CONFIG, DEFERRAL, SEEDS, Workspace
from tests.support.command import Result, run_cli
from tests.support.git import GitRepository
from tests.support.models import data, model
from tests.support.production import production
from tests.support.repository import Repository, codes, sha256

Spoil = Callable[[Repository], object]

ENSEMBLE = "fr_regressor_v2_ensemble_v1"
VERDICT = "ens_seed_flip_PROMOTE.json"
ENS = ("--ensemble", "ens")


@pytest.fixture
def ready(repository: Repository) -> Repository:
    """A full ensemble that says smoke, a single model with its gate, and a row beside them."""
    repository.add_ensemble("ens", 3)
    edit("ens.json", "smoke", to=True)(repository)
    gate = {"verdict": "PROMOTE", "mean_plcc": 0.99, "mean_plcc_threshold": 0.95}
    repository.add_sidecar(repository.add("single"), gate=gate)
    repository.add("beside")
    return repository.save()


def edit(name: str, *at: Any, to: object = None) -> Spoil:
    """Set a value of a JSON file beside the registry, or remove it; without `at` all of it."""

    def change(repository: Repository) -> None:
        path = repository.path(name)
        if not at:
            path.write_text(json.dumps(to))
            return
        value = json.loads(path.read_text())
        here = value
        for step in at[:-1]:
            here = here[step]
        if to is None:
            del here[at[-1]]
        else:
            here[at[-1]] = to
        path.write_text(json.dumps(value, indent=2) + "\n")

    return change


def in_row(index: int, field: str, to: object = None) -> Spoil:
    return edit("registry.json", "models", index, field, to=to)


def defer(repository: Repository, *deferrals: tuple[str, list[str]]) -> None:
    """Defer rules in a registry that was edited."""
    repository.rows = json.loads(repository.registry.read_text())["models"]
    for rule, rows in deferrals:
        repository.defer(rule, rows)
    repository.save()


def files(repository: Repository) -> dict[str, bytes]:
    return {
        p.relative_to(repository.root).as_posix(): p.read_bytes()
        for p in repository.root.rglob("*")
        if p.is_file()
    }


def promote(repository: Repository, *args: str) -> Result:
    return run_cli("promote", *args, "--format", "json", cwd=repository.root)


def shown(repository: Repository, *args: str, code: int = 0) -> str:
    """Run `promote ARGS`, and return what it prints for people."""
    result = run_cli("promote", *args, cwd=repository.root)
    assert result.code == code, result.out
    return result.out


def refused(repository: Repository, *args: str) -> Result:
    """Run `promote ARGS`, which must write nothing."""
    before = files(repository)
    result = promote(repository, *args)
    assert result.code == 1
    assert (result.json["diff"], result.json["written"]) == ("", False)
    assert files(repository) == before
    return result


# --- what is promoted -----------------------------------------------------------------------------


def test_an_ensemble_is_promoted_as_a_whole_with_its_manifest(ready: Repository) -> None:
    result = promote(ready, *ENS)
    assert result.code == 0, result.out
    value = result.json
    assert (value["verdict"], value["written"], value["ensemble"]) == ("verified", True, "ens")
    assert value["flipped"] == ["ens_seed0", "ens_seed1", "ens_seed2"]
    lines = value["diff"].splitlines()
    assert [x for x in lines if x[:1] in "+-" and x[:3] not in ("+++", "---")] == [
        '-  "smoke": true',
        '+  "smoke": false',
        *['-      "smoke": true', '+      "smoke": false'] * 3,
    ]
    assert value["diff"].index("model/ens.json") < value["diff"].index("model/registry.json")
    rows = json.loads(ready.registry.read_text())["models"]
    assert [row["id"] for row in rows if row["smoke"]] == ["single", "beside"]
    assert json.loads(ready.path("ens.json").read_text())["smoke"] is False
    assert ready.check().exit_code == 0
    before = files(ready)
    again = shown(ready, *ENS)
    assert again == "OK: ens, 3 rows: already production, with complete evidence\n"
    assert files(ready) == before


def test_a_single_row_is_promoted(ready: Repository) -> None:
    before = files(ready)
    assert promote(ready, "single").code == 0
    after = files(ready)
    assert [name for name in after if before[name] != after[name]] == ["model/registry.json"]
    assert json.loads(ready.registry.read_text())["models"][3]["smoke"] is False
    assert ready.check().exit_code == 0


def test_a_manifest_without_the_flag_is_not_edited(ready: Repository) -> None:
    edit("ens.json", "smoke")(ready)
    before = ready.path("ens.json").read_bytes()
    assert promote(ready, *ENS).code == 0
    assert ready.path("ens.json").read_bytes() == before


def test_a_half_promoted_ensemble_is_completed(ready: Repository) -> None:
    edit("ens.json", "smoke", to=False)(ready)
    in_row(0, "smoke", to=False)(ready)
    done = provenance.promote(ready.config, ensemble="ens")
    assert done.verdict is provenance.Verdict.VERIFIED
    assert done.flipped == ("ens_seed1", "ens_seed2")
    assert ready.check().exit_code == 0


def test_a_dry_run_shows_the_difference_and_writes_nothing(ready: Repository) -> None:
    before = files(ready)
    out = shown(ready, *ENS, "--dry-run")
    assert out.count('+      "smoke": false') == 3
    assert out.endswith("OK: ens, 3 rows can be promoted; nothing was written\n")
    assert files(ready) == before


def test_errors_in_other_rows_do_not_matter(ready: Repository) -> None:
    in_row(4, "license")(ready)
    assert ready.check().exit_code == 1
    assert promote(ready, *ENS).code == 0
    assert promote(ready, "beside").code == 1


def test_other_deferred_findings_stay_deferred_and_are_counted(ready: Repository) -> None:
    for index in range(3):
        in_row(index, "license", to="My-Own")(ready)
    defer(ready, ("LIC204", ["ens_seed*"]))
    assert shown(ready, *ENS).splitlines()[-1] == "PROMOTED: ens, 3 rows; 3 findings deferred"


# --- what is refused ------------------------------------------------------------------------------

SEED = "ens_seed1"
HOLD = {"ensemble_id": "ens", "verdict": "HOLD", "gate": {}}


def add_an_unlisted_member(repository: Repository) -> None:
    digest = sha256(repository.path("beside.onnx").read_bytes())
    repository.write("beside.json", {"id": "beside", "ensemble_id": "ens", "sha256": digest})


def share_a_member_with_another_ensemble(repository: Repository) -> None:
    manifest = json.loads(repository.path("ens.json").read_text())
    digest = sha256(repository.path("beside.onnx").read_bytes())
    beside = {"id": "beside", "onnx": "beside.onnx", "sha256": digest}
    members = [manifest["members"][0], beside]
    repository.write("other.json", {"id": "other", "members": members})


def repeat_a_key(repository: Repository) -> None:
    repository.edit_registry('"schema_version": 1', '"schema_version": 1, "schema_version": 1')


OBSTACLES: dict[str, tuple[Spoil, str]] = {
    "sidecar of other bytes": (edit(f"{SEED}.json", "sha256", to="0" * 64), "SID404"),
    "sidecar without digest": (edit(f"{SEED}.json", "sha256"), "SID404"),
    "no sidecar": (lambda r: r.path(f"{SEED}.json").unlink(), "SID401"),
    "verdict put on hold by hand": (edit(VERDICT, "verdict", to="HOLD"), "ENS511"),
    "verdict on hold": (edit(VERDICT, to=HOLD), "ENS513"),
    "refuted verdict": (edit(VERDICT, "gate", "per_seed_plccs", "1", to=0.5), "ENS511"),
    "no verdict": (lambda r: r.path(VERDICT).unlink(), "ENS510"),
    "verdict without corpus": (edit(VERDICT, "corpus", "sha256"), "ENS514"),
    "manifest of another width": (edit("ens.json", "codec_vocab", to=["x264"]), "ENS507"),
    "sidecar of another width": (edit(f"{SEED}.json", "feature_order", to=["f"]), "SID403"),
    "sidecar of a placeholder": (edit(f"{SEED}.json", "smoke", to=True), "SID408"),
    "no license": (in_row(1, "license"), "LIC201"),
    "no license URL": (in_row(1, "license_url"), "LIC202"),
    "no bundle": (in_row(1, "sigstore_bundle"), "LIC203"),
    "unknown license": (in_row(1, "license", to="My-Own"), "LIC204"),
    "other bytes": (lambda r: r.write(f"{SEED}.onnx", model(salt=99)), "ART302"),
    "no model": (lambda r: r.path(f"{SEED}.onnx").unlink(), "ART301"),
    "opset": (in_row(1, "opset", to=3), "ART310"),
    "member that no row ships": (edit("registry.json", "models", 1), "ENS501"),
    "size": (edit("ens.json", "ensemble_size", to=7), "ENS505"),
    "no members": (edit("ens.json", "members", to=[]), "ENS503"),
    "two rows with one id": (in_row(4, "id", to=SEED), "REG102"),
    "member that is not listed": (add_an_unlisted_member, "ENS503"),
    "member of another ensemble": (share_a_member_with_another_ensemble, "ENS510"),
    "repeated key": (repeat_a_key, "REG103"),
}


@pytest.mark.parametrize(("spoil", "code"), OBSTACLES.values(), ids=OBSTACLES)
def test_an_ensemble_with_an_obstacle_is_refused(
    ready: Repository, spoil: Spoil, code: str
) -> None:
    spoil(ready)
    assert code in {f["code"] for f in refused(ready, *ENS).json["findings"]}
    out = shown(ready, *ENS, code=1)
    assert code in out
    assert out.splitlines()[-1].startswith("REFUSED: ens")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (edit("single.json", "gate"), "records no gate"),
        (edit("single.json", "gate", "verdict", to="HOLD"), "is 'HOLD'"),
        (edit("single.json", "gate", "mean_plcc", to=0.5), "0.5 fails"),
        (edit("single.json", "gate", to={"verdict": "PROMOTE"}), "does not record a number"),
    ],
)
def test_a_single_model_whose_gate_did_not_pass_is_refused_with_one_message(
    ready: Repository, spoil: Spoil, message: str
) -> None:
    spoil(ready)
    result = refused(ready, "single")
    missing, findings = result.json["missing"], result.json["findings"]
    said = [found["message"] for found in (*missing, *findings) if message in found["message"]]
    assert len(said) == 1, result.out
    assert all(m["rows"] == ["single"] and m["help"] for m in missing)


def test_production_without_complete_evidence_is_a_failure(ready: Repository) -> None:
    in_row(3, "smoke", to=False)(ready)
    edit("single.json", "gate")(ready)
    out = shown(ready, "single", code=1)
    assert "single: its sidecar model/single.json records no gate" in out
    last = "FAILED: single: already production, without complete evidence"
    assert out.splitlines()[-1] == last


def test_a_seed_of_an_ensemble_without_a_manifest_is_refused(ready: Repository) -> None:
    edit("single.json", "ensemble_id", to="x")(ready)
    assert refused(ready, "single").codes == [("SID407", "single")]


def test_a_deferral_covers_no_obstacle(ready: Repository) -> None:
    edit("ens.json", "codec_vocab", to=["x264"])(ready)
    defer(ready, ("ENS507", ["ens"]))
    assert ready.check().exit_code == 0
    said = " ".join(shown(ready, *ENS, code=1).split())
    assert "ens_seed0, ens_seed1, ens_seed2: `codec_vocab` has 1 entries" in said
    assert said.count("`codec_vocab` has 1 entries") == 1


@pytest.mark.parametrize(
    ("spoil", "args", "messages"),
    [
        (None, [SEED], ["a member of the ensemble 'ens'", "promote --ensemble ens"]),
        (None, ["--ensemble", "en"], ["has the id 'en'", "Did you mean 'ens'?"]),
        (None, ["--ensemble", "zzzzz"], ["has the id 'zzzzz'", "Ensembles are: ens."]),
        (None, ["singel"], ["no row with the id 'singel'", "Did you mean 'single'?"]),
        (None, [], ["give either rows, or --ensemble"]),
        (None, ["single", *ENS], ["give either rows, or --ensemble"]),
        (edit("ens.json", "id"), [SEED], ["Give model/ens.json an `id`"]),
        (
            lambda r: r.write("copy.json", r.path("ens.json").read_bytes()),
            [*ENS],
            ["several ensemble manifests have the id 'ens'"],
        ),
        (lambda r: r.path("ens.json").unlink(), [*ENS], ["There are no manifests."]),
    ],
)
def test_rows_or_an_ensemble_that_cannot_be_promoted_are_an_error(
    ready: Repository, spoil: Spoil | None, args: list[str], messages: list[str]
) -> None:
    if spoil is not None:
        spoil(ready)
    before = files(ready)
    result = promote(ready, *args)
    assert (result.code, result.out) == (2, "")
    assert all(message in result.err for message in messages), result.err
    assert files(ready) == before


def test_an_ensemble_without_members_is_nothing_to_promote(ready: Repository) -> None:
    ready.write("beside.json", {"id": "beside", "ensemble_id": "none", "sha256": "0" * 64})
    ready.write("none.json", {"id": "none", "members": []})
    defer(ready, ("ENS503", ["beside"]), ("SID402", ["beside"]))
    out = shown(ready, "--ensemble", "none", code=3)
    assert out == "NOTHING TO PROMOTE: no row has a member of none\n"


# --- ADR-1105 -------------------------------------------------------------------------------------


def test_the_release_candidate_of_adr_1105_is_not_promoted(candidate: Workspace) -> None:
    before = candidate.snapshot()
    result = run_cli("promote", "--ensemble", ENSEMBLE, "--format", "json", cwd=candidate.root)
    assert result.code == 1
    assert {(code, row) for code, row in result.codes} == {("SID404", seed) for seed in SEEDS}
    assert candidate.snapshot() == before


def test_after_the_retrain_the_ensemble_is_promoted_and_the_deferral_must_go(
    retrained: Workspace,
) -> None:
    (retrained.root / "provenance.toml").write_text(CONFIG + DEFERRAL)
    assert codes(retrained.check()) == ["DEF901"]
    result = run_cli("promote", "--ensemble", ENSEMBLE, cwd=retrained.root)
    assert result.code == 0
    said = " ".join(result.out.split())
    assert "deferrals to remove provenance.toml:7: SID402 no longer occurs for" in said
    assert said.endswith(f"PROMOTED: {ENSEMBLE}, 5 rows")
    rows = json.loads(retrained.registry.read_text())["models"]
    assert {row["smoke"] for row in rows if row["id"] in SEEDS} == {False}
    assert codes(retrained.check()) == ["DEF901"]
    retrained.remove_deferrals()
    assert retrained.check().exit_code == 0
    retrained.release()
    assert retrained.verify().exit_code == 0


def test_a_stale_deferral_of_another_row_is_not_named(retrained: Workspace) -> None:
    stale = DEFERRAL.replace("fr_regressor_v2_ensemble_v1_seed*", "quality_regressor_q_v1")
    (retrained.root / "provenance.toml").write_text(CONFIG + stale)
    assert codes(retrained.check()) == ["DEF901"]
    result = run_cli("promote", "--ensemble", ENSEMBLE, cwd=retrained.root)
    assert result.code == 0
    assert "deferrals to remove" not in result.out


# --- with a baseline ------------------------------------------------------------------------------

HEAD = (*ENS, "--baseline", "git:HEAD")


@pytest.fixture
def committed(tmp_path: Path) -> Repository:
    """Committed seeds that say smoke, with the evidence for production and external data."""
    repository = production(tmp_path / "repository")
    for index in range(3):
        in_row(index, "smoke", to=True)(repository)
    edit("ens.json", "smoke", to=True)(repository)
    GitRepository.init(repository.root).commit()
    return repository


def replace_weights(repository: Repository) -> None:
    """Replace the weights of a seed, and update their digest in its row."""
    repository.write("s2.onnx.data", data(24, salt=77))
    assert run_cli("hash", "--write", "--accept", "s2", cwd=repository.root).code == 0


@pytest.mark.parametrize("configured", [True, False])
def test_weights_that_were_replaced_since_the_baseline_are_not_promoted(
    committed: Repository, configured: bool
) -> None:
    replace_weights(committed)
    if configured:
        path = committed.root / "provenance.toml"
        path.write_text(f'baseline = "git:HEAD"\n{path.read_text()}')
    args = ENS if configured else HEAD
    assert refused(committed, *args).codes == [("BAS803", "s2")]
    assert "REFUSED: ens, 3 rows" in shown(committed, *args, code=1)


def test_without_a_baseline_a_note_names_the_weights_that_only_the_row_claims(
    committed: Repository,
) -> None:
    replace_weights(committed)
    said = " ".join(shown(committed, *ENS, "--dry-run").split())
    paths = [f"model/s{seed}.onnx.data" for seed in range(3)]
    assert "only the row claims that model/s0…2.onnx.data holds the evaluated weights" in said
    assert promote(committed, *ENS, "--dry-run").json["unvouched"] == paths
    digests = {"s0.onnx.data": sha256(committed.path("s0.onnx.data").read_bytes())}
    edit("s0.json", "external_data_sha256", to=digests)(committed)
    assert promote(committed, *ENS, "--dry-run").json["unvouched"] == paths[1:]


def test_an_unchanged_ensemble_is_promoted_against_its_baseline(committed: Repository) -> None:
    result = promote(committed, *HEAD)
    assert (result.code, result.json["unvouched"], result.codes) == (0, [], [])
    checked = run_cli("check", "--baseline", "git:HEAD", cwd=committed.root)
    assert checked.code == 0, checked.out


def test_an_obstacle_is_reported_once_with_a_baseline_too(committed: Repository) -> None:
    edit("ens_PROMOTE.json", "verdict", to="HOLD")(committed)
    assert "BAS804" not in refused(committed, *HEAD).out


def test_the_loss_of_a_field_is_an_obstacle(committed: Repository) -> None:
    in_row(1, "kind")(committed)
    assert {row for _, row in refused(committed, *HEAD).codes} == {"s1"}


def test_a_missing_baseline_is_an_error(committed: Repository) -> None:
    before = files(committed)
    result = promote(committed, *ENS, "--baseline", "git:nowhere")
    assert (result.code, result.out, files(committed)) == (4, "", before)
