# SPDX-License-Identifier: Apache-2.0
"""`layout`: write a signed in-toto layout, which says who may perform each step of a release."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path

from provenance.artifacts import limits, paths
from provenance.artifacts.inventory import inventory
from provenance.artifacts.paths import Tree
from provenance.attestations import layout as layouts
from provenance.attestations.layout import MOST_REQUIRED, STEPS, FunctionaryKey, Step
from provenance.attestations.layout_documents import need_in_toto
from provenance.config import Config
from provenance.errors import InputError
from provenance.evidence import snapshot
from provenance.evidence.collect import read_rows
from provenance.evidence.collect_pipeline import LayoutRequest
from provenance.evidence.progress import Progress
from provenance.frozen import dataclass
from provenance.operations.load_evidence import load_evidence
from provenance.registry import withdrawn
from provenance.signing import pem
from provenance.signing.functionary import functionary_key, open_functionary
from provenance.signing.key_uris import SIGNER
from provenance.signing.schemes import Ask
from provenance.signing.trust import TrustedKey


@dataclass(frozen=True)
class Layout:
    """A signed layout.

    Attributes:
        data: The bytes of the layout file.
        steps: The steps in order, each with the keys that may perform it.
        expires: When the layout expires, in UTC.
        required: The files that must exist after the last step.
        left_out: The number of files of the registry that `required` omits because they are too
            many.
        signer: The path of the key that signed the layout.
    """

    data: bytes
    steps: tuple[Step, ...]
    expires: str
    required: tuple[str, ...]
    left_out: int
    signer: str


def layout(
    config: Config,
    signer: str,
    *,
    public_key: Path | None = None,
    ask: Ask | None = None,
    progress: Progress | None = None,
) -> Layout:
    """Write the layout of a release of `config`, and sign it with the key that `signer` names.

    For `public_key` and `ask`, see `record_step`.

    Raises:
        InputError: If the registry, a key or the signer cannot be read, a step has no keys, or
            a link cannot contain a file of the release.
        UnavailableError: If the signer fails, or `in-toto` is not installed.
    """
    need_in_toto("provenance layout")
    owner = open_functionary(signer, SIGNER, public_key, ask)
    steps = tuple(_steps(config))
    evidence = load_evidence(config, with_bundles=True)
    registry = evidence.registry
    scope = snapshot.scope_of(config, registry)
    named = snapshot.named_by(registry, read_rows(evidence, progress))
    always = {config.registry}  # the files that name all others
    if config.is_in_root:
        always.add(config.path)
    if evidence.withdrawn is not None and evidence.withdrawn.text is not None:
        always.add(withdrawn.FILE)
    if evidence.summary is not None:
        always.add(evidence.summary.path)
    listed = inventory(evidence.root, scope.folders)
    snapshot.need_seen(snapshot.unseen(scope, listed, always | named))
    required = tuple(sorted(always | (named if len(named) <= MOST_REQUIRED else set())))
    expires = config.layout.expires_at(datetime.datetime.now(datetime.UTC))
    document = layouts.layout(
        steps,
        expires=expires,
        folders=scope.folders,
        bundle_folders=scope.bundle_folders,
        others=scope.others,
        required=required,
    )
    left_out = len({*named} - {*required})
    return Layout(owner.sign(document), steps, expires, required, left_out, owner.public.path)


def layout_request(layout: Path, keys: Sequence[Path], link_dir: Path | None) -> LayoutRequest:
    """Return what `verify` takes: a layout, the keys that must have signed it, and its links.

    Raises:
        InputError: If a key cannot be read.
        UnavailableError: If `in-toto` is not installed.
    """
    need_in_toto("--layout")
    trusted = (t for k in keys for t in TrustedKey.all_of_pem(pem.read_file(k), str(k)))
    read = tuple(functionary_key(t) for t in trusted)
    if not read:
        raise InputError(
            f"no key to verify the signature of the layout {layout} with",
            help="Give the public key of the project's owner: --layout-key owner.pub",
        )
    return LayoutRequest(layout, read, link_dir or layout.parent)


def _steps(config: Config) -> Iterator[Step]:
    """Yield the steps, each with the keys of the step, of all steps, or else of the trust."""
    trusted = tuple(k.path for k in config.trust_table.keys)
    for name in STEPS:
        entry = config.layout.step(name)
        keys = tuple(k for path in entry.keys or trusted for k in _keys(config, path))
        if not keys:
            raise InputError(
                f"{config.path}: no key may perform the step {name!r}",
                help='Add the keys that may: [layout]\nkeys = ["keys/builder.pub"]',
            )
        if len({k.key_id for k in keys}) < entry.threshold:
            raise InputError(
                f"{config.path}: the step {name!r} has a threshold of {entry.threshold}: expected "
                f"as many different keys, found {len({k.key_id for k in keys})}",
                help="Add keys to its [[layout.step]], or lower the threshold.",
            )
        yield Step(name, keys, entry.threshold)


def _keys(config: Config, path: str) -> tuple[FunctionaryKey, ...]:
    try:
        data = Tree.at(config.key_folder).read(path, limits.KEY)
    except paths.FileError as e:
        raise InputError(f"{config.path}: layout key: {e.message}", help=e.help) from e
    return tuple(functionary_key(t) for t in TrustedKey.all_of_pem(data, path))
