# SPDX-License-Identifier: Apache-2.0
"""What a worker answers, read strictly: a process that has run a hostile model is not believed.

One JSON object a line: `ready`, then `loaded`, then `done`; instead of the last two also `failed`.
Anything else is no answer, and a worker that gives none counts as crashed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from provenance.artifacts.documents.strict_json import JsonError, parse_object
from provenance.artifacts.forms import is_whole
from provenance.runtime.run import Output

LONGEST: Final = 4 * 1024 * 1024
"""Bytes of a whole answer: room for some ten thousand outputs."""


class NoAnswerError(ValueError):
    """What came is not what a worker says."""


@dataclass(frozen=True)
class Answer:
    """What was said so far: until `version` is known, the worker is not ready.

    `outputs` are None where the model was not run; `error` is what the runtime raised, and `memory`
    whether Python itself says that memory ran out.
    """

    version: str | None = None
    loaded: bool = False
    finished: bool = False
    outputs: tuple[Output, ...] | None = None
    error: str | None = None
    memory: bool = False

    def then(self, line: bytes) -> Answer:
        """The answer with one more line.

        Raises:
            NoAnswerError: It is not what can come next.
        """
        try:
            said = parse_object(line)
        except JsonError as e:
            raise NoAnswerError(str(e)) from e
        after = None if self.finished else self._after(said)
        if after is None:
            raise NoAnswerError("it is not what was asked")
        return after

    def _after(self, said: Mapping[str, Any]) -> Answer | None:
        match said:
            case {"stage": "ready", "version": str(version)} if self.version is None:
                return replace(self, version=version)
            case {"stage": "loaded"} if self.version is not None and not self.loaded:
                return replace(self, loaded=True)
            case {"stage": "done", "outputs": None} if self.loaded:
                return replace(self, finished=True)
            case {"stage": "done", "outputs": list(outputs)} if self.loaded:
                return replace(self, finished=True, outputs=tuple(map(_output, outputs)))
            case {"stage": "failed", "memory": bool(memory), "message": str(error)} if self.version:
                return replace(self, finished=True, error=error, memory=memory)
        return None


def _output(said: Any) -> Output:
    match said:
        case {"name": str(name), "dtype": None, "shape": None, "nonfinite": None}:
            return Output(name, None, None)
        case {"name": str(name), "dtype": str(dtype), "shape": list(shape), "nonfinite": count} if (
            all(map(_is_count, shape)) and (count is None or _is_count(count))
        ):
            return Output(name, dtype, tuple(shape), count)
    raise NoAnswerError("an output in it is none")


def _is_count(value: Any) -> bool:
    return is_whole(value) and value >= 0
