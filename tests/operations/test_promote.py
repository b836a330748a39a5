# SPDX-License-Identifier: Apache-2.0
"""`promote` flips `smoke` on complete evidence, and refuses on anything less."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.operations.workspace import CONFIG, DEFERRAL, SEEDS, Workspace
from tests.support.command import Result, run_cli
from tests.support.git import GitRepository
from tests.support.models import data, model
from tests.support.production import production
from tests.support.repository import Repository, codes, sha256

Spoil = Callable[[Repository], object]

ENSEMBLE = "fr_regressor_v2_ensemble_v1"
VERDICT = "ens_seed_flip_PROMOTE.json"


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


def files(repository: Repository) -> dict[str, bytes]:
    return {
        p.relative_to(repository.root).as_posix(): p.read_bytes()
        for p in repository.root.rglob("*")
        if p.is_file()
    }


def promote(repository: Repository, *args: str) -> Result:
    return run_cli("promote", *args, "--format", "json", cwd=repository.root)


def smoke(repository: Repository) -> dict[str, bool]:
    rows = json.loads(repository.registry.read_text())["models"]
    return {row["id"]: row["smoke"] for row in rows}


def removed_and_added(diff: str) -> list[str]:
    return [x for x in diff.splitlines() if x[:1] in "+-" and not x.startswith(("+++", "---"))]


def test_an_ensemble_is_promoted_as_a_whole_with_its_manifest(ready: Repository) -> None:
    result = promote(ready, "--ensemble", "ens")
    assert result.code == 0, result.out
    value = result.json
    assert (value["verdict"], value["written"], value["ensemble"]) == ("verified", True, "ens")
    assert value["flipped"] == ["ens_seed0", "ens_seed1", "ens_seed2"]
    assert removed_and_added(value["diff"]) == [
        '-  "smoke": true',
        '+  "smoke": false',
        *['-      "smoke": true', '+      "smoke": false'] * 3,
    ]
    assert value["diff"].index("model/ens.json") < value["diff"].index("model/registry.json")
    assert [id for id, value in smoke(ready).items() if value] == ["single", "beside"]
    assert json.loads(ready.path("ens.json").read_text())["smoke"] is False
    assert ready.check().exit_code == 0


def test_a_single_row_is_promoted(ready: Repository) -> None:
    before = files(ready)
    assert promote(ready, "single").code == 0
    after = files(ready)
    assert [name for name in after if before[name] != after[name]] == ["model/registry.json"]
    assert not smoke(ready)["single"]
    assert ready.check().exit_code == 0


def test_a_manifest_that_says_nothing_is_left_as_it_is(ready: Repository) -> None:
    edit("ens.json", "smoke")(ready)
    before = ready.path("ens.json").read_bytes()
    assert promote(ready, "--ensemble", "ens").code == 0
    assert ready.path("ens.json").read_bytes() == before


def test_an_ensemble_that_was_promoted_by_half_is_completed(ready: Repository) -> None:
    edit("ens.json", "smoke", to=False)(ready)
    in_row(0, "smoke", to=False)(ready)
    assert promote(ready, "--ensemble", "ens").json["flipped"] == ["ens_seed1", "ens_seed2"]
    assert ready.check().exit_code == 0


def test_a_dry_run_shows_and_writes_nothing(ready: Repository) -> None:
    before = files(ready)
    result = run_cli("promote", "--ensemble", "ens", "--dry-run", cwd=ready.root)
    assert result.code == 0
    assert result.out.count('+      "smoke": false') == 3
    assert result.out.endswith("OK: ens, 3 rows can be promoted; nothing was written\n")
    assert files(ready) == before


def test_to_promote_twice_changes_nothing_and_is_no_failure(ready: Repository) -> None:
    assert promote(ready, "--ensemble", "ens").code == 0
    before = files(ready)
    again = run_cli("promote", "--ensemble", "ens", cwd=ready.root)
    assert again.code == 0
    assert again.out == "OK: ens, 3 rows: already production, with complete evidence\n"
    assert files(ready) == before


def test_production_without_complete_evidence_is_a_failure_though_nothing_is_to_be_done(
    ready: Repository,
) -> None:
    in_row(3, "smoke", to=False)(ready)
    edit("single.json", "gate")(ready)
    result = run_cli("promote", "single", cwd=ready.root)
    assert result.code == 1
    assert "single: its sidecar model/single.json records no gate" in result.out
    last = result.out.splitlines()[-1]
    assert last == "FAILED: single: already production, without complete evidence"


SEEDS_SPOILED: dict[str, tuple[Spoil, str]] = {
    "sidecar of other bytes": (edit("ens_seed1.json", "sha256", to="0" * 64), "SID404"),
    "sidecar without digest": (edit("ens_seed1.json", "sha256"), "SID404"),
    "no sidecar": (lambda r: r.path("ens_seed1.json").unlink(), "SID401"),
    "verdict put on hold by hand": (edit(VERDICT, "verdict", to="HOLD"), "ENS511"),
    "verdict on hold": (
        edit(VERDICT, to={"ensemble_id": "ens", "verdict": "HOLD", "gate": {}}),
        "ENS513",
    ),
    "verdict that its numbers refute": (
        edit(VERDICT, "gate", "per_seed_plccs", "1", to=0.5),
        "ENS511",
    ),
    "no verdict": (lambda r: r.path(VERDICT).unlink(), "ENS510"),
    "verdict without corpus": (edit(VERDICT, "corpus", "sha256"), "ENS514"),
    "manifest of another width": (edit("ens.json", "codec_vocab", to=["x264"]), "ENS507"),
    "sidecar of another width": (edit("ens_seed1.json", "feature_order", to=["f"]), "SID403"),
    "sidecar of a placeholder": (edit("ens_seed1.json", "smoke", to=True), "SID408"),
    "no license": (in_row(1, "license"), "LIC201"),
    "no license URL": (in_row(1, "license_url"), "LIC202"),
    "no bundle": (in_row(1, "sigstore_bundle"), "LIC203"),
    "license that is none": (in_row(1, "license", to="My-Own"), "LIC204"),
    "other bytes": (lambda r: r.write("ens_seed1.onnx", model(salt=99)), "ART302"),
    "no model": (lambda r: r.path("ens_seed1.onnx").unlink(), "ART301"),
    "opset": (in_row(1, "opset", to=3), "ART310"),
    "member that no row ships": (edit("registry.json", "models", 1), "ENS501"),
    "size": (edit("ens.json", "ensemble_size", to=7), "ENS505"),
    "two rows with one id": (in_row(4, "id", to="ens_seed1"), "REG102"),
}


@pytest.mark.parametrize("name", SEEDS_SPOILED)
def test_where_a_condition_does_not_hold_nothing_is_written(ready: Repository, name: str) -> None:
    spoil, code = SEEDS_SPOILED[name]
    spoil(ready)
    before = files(ready)
    result = promote(ready, "--ensemble", "ens")
    assert result.code == 1
    assert code in {f["code"] for f in result.json["findings"]}
    assert (result.json["diff"], result.json["written"]) == ("", False)
    assert files(ready) == before
    shown = run_cli("promote", "--ensemble", "ens", cwd=ready.root)
    assert code in shown.out
    assert shown.out.splitlines()[-1].startswith("REFUSED: ens")


def test_a_model_that_says_it_is_a_member_and_is_not_listed_stands_in_the_way(
    ready: Repository,
) -> None:
    content = ready.path("beside.onnx").read_bytes()
    ready.write("beside.json", {"id": "beside", "ensemble_id": "ens", "sha256": sha256(content)})
    result = promote(ready, "--ensemble", "ens")
    assert (result.code, result.json["written"]) == (1, False)
    assert ("ENS503", "beside") in result.codes


SINGLE_SPOILED: dict[str, tuple[Spoil, str]] = {
    "no gate": (edit("single.json", "gate"), "records no gate"),
    "gate on hold": (edit("single.json", "gate", "verdict", to="HOLD"), "is 'HOLD'"),
    "number below": (edit("single.json", "gate", "mean_plcc", to=0.5), "0.5 fails"),
    "no numbers": (
        edit("single.json", "gate", to={"verdict": "PROMOTE"}),
        "does not record a number",
    ),
}


@pytest.mark.parametrize("name", SINGLE_SPOILED)
def test_the_gate_of_a_single_model_stands_in_the_way_and_is_said_once(
    ready: Repository, name: str
) -> None:
    spoil, message = SINGLE_SPOILED[name]
    spoil(ready)
    before = files(ready)
    result = promote(ready, "single")
    assert result.code == 1
    missing, findings = result.json["missing"], result.json["findings"]
    said = [found["message"] for found in (*missing, *findings) if message in found["message"]]
    assert len(said) == 1, result.out
    assert all(m["rows"] == ["single"] and m["help"] for m in missing)
    assert files(ready) == before


def test_a_seed_of_an_ensemble_without_manifest_is_refused(ready: Repository) -> None:
    edit("single.json", "ensemble_id", to="x")(ready)
    result = promote(ready, "single")
    assert (result.code, result.codes) == (1, [("SID407", "single")])


def test_a_deferral_covers_no_condition(ready: Repository) -> None:
    edit("ens.json", "codec_vocab", to=["x264"])(ready)
    ready.rows = json.loads(ready.registry.read_text())["models"]
    ready.defer("ENS507", ["ens"])
    ready.save()
    assert ready.check().exit_code == 0
    result = run_cli("promote", "--ensemble", "ens", cwd=ready.root)
    assert result.code == 1
    said = " ".join(result.out.split())
    assert "ens_seed0, ens_seed1, ens_seed2: `codec_vocab` has 1 entries" in said
    assert said.count("`codec_vocab` has 1 entries") == 1


def test_what_else_is_deferred_stays_deferred_and_is_said(ready: Repository) -> None:
    for index in range(3):
        in_row(index, "license", to="My-Own")(ready)
    ready.rows = json.loads(ready.registry.read_text())["models"]
    ready.defer("LIC204", ["ens_seed*"])
    ready.save()
    result = run_cli("promote", "--ensemble", "ens", cwd=ready.root)
    assert result.code == 0
    assert result.out.splitlines()[-1] == "PROMOTED: ens, 3 rows; 3 findings deferred"


def test_what_is_wrong_with_other_rows_is_not_in_the_way(ready: Repository) -> None:
    in_row(4, "license")(ready)
    assert ready.check().exit_code == 1
    assert promote(ready, "--ensemble", "ens").code == 0
    assert promote(ready, "beside").code == 1


def test_an_ensemble_that_is_flipped_is_not_half_of_another(ready: Repository) -> None:
    manifest = json.loads(ready.path("ens.json").read_text())
    manifest["members"] = [*manifest["members"][:1], {"id": "beside", "onnx": "beside.onnx"}]
    manifest["members"][1]["sha256"] = sha256(ready.path("beside.onnx").read_bytes())
    del manifest["codec_vocab"], manifest["smoke"]
    ready.write("other.json", manifest | {"id": "other"})
    result = promote(ready, "--ensemble", "ens")
    assert result.code == 1
    assert "ENS510" in {code for code, _ in result.codes}


def test_a_registry_with_a_repeated_key_is_not_edited(ready: Repository) -> None:
    ready.edit_registry('"schema_version": 1', '"schema_version": 1, "schema_version": 1')
    before = files(ready)
    result = promote(ready, "--ensemble", "ens")
    assert (result.code, files(ready)) == (1, before)
    assert ("REG103", None) in result.codes


@pytest.mark.parametrize(
    ("args", "message", "help"),
    [
        (["ens_seed1"], "a member of the ensemble 'ens'", "provenance promote --ensemble ens"),
        (["--ensemble", "en"], "has the id 'en'", "Did you mean 'ens'?"),
        (["--ensemble", "zzzzz"], "has the id 'zzzzz'", "Ensembles are: ens."),
        (["singel"], "no row with the id 'singel'", "Did you mean 'single'?"),
        ([], "give either rows, or --ensemble", ""),
        (["single", "--ensemble", "ens"], "give either rows, or --ensemble", ""),
    ],
)
def test_what_cannot_be_promoted_so_is_an_error_that_says_how(
    ready: Repository, args: list[str], message: str, help: str
) -> None:
    before = files(ready)
    result = promote(ready, *args)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert help in result.err
    assert files(ready) == before


def test_an_ensemble_without_an_id_has_to_be_given_one(ready: Repository) -> None:
    edit("ens.json", "id")(ready)
    result = promote(ready, "ens_seed1")
    assert result.code == 2
    assert "Give model/ens.json an `id`" in result.err


def test_two_manifests_with_one_id_are_an_error(ready: Repository) -> None:
    ready.path("copy.json").write_bytes(ready.path("ens.json").read_bytes())
    result = promote(ready, "--ensemble", "ens")
    assert result.code == 2
    assert "several ensemble manifests have the id 'ens'" in result.err


def test_without_a_manifest_there_is_no_ensemble(repository: Repository) -> None:
    repository.add()
    result = promote(repository.save(), "--ensemble", "ens")
    assert result.code == 2
    assert "There are no manifests." in result.err


def test_an_ensemble_that_lists_none_of_its_members_is_refused(ready: Repository) -> None:
    edit("ens.json", "members", to=[])(ready)
    result = promote(ready, "--ensemble", "ens")
    assert (result.code, {code for code, _ in result.codes}) == (1, {"ENS503"})
    shown = run_cli("promote", "--ensemble", "ens", cwd=ready.root).out.splitlines()[-1]
    assert shown == "REFUSED: ens, 0 rows; nothing was written"


def test_an_ensemble_without_members_is_nothing(ready: Repository) -> None:
    claims = {"id": "beside", "ensemble_id": "none", "sha256": "0" * 64}
    ready.write("beside.json", claims)
    ready.write("none.json", {"id": "none", "members": []})
    ready.rows = json.loads(ready.registry.read_text())["models"]
    for code in ("ENS503", "SID402"):
        ready.defer(code, ["beside"])
    ready.save()
    result = run_cli("promote", "--ensemble", "none", cwd=ready.root)
    assert result.code == 3
    assert result.out == "NOTHING TO PROMOTE: no row has a member of none\n"


def test_promoting_is_part_of_the_python_interface(ready: Repository) -> None:
    import provenance

    done = provenance.promote(ready.config, ensemble="ens")
    assert (done.verdict, done.flipped) == (
        provenance.Verdict.VERIFIED,
        ("ens_seed0", "ens_seed1", "ens_seed2"),
    )


# ADR-1105, to its end


def seeds_smoke(workspace: Workspace) -> set[bool]:
    rows = json.loads(workspace.registry.read_text())["models"]
    return {row["smoke"] for row in rows if row["id"] in SEEDS}


def test_the_release_candidate_of_adr_1105_is_not_promoted(candidate: Workspace) -> None:
    before = candidate.snapshot()
    result = run_cli("promote", "--ensemble", ENSEMBLE, "--format", "json", cwd=candidate.root)
    assert result.code == 1
    assert {(code, row) for code, row in result.codes} == {("SID404", seed) for seed in SEEDS}
    assert candidate.snapshot() == before


def test_after_the_retrain_the_ensemble_is_promoted_and_the_deferral_has_to_go(
    retrained: Workspace,
) -> None:
    (retrained.root / "provenance.toml").write_text(CONFIG + DEFERRAL)
    assert codes(retrained.check()) == ["DEF901"]
    result = run_cli("promote", "--ensemble", ENSEMBLE, cwd=retrained.root)
    assert result.code == 0
    said = " ".join(result.out.split())
    assert "deferrals to remove provenance.toml:7: SID402 no longer occurs for" in said
    assert said.endswith(f"PROMOTED: {ENSEMBLE}, 5 rows")
    assert seeds_smoke(retrained) == {False}
    assert codes(retrained.check()) == ["DEF901"]
    retrained.remove_deferrals()
    assert retrained.check().exit_code == 0
    retrained.release()
    assert retrained.verify().exit_code == 0


def test_a_deferral_of_another_row_is_not_named(retrained: Workspace) -> None:
    stale = DEFERRAL.replace("fr_regressor_v2_ensemble_v1_seed*", "quality_regressor_q_v1")
    (retrained.root / "provenance.toml").write_text(CONFIG + stale)
    assert codes(retrained.check()) == ["DEF901"]
    result = run_cli("promote", "--ensemble", ENSEMBLE, cwd=retrained.root)
    assert result.code == 0
    assert "deferrals to remove" not in result.out


def test_a_flip_by_hand_without_evidence_is_caught_by_check(candidate: Workspace) -> None:
    for seed in SEEDS:
        candidate.edit_row(seed, lambda row: row.update(smoke=False))
    assert set(codes(candidate.check())) == {"SID404", "ENS509"}


@pytest.fixture
def committed(tmp_path: Path) -> Repository:
    """Production seeds with weights in external data that say smoke, as the last commit has it."""
    repository = production(tmp_path / "repository")
    for index in range(3):
        in_row(index, "smoke", to=True)(repository)
    edit("ens.json", "smoke", to=True)(repository)
    GitRepository.init(repository.root).commit()
    return repository


def replace_weights(repository: Repository) -> None:
    """Other weights for a seed, with their digest in its row."""
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
    args = ["--ensemble", "ens", *([] if configured else ["--baseline", "git:HEAD"])]
    before = files(committed)
    result = promote(committed, *args)
    assert (result.code, result.codes) == (1, [("BAS803", "s2")])
    assert files(committed) == before
    assert "REFUSED: ens, 3 rows" in run_cli("promote", *args, cwd=committed.root).out


def test_without_a_baseline_it_is_said_that_nothing_ties_the_weights(
    committed: Repository,
) -> None:
    replace_weights(committed)
    args = ("promote", "--ensemble", "ens", "--dry-run")
    said = " ".join(run_cli(*args, cwd=committed.root).out.split())
    paths = [f"model/s{seed}.onnx.data" for seed in range(3)]
    assert "only the row claims that model/s0…2.onnx.data holds the evaluated weights" in said
    assert promote(committed, "--ensemble", "ens", "--dry-run").json["unvouched"] == paths
    tied = {"s0.onnx.data": sha256(committed.path("s0.onnx.data").read_bytes())}
    edit("s0.json", "external_data_sha256", to=tied)(committed)
    assert promote(committed, "--ensemble", "ens", "--dry-run").json["unvouched"] == paths[1:]


def test_an_unchanged_ensemble_is_promoted_against_its_baseline(committed: Repository) -> None:
    result = promote(committed, "--ensemble", "ens", "--baseline", "git:HEAD")
    assert (result.code, result.json["unvouched"], result.codes) == (0, [], [])
    checked = run_cli("check", "--baseline", "git:HEAD", cwd=committed.root)
    assert checked.code == 0, checked.out


def test_what_is_missing_is_said_once_with_a_baseline_too(committed: Repository) -> None:
    edit("ens_PROMOTE.json", "verdict", to="HOLD")(committed)
    result = promote(committed, "--ensemble", "ens", "--baseline", "git:HEAD")
    assert result.code == 1
    assert "BAS804" not in {code for code, _ in result.codes}
    assert result.out.count("BAS804") == 0


def test_the_loss_of_a_field_stands_in_the_way(committed: Repository) -> None:
    in_row(1, "kind")(committed)
    result = promote(committed, "--ensemble", "ens", "--baseline", "git:HEAD")
    assert result.code == 1
    assert {row for _, row in result.codes} == {"s1"}


def test_a_baseline_that_is_not_there_is_an_error(committed: Repository) -> None:
    before = files(committed)
    result = promote(committed, "--ensemble", "ens", "--baseline", "git:nowhere")
    assert (result.code, result.out, files(committed)) == (4, "", before)
