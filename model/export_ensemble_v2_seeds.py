# SPDX-License-Identifier: Apache-2.0
"""Export the five members of fr_regressor_v2_ensemble_v1, or the whole reference registry.

Weights and the records that describe them are made in one run and written together, because a
record that was made in another run than its weights is how a registry starts to lie.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import onnx
from companions import export_companions
from corpus import CURRENT, FORMER, VOCABULARIES, production_corpus
from documents import ENSEMBLE_ID, SEEDS, seed_id, sha256
from ensemble import Export, ExportError, export_production, export_smoke
from registry_file import REGISTRY_NAME, read_rows, reference_registry, renew_digests

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1

_FAILURES: Final = (
    ExportError,
    OSError,
    UnicodeDecodeError,
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
)

_EPILOG: Final = """\
examples:
  # the production run: gate, weights, sidecars, manifest and verdict together
  python model/export_ensemble_v2_seeds.py

  # placeholder weights of the right width; sidecars and verdict are left as they are
  python model/export_ensemble_v2_seeds.py --smoke --out /tmp/registry

  # rebuild every generated file of this folder, byte for byte
  python model/export_ensemble_v2_seeds.py --reference

  # the corpus itself, to compare with the digest in a sidecar
  python model/export_ensemble_v2_seeds.py --corpus corpus.jsonl

  # the production run as the step `export` of a release, with its in-toto link
  python model/export_ensemble_v2_seeds.py --link-dir links --link-key file:builder.key

Only the digests in DIR/registry.json are updated. The exporter never flips the smoke flag of a row:
use `provenance promote`, which checks the evidence.
exit status: 0 done, 1 failed or the gate says HOLD, 2 wrong usage.
"""


def _progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def write_together(folder: Path, files: Mapping[str, bytes], remove: Sequence[str] = ()) -> None:
    """Write every file beside its place, then move them all, the registry last.

    No file is ever half written, and a full disk changes nothing. A crash among the moves leaves
    old and new files side by side, whose digests disagree; the same command again finishes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(files, key=lambda name: (name == REGISTRY_NAME, name))
    staged = {name: folder / f".{name}.{os.getpid()}.tmp" for name in names}
    try:
        for name, place in staged.items():
            with place.open("wb") as stream:
                stream.write(files[name])
                stream.flush()
                os.fsync(stream.fileno())
        for name, place in staged.items():
            os.replace(place, folder / name)
    finally:
        for place in staged.values():
            place.unlink(missing_ok=True)
    for name in remove:
        (folder / name).unlink(missing_ok=True)


def export_reference() -> Export:
    """The state that ADR-1105 decided, all of it.

    Production records of the former vocabulary, smoke weights of the current one over the
    production weights, rows that say smoke, and two companions in good order.
    """
    former = export_production(FORMER, _progress)
    smoke = export_smoke(CURRENT, _progress)
    companions = export_companions(_progress)
    files = former.files | smoke.files
    for companion in companions:
        files |= companion.files
    files[REGISTRY_NAME] = reference_registry(smoke.weights, companions)
    return Export(files, smoke.weights, former.remove, former.gate)


def export_members(folder: Path, vocabulary: str, *, smoke: bool) -> Export:
    """One run of the ensemble, with the digests of the folder's registry renewed if it has one."""
    path = folder / REGISTRY_NAME
    seeds = [seed_id(seed) for seed in SEEDS]
    before = read_rows(path.read_bytes(), seeds) if path.exists() else None
    run = export_smoke if smoke else export_production
    export = run(VOCABULARIES[vocabulary], _progress)
    if before is not None:
        digests = {seed_id(seed): sha256(content) for seed, content in export.weights.items()}
        export.files[REGISTRY_NAME] = renew_digests(*before, digests)
    return export


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=f"Train and export the members of {ENSEMBLE_ID}, with their records.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--smoke",
        action="store_true",
        help="one epoch on a synthetic corpus: only the weights and the manifest are written",
    )
    mode.add_argument(
        "--reference",
        action="store_true",
        help="rebuild the whole reference registry in DIR, registry.json included",
    )
    mode.add_argument(
        "--corpus",
        type=Path,
        metavar="FILE",
        help="write the production corpus as JSON lines to FILE, and stop",
    )
    parser.add_argument(
        "--vocab",
        choices=sorted(VOCABULARIES),
        help="codec vocabulary: former (14 columns) or current (6 columns); default current",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).resolve().parent,
        metavar="DIR",
        help="registry folder to write to (default: the folder of this script)",
    )
    parser.add_argument(
        "--link-dir",
        type=Path,
        metavar="LINKS",
        help="record this as the step export: write its in-toto link into LINKS (needs provenance)",
    )
    parser.add_argument(
        "--link-key",
        default=os.environ.get("PROVENANCE_LINK_KEY"),
        metavar="URI",
        help="the key that signs the link, such as file:builder.key; also PROVENANCE_LINK_KEY",
    )
    return parser


@contextmanager
def recorded(folder: Path, links: Path | None, key: str | None) -> Iterator[Callable[[bool], None]]:
    """What is done inside is the step `export` of the release that `folder` is part of.

    With `links`, its link is written there. What is given says whether the step succeeded; where it
    did not, or something was raised, nothing is written.
    """
    if links is None:
        yield lambda _succeeded: None
        return
    import provenance

    try:
        config = provenance.load_config(folder)
        with provenance.record_step("export", config, links, key or "") as step:
            yield step.succeeded
    except provenance.ProvenanceError as error:
        raise ExportError(
            f"{error.message}; {error.help}" if error.help else error.message
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the exporter; the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.vocab and (options.reference or options.corpus):
        parser.error("--vocab has no meaning with --reference or --corpus: leave it out")
    if bool(options.link_dir) > bool(options.link_key):
        parser.error(
            "--link-dir: no key to sign the link with: give --link-key, or set PROVENANCE_LINK_KEY"
        )
    if options.link_dir and options.corpus:
        parser.error("--link-dir has no meaning with --corpus: leave it out")
    try:
        if options.out.exists() and not options.out.is_dir():
            raise ExportError(f"--out {options.out}: found a file, expected a folder; name another")
        if options.corpus:
            write_together(
                options.corpus.parent, {options.corpus.name: production_corpus().jsonl()}
            )
            return EXIT_OK
        with recorded(options.out, options.link_dir, options.link_key) as succeeded:
            if options.reference:
                export = export_reference()
            else:
                vocabulary = options.vocab or CURRENT.name
                export = export_members(options.out, vocabulary, smoke=options.smoke)
            write_together(options.out, export.files, export.remove)
            succeeded(export.gate is None or export.gate.passed)
    except _FAILURES as error:
        action = "cannot read or write the export: " if isinstance(error, OSError) else ""
        print(f"error: {action}{error}", file=sys.stderr)
        return EXIT_FAILED
    _progress(f"wrote {len(export.files)} files to {options.out}")
    if export.gate is not None and not export.gate.passed:
        print(
            f"error: the gate says HOLD (mean PLCC {export.gate.mean_plcc:.4f}, spread "
            f"{export.gate.spread:.4f}, failing seeds {export.gate.failing_seeds}); the files "
            "say so too, and these weights must not be promoted",
            file=sys.stderr,
        )
        return EXIT_FAILED
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
