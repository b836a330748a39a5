# SPDX-License-Identifier: Apache-2.0
"""The predicate types of this project's statements, and functions that build the predicates.

Each type is documented in docs/predicates/ and has a JSON Schema in `provenance.schemas`. Every
predicate must match its schema before it is signed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from provenance.artifacts.digest import is_sha256, sha256_of
from provenance.artifacts.documents.strict_json import JsonError, parse_object
from provenance.artifacts.onnx_model import OnnxFacts, TensorSpec
from provenance.artifacts.sidecar import Sidecar
from provenance.attestations.signed_row import REGISTRY_ROW, SignedFile
from provenance.attestations.statement import OWN, Statement, StatementError, Subject

SLSA_PROVENANCE: Final = "https://slsa.dev/provenance/v1"
"""The seed attestation (https://slsa.dev/spec/v1.1/provenance)."""

SLSA_SUMMARY: Final = "https://slsa.dev/verification_summary/v1"
"""The release summary (https://slsa.dev/spec/v1.1/verification_summary)."""

SEED_BUILD_TYPE: Final = "https://onnx-provenance.dev/build-types/ensemble-seed/v1"
BUILDER: Final = "https://onnx-provenance.dev/builders/recorded/v1"
VERIFIER: Final = "https://onnx-provenance.dev/verifiers/onnx-provenance/v1"
DEFERRALS_FIELD: Final = "https://onnx-provenance.dev/fields/deferrals"
RELEASE_FIELD: Final = "https://onnx-provenance.dev/fields/release"
REGISTRY_FIELD: Final = "https://onnx-provenance.dev/fields/registry"
WITHDRAWN_FIELD: Final = "https://onnx-provenance.dev/fields/withdrawn"
"""Extension fields of the release summary. SLSA requires that their names are URIs."""

VERIFIED_LEVEL: Final = "ONNX_PROVENANCE_VERIFIED"
"""The verified level in a release summary: every rule passed, or its findings are deferred.

It is not a SLSA level, because this project does not evaluate SLSA build levels, and
`slsa-verifier verify-vsa` reads every `SLSA_*_LEVEL_*` as a number.
"""

_OWN_PLACES: Final = (
    ("predicateType",),
    ("predicate", "buildDefinition", "buildType"),
    ("predicate", "verifier", "id"),
)

IDENTITY_MAPPING: Final = hashlib.sha256(b"{}").hexdigest()
"""The digest of an empty mapping of field names: the registry uses this project's names."""

SCHEMAS: Final[Mapping[str, str]] = {
    REGISTRY_ROW: "registry-row.schema.json",
    SLSA_PROVENANCE: "ensemble-seed.schema.json",
    SLSA_SUMMARY: "release-summary.schema.json",
}


def registry_row(
    row: Mapping[str, Any],
    files: Sequence[SignedFile],
    source: Mapping[str, Any],
    sidecars: Sequence[tuple[Subject, str | None]],
    models: Mapping[str, OnnxFacts],
    deferrals: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the predicate of a row bundle.

    Args:
        row: The canonical row, with `classification`.
        files: All files of the row, as hashed.
        source: The origin of the row, from `row_source`.
        sidecars: Each sidecar of the row, with the digest of the model that it claims to describe.
        models: The facts of each ONNX file of the row, by name.
        deferrals: The deferrals in force for the row, from `Deferral.as_json`.
    """
    return {
        "row": dict(row),
        "files": [
            {
                "name": f.name,
                "role": f.role,
                "declared": dict(f.declared),
                "size": f.size,
                **({} if f.url is None else {"url": f.url}),
            }
            for f in files
        ],
        "source": dict(source),
        "sidecars": [
            described.as_json() | {"describes": claimed} for described, claimed in sidecars
        ],
        "models": {name: _facts(facts) for name, facts in models.items()},
        "deferrals": [dict(d) for d in deferrals],
    }


def row_source(
    index: str, format: str, location: str, verbatim: Mapping[str, Any], mapping: str
) -> dict[str, Any]:
    """Return the origin of a row, for its predicate.

    Args:
        index: The path of the index file, relative to the project's root.
        format: The format of the index file.
        location: The normalized path of the row in it (RFC 9535, section 2.7).
        verbatim: The row as it is in the index file.
        mapping: The digest of the mapping by which it was read.
    """
    return {
        "index": index,
        "format": format,
        "location": location,
        "verbatim": dict(verbatim),
        "mapping": {"sha256": mapping},
    }


def seed_provenance(
    sidecar: Sidecar,
    *,
    described: Subject,
    manifest: Subject,
    verdict: Subject | None,
    gate_verdict: str | None,
) -> dict[str, Any]:
    """Return the predicate of a seed attestation, from the sidecar of the seed.

    Raises:
        StatementError: If the sidecar has no seed or no training recipe, or its corpus has no
            valid path or digest.
    """
    recipe = sidecar.get("training_recipe")
    if sidecar.seed is None:
        raise _not_stated(sidecar, "seed", "a whole number")
    if not isinstance(recipe, dict):
        raise _not_stated(sidecar, "training_recipe", "an object")
    materials = [manifest]
    corpus_path, corpus_sha256 = sidecar.text_at("corpus"), sidecar.get("corpus_sha256")
    if isinstance(sidecar.get("corpus"), dict):
        corpus_path, corpus_sha256 = (sidecar.get("corpus", key) for key in ("path", "sha256"))
    if corpus_path is not None and not isinstance(corpus_path, str):
        raise StatementError(
            f"{sidecar.path}: the path of the corpus is {corpus_path!r:.80}, expected a string"
        )
    corpus_sha256 = sha256_of(corpus_sha256) or corpus_sha256
    if corpus_sha256 is not None and not is_sha256(corpus_sha256):
        found = repr(corpus_sha256)[:80]
        raise StatementError(
            f"{sidecar.path}: the digest of the corpus is {found}, expected a SHA-256"
        )
    if corpus_sha256 is not None:
        materials.insert(0, Subject(corpus_path or "corpus", corpus_sha256))
    byproducts = [described.as_json()]
    if verdict is not None:
        byproducts.append(verdict.as_json() | {"annotations": {"verdict": gate_verdict}})
    return {
        "buildDefinition": {
            "buildType": SEED_BUILD_TYPE,
            "externalParameters": {"seed": sidecar.seed, "trainingRecipe": dict(recipe)},
            "resolvedDependencies": [m.as_json() for m in materials],
        },
        "runDetails": {"builder": {"id": BUILDER}, "byproducts": byproducts},
    }


def _not_stated(sidecar: Sidecar, name: str, form: str) -> StatementError:
    """Return the error that a sidecar lacks a value that its attestation must state."""
    written = sidecar.get(name)
    found = "it is missing" if written is None else f"found {written!r:.80}"
    return StatementError(
        f"{sidecar.path}: the seed attestation needs `{name}`, {form}, but {found}"
    )


def release_summary(
    *,
    resource_uri: str,
    index: str,
    rows: Mapping[str, int],
    policy_path: str,
    policy_sha256: str,
    bundles: Sequence[Subject],
    deferrals: int,
    tool_version: str,
    time_verified: str,
    version: str | None = None,
    previous: str | None = None,
    absent: Sequence[Mapping[str, Any]] = (),
    withdrawn: Sequence[Mapping[str, Any]] = (),
    base: str | None = None,
) -> dict[str, Any]:
    """Return the predicate of a release summary.

    Args:
        resource_uri: The name of the project's registry: an absolute URI, or the name of the
            registry file if no URI is known.
        index: The path of the registry file, relative to the project's root.
        rows: The number of rows by classification.
        policy_path: The path of the configuration file.
        policy_sha256: The digest of the policy.
        bundles: The names and digests of all bundles.
        deferrals: The number of deferred findings.
        tool_version: The version of this project.
        time_verified: RFC 3339, in UTC.
        version: What the publisher calls the release, or None.
        previous: The SHA-256 of the statement of the summary that this one replaces, or None.
        absent: The rows that were not released, because files of theirs were not here: id, and
            name or address and declared digests of each file.
        withdrawn: The models that were withdrawn, in this release or before.
        base: The folder that names are relative to, for a registry of another shape. Its rows are
            read from the row bundles, because a consumer has no mapping.
    """
    release: dict[str, Any] = {} if version is None else {"version": version}
    if previous is not None:
        release["previous"] = {"digest": {"sha256": previous}}
    return {
        "verifier": {"id": VERIFIER, "version": {"onnx-provenance": tool_version}},
        "timeVerified": time_verified,
        "resourceUri": resource_uri,
        "policy": {"uri": policy_path, "digest": {"sha256": policy_sha256}},
        "inputAttestations": [{"uri": b.name, "digest": {"sha256": b.sha256}} for b in bundles],
        "verificationResult": "PASSED",
        "verifiedLevels": [VERIFIED_LEVEL],
        "slsaVersion": "1.1",
        REGISTRY_FIELD: {
            "index": index,
            **({} if base is None else {"base": base}),
            "rows": dict(rows),
            **({"absent": [dict(row) for row in absent]} if absent else {}),
        },
        DEFERRALS_FIELD: {"count": deferrals},
        **({RELEASE_FIELD: release} if release else {}),
        **({WITHDRAWN_FIELD: [dict(entry) for entry in withdrawn]} if withdrawn else {}),
    }


def statement(
    predicate_type: str, subjects: Sequence[tuple[str, str]], predicate: dict[str, Any]
) -> Statement:
    """Return a statement whose predicate matches its schema.

    Raises:
        StatementError: If the predicate does not match its schema.
    """
    for error in _validator(predicate_type).iter_errors(predicate):
        where = "/".join(map(str, error.absolute_path)) or "predicate"
        raise StatementError(f"the predicate does not match its schema: {where}: {error.message}")
    return Statement(tuple(Subject(n, s) for n, s in subjects), predicate_type, predicate)


@cache
def _validator(predicate_type: str) -> Any:
    """Return the validator of a predicate type; a release validates every row with it."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema(predicate_type))


def schema(predicate_type: str) -> dict[str, Any]:
    """Return the JSON Schema of a predicate type in `SCHEMAS`."""
    from importlib import resources

    text = resources.files("provenance.schemas").joinpath(SCHEMAS[predicate_type])
    loaded: dict[str, Any] = json.loads(text.read_text("utf-8"))
    return loaded


def is_seed(statement: Statement) -> bool:
    """Return whether a statement is a seed attestation, not the provenance of another build."""
    definition = statement.predicate.get("buildDefinition")
    kind = definition.get("buildType") if isinstance(definition, dict) else None
    return statement.predicate_type == SLSA_PROVENANCE and kind == SEED_BUILD_TYPE


def claims_to_be_ours(payload: bytes) -> bool:
    """Return whether a statement claims to be from this project, and so must be read strictly."""
    try:
        value = parse_object(payload)
    except JsonError:
        return False
    for place in _OWN_PLACES:
        found: Any = value
        for step in place:
            found = found.get(step) if isinstance(found, dict) else None
        if isinstance(found, str) and found.startswith(OWN):
            return True
    return False


def _facts(facts: OnnxFacts) -> dict[str, Any]:
    return {
        "irVersion": facts.ir_version,
        "opsets": dict(facts.opsets),
        "inputs": [_tensor(t) for t in facts.inputs],
        "outputs": [_tensor(t) for t in facts.outputs],
        "externalData": sorted(r.location for r in facts.external),
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "type": spec.dtype,
        "shape": None if spec.shape is None else list(spec.shape),
    }
