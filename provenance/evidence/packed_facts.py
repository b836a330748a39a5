# SPDX-License-Identifier: Apache-2.0
"""Pack the facts of rows into short JSON values, without what follows from the row itself.

Thousands of rows are sent between processes. The general serialization (`gate/wire.py`) would take
a quarter of the time that judging them takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from provenance.artifacts.digest import is_sha256
from provenance.artifacts.paths import FileProblem
from provenance.evidence.facts import FileFacts, ModelFacts, RowFacts, SignatureResult
from provenance.registry.registry import Registry
from provenance.registry.rows import Row
from provenance.runtime.run import Outcome


class FactsError(ValueError):
    """The values are not valid facts of the row."""


def pack(facts: RowFacts, registry: Registry, signatures: int) -> list[Any]:
    """Return the facts as JSON values. `signatures` is the index of their signatures in a list."""
    onnx = facts.row.onnx
    return [
        [_file(file, onnx, registry) for file in facts.model_files],
        [_file(file, onnx, registry) for file in facts.sidecars],
        [_file(file, onnx, registry) for file in facts.bundle],
        [_file(file, onnx, registry) for file in facts.attestation],
        facts.is_seed,
        facts.manifest,
        facts.ensemble,
        facts.named,
        facts.misses_a_model,
        facts.origin,
        signatures,
        facts.signed_deferrals,
        facts.signed_subjects,
        facts.absent,
    ]


def unpack(
    value: object,
    row: Row,
    registry: Registry,
    signatures: Sequence[tuple[SignatureResult, ...]],
    texts: Mapping[str, str],
) -> RowFacts:
    """Return the facts of a row in `value`, sharing equal names and digests with `texts`.

    Raises:
        FactsError: If the value does not have the form that `pack` returns.
    """
    try:
        return _unpacked(value, row, registry, signatures, texts)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as e:
        raise FactsError(f"not valid facts of row {row.index}: {e}"[:200]) from e


def _unpacked(
    value: Any,
    row: Row,
    registry: Registry,
    signatures: Sequence[tuple[SignatureResult, ...]],
    texts: Mapping[str, str],
) -> RowFacts:
    files, beside, bundles, attestations, *rest = value
    is_seed, manifest, ensemble, named, misses, origin, number, deferrals, subjects, absent = rest
    for flag in (is_seed, misses):
        if not isinstance(flag, bool):
            raise TypeError("expected a boolean")
    for text in (manifest, ensemble, named):
        if not (text is None or isinstance(text, str)):
            raise TypeError("expected a string")
    if not (origin is None or isinstance(origin, dict)) or number < 0:
        raise TypeError("expected an object")
    if deferrals is not None and not all(isinstance(each, dict) for each in deferrals):
        raise TypeError("expected objects")
    if not all(isinstance(each, str) for each in (*subjects, *absent)):
        raise TypeError("expected strings")

    def facts(files: Sequence[Any]) -> tuple[FileFacts, ...]:
        return tuple([_facts(file, row.onnx, registry, texts) for file in files])

    model_files = facts(files)
    models = tuple(file for file in model_files if isinstance(file, ModelFacts))
    return RowFacts(
        row=row,
        models=models,
        model_files=models if len(models) == len(model_files) else model_files,
        sidecars=facts(beside),
        bundle=facts(bundles),
        attestation=facts(attestations),
        is_seed=is_seed,
        manifest=manifest,
        ensemble=ensemble,
        named=named,
        misses_a_model=misses,
        origin=origin,
        signatures=signatures[number],
        signed_deferrals=None if deferrals is None else tuple(deferrals),
        signed_subjects=tuple(subjects),
        absent=tuple(absent),
    )


_PLAIN: Final = 3
_KNOWN: Final = 5


def _file(file: FileFacts, onnx: str | None, registry: Registry) -> list[Any]:
    """Pack a file: name, digest, size; a problem or unexpected path; the fields of a model.

    The name is left out if it is `onnx`, that of the row's model.
    """
    name = None if file.name == onnx else file.name
    packed = [name, file.sha256, file.size]
    path = None if file.path == registry.absolute(file.name) else file.path
    is_model = isinstance(file, ModelFacts)
    if file.problem is not None or path is not None or is_model:
        packed += [file.problem.name if file.problem else None, path]
    if isinstance(file, ModelFacts):
        outcome = file.outcome.name if file.outcome else None
        packed += [file.parsed, file.lacks_data, outcome, file.runtime]
    return packed


def _facts(value: Any, onnx: str | None, registry: Registry, texts: Mapping[str, str]) -> FileFacts:
    if len(value) > _KNOWN:
        return _model(value, onnx, registry, texts)
    return FileFacts(*_parts(value, onnx, registry, texts))


def _parts(
    value: Any, onnx: str | None, registry: Registry, texts: Mapping[str, str]
) -> tuple[Any, ...]:
    name, sha256, size, *more = value
    if len(more) not in (0, _KNOWN - _PLAIN):
        raise ValueError("unexpected number of values")
    problem, path = more or (None, None)
    name = onnx if name is None else name
    if not isinstance(name, str) or not (path is None or isinstance(path, str)):
        raise TypeError("expected a string")
    if not (sha256 is None or is_sha256(sha256)) or not (size is None or type(size) is int):
        raise TypeError("expected a digest and a size")
    known = None if problem is None else FileProblem[problem]
    path = path or registry.absolute(name)
    kept = None if sha256 is None else texts.get(sha256, sha256)
    return path, texts.get(name, name), kept, size, known


def _model(
    value: Any, onnx: str | None, registry: Registry, texts: Mapping[str, str]
) -> ModelFacts:
    parsed, lacks_data, outcome, runtime = value[_KNOWN:]
    if not (isinstance(parsed, bool) and isinstance(lacks_data, bool)):
        raise TypeError("expected a boolean")
    if not (runtime is None or isinstance(runtime, str)):
        raise TypeError("expected a string")
    ran = None if outcome is None else Outcome[outcome]
    path, name, sha256, size, problem = _parts(value[:_KNOWN], onnx, registry, texts)
    return ModelFacts(path, name, sha256, size, problem, parsed, lacks_data, ran, runtime)
