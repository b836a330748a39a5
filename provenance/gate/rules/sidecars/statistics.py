# SPDX-License-Identifier: Apache-2.0
"""SID414, SID416: the statistics that normalise the input, and repeated names in lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from provenance.artifacts.documents.strict_json import JsonPath
from provenance.artifacts.forms import is_names
from provenance.artifacts.onnx_model import TensorSpec
from provenance.artifacts.sidecar import Sidecar
from provenance.evidence.recorded import number, same_statistic
from provenance.evidence.rows import ModelEvidence, RowEvidence
from provenance.gate.finding import Finding
from provenance.gate.rules.base import shown
from provenance.gate.rules.case import Case
from provenance.gate.rules.sidecars.current import ClaimRule, describes_other_bytes, entries
from provenance.gate.rules.sidecars.widths import can_be, is_fixed, refuted_widths

_NUMBERS: Final = frozenset((int, float))
_KINDS: Final = {"feature": True, "input": False}
_EXPORT: Final = "Export the sidecar again with the statistics of the training data."
_LISTS: Final = ("feature_order", "features", "encoder_vocab", "codec_vocab", "codec_block_layout")


class SidecarStatistics(ClaimRule):
    """The mean or the standard deviation in the sidecar cannot normalise the input.

    ## What it does
    Checks `feature_mean`, `feature_std`, `input_mean` and `input_std`. Each must be a list of
    numbers; those of an input may also be a single number or nested lists. Standard deviations must
    be above 0. There must be one number for each feature (or as many as the input is wide), and as
    many means as deviations. If the input is a vector of features, both must be present. The
    sidecar of an int8 variant must have the same statistics as that of its model, because both take
    the same input.

    ## Why it matters
    The consumer computes `(x - mean) / std`. A zero makes every score infinite or NaN. A list that
    is one entry short shifts all features after the gap. Neither raises an error.

    ## Example
    `"feature_order"` has 6 names but `"feature_std"` 5 numbers, or one of the numbers is `0.0`.

    ## How to fix
    Export the sidecar again with the statistics of the training data. If nothing is subtracted,
    write means of 0; if nothing is divided, write deviations of 1.
    """

    code = "SID414"
    slug = "sidecar-statistics"
    deferrable = True

    def judge_sidecar(
        self, case: Case, row: RowEvidence, model: ModelEvidence, sidecar: Sidecar
    ) -> Iterator[Finding]:
        spec = _first_input(model, sidecar)
        for kind, has_both in _KINDS.items():
            mean, std = f"{kind}_mean", f"{kind}_std"
            there = [field for field in (mean, std) if sidecar.value.get(field) is not None]
            if not there:
                continue
            wrong: dict[str, tuple[str, JsonPath] | None] = {}
            for field, positive in ((mean, False), (std, True)):
                entry = self._wrong_entry(sidecar, field, positive=positive)
                length = None if entry else self._wrong_length(sidecar, field, spec)
                wrong[field] = (length, ()) if length else entry
            if not any(wrong.values()) and (other := self._other_length(sidecar, mean, std)):
                wrong[std] = (other, ())
            for field, found in wrong.items():
                if found is not None:
                    yield self._at(row, sidecar, field, *found)
            # Some image models only subtract a mean or only scale; feature vectors need both.
            if len(there) == 1 and (has_both or _is_vector(spec)):
                lacking, neutral = (
                    (std, "deviations of 1") if mean in there else (mean, "means of 0")
                )
                help = f"{_EXPORT} If the model needs no `{lacking}`, write {neutral}."
                says = f"`{there[0]}` is present, but `{lacking}` is missing"
                yield self.at(sidecar, (there[0],), says, help, row=row.label)
            for field in (mean, std) if model is row.int8 and not any(wrong.values()) else ():
                message = _differs_from_model(row, sidecar, field)
                if message is not None:
                    yield self._at(row, sidecar, field, message)

    def _at(
        self, row: RowEvidence, sidecar: Sidecar, field: str, message: str, entry: JsonPath = ()
    ) -> Finding:
        return self.at(sidecar, (field, *entry), message, _EXPORT, row=row.label)

    @staticmethod
    def _wrong_entry(
        sidecar: Sidecar, field: str, *, positive: bool
    ) -> tuple[str, JsonPath] | None:
        """Return what is wrong with the first invalid entry, and its path; or None.

        Each entry must be a number, and above 0 if `positive`.
        """
        value = sidecar.value.get(field)
        if value is None:
            return None
        all_numbers = isinstance(value, list) and _NUMBERS.issuperset(map(type, value))
        if all_numbers and (not positive or min(value, default=1) > 0):
            return None
        flat = field.startswith("feature_")  # image statistics may be one number, or nested lists
        if isinstance(value, dict) or (flat and not isinstance(value, list)):
            return f"`{field}` is {shown(value)}, not a list of numbers", ()
        for places, entry in _entries(value, deep=not flat):
            is_number = isinstance(entry, int | float) and not isinstance(entry, bool)
            if is_number and (entry > 0 or not positive):
                continue
            at = "".join(f"[{place}]" for place in places)
            where = f"`{field}{at}`{_feature(sidecar, places)}"
            if is_number:
                return f"{where} is {entry}; a standard deviation must be above 0", tuple(places)
            return f"{where} is {shown(entry)}, not a number", tuple(places)
        return None

    @staticmethod
    def _wrong_length(sidecar: Sidecar, field: str, spec: TensorSpec | None) -> str | None:
        value = sidecar.value.get(field)
        if not isinstance(value, list) or list in map(type, value):
            return None
        # A length that fits the model or the feature order is accepted: SID403 compares these two.
        decides = spec is not None and is_fixed(spec)
        if spec is not None and decides and can_be(len(value), spec):
            return None
        for order in ("feature_order", "features"):
            features = sidecar.value.get(order)
            if isinstance(features, list):
                if len(features) == len(value):
                    return None
                return f"`{field}` has {entries(value)}, but `{order}` has {len(features)}"
        return f"`{field}` has {entries(value)}, but the model has {spec}" if decides else None

    @staticmethod
    def _other_length(sidecar: Sidecar, mean: str, std: str) -> str | None:
        means, stds = sidecar.value.get(mean), sidecar.value.get(std)
        if not isinstance(means, list) or not isinstance(stds, list) or len(means) == len(stds):
            return None
        return f"`{std}` has {entries(stds)}, but `{mean}` has {len(means)}"


def _differs_from_model(row: RowEvidence, sidecar: Sidecar, field: str) -> str | None:
    """Return how a statistic in an int8 variant's sidecar differs from its model's sidecar."""
    own = row.sidecar.sidecar if row.sidecar else None
    if own is None or row.onnx is None or describes_other_bytes(row.onnx, own):
        return None
    here, there = sidecar.value.get(field), own.value.get(field)
    if here is None or there is None:
        return None
    mine, theirs = dict(_entries(here, deep=True)), dict(_entries(there, deep=True))
    if mine.keys() != theirs.keys():
        return f"`{field}` has another structure than in {own.path}"
    for places, value in mine.items():
        numbers = number(value), number(theirs[places])
        if None not in numbers and not same_statistic(value, theirs[places]):
            at = "".join(f"[{place}]" for place in places)
            return f"`{field}{at}` is {shown(value)}, but {shown(theirs[places])} in {own.path}"
    return None


class SidecarEntryTwice(ClaimRule):
    """A list of names in the sidecar contains a name twice.

    ## What it does
    Looks for repeated names in `feature_order`, `features`, `encoder_vocab`, `codec_vocab` and
    `codec_block_layout`. If the length of the list does not fit the model's input, SID403 reports
    that instead.

    ## Why it matters
    Each name has one place in the model's input. If a name has two places, the consumer fills one
    of them, and the other keeps a zero.

    ## Example
    `"encoder_vocab": ["x264", "x265", "x264"]`

    ## How to fix
    Export the sidecar again.
    """

    code = "SID416"
    slug = "sidecar-entry-twice"
    deferrable = True

    def judge_sidecar(
        self, case: Case, row: RowEvidence, model: ModelEvidence, sidecar: Sidecar
    ) -> Iterator[Finding]:
        for field in _LISTS:
            names = sidecar.value.get(field)
            if not is_names(names) or len(set(names)) == len(names):
                continue  # SID403 reports a value that is not a list of names
            if (field,) not in {member for member, _ in refuted_widths(model, sidecar)}:
                again = next(name for name, count in Counter(names).items() if count > 1)
                yield self.at(
                    sidecar,
                    (field,),
                    f"`{field}` contains {shown(again)} twice",
                    "Export the sidecar again.",
                    row=row.label,
                )


def _entries(
    value: Any, *, deep: bool, places: tuple[int, ...] = ()
) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Yield the entries of a list with their indices; if `deep`, those of nested lists too."""
    if not isinstance(value, list) or (places and not (deep and value)):
        yield places, value
        return
    for place, entry in enumerate(value):
        yield from _entries(entry, deep=deep, places=(*places, place))


def _first_input(model: ModelEvidence, sidecar: Sidecar) -> TensorSpec | None:
    """Return the input that statistics describe: the first that the sidecar names, or the first."""
    inputs = model.facts.inputs if model.facts else ()
    names = sidecar.input_names
    named = [s for s in inputs if s.name == names[0]] if names else list(inputs)
    return next(iter(named), None)


def _is_vector(spec: TensorSpec | None) -> bool:
    return spec is not None and spec.shape is not None and len(spec.shape) <= 2


def _feature(sidecar: Sidecar, places: tuple[int, ...]) -> str:
    """Return the feature name of an entry, for a message, or "" if the sidecar has none."""
    match places:
        case (index,):
            pass
        case _:
            return ""
    order = sidecar.value.get("feature_order") or sidecar.value.get("features")
    name = order[index] if isinstance(order, list) and index < len(order) else None
    return f" ({name[:60]})" if isinstance(name, str) else ""
