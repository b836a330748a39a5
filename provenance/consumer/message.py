# SPDX-License-Identifier: Apache-2.0
"""The protobuf message of a model that was verified, with its external data inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provenance.artifacts import paths
from provenance.artifacts.onnx_wire import EXTERNAL, tensors
from provenance.consumer.folder import PrivateFolder

if TYPE_CHECKING:
    from onnx import ModelProto


def read_message(folder: PrivateFolder, name: str) -> ModelProto:
    """The model `name` in `folder`; every tensor holds its own bytes.

    Wherever ONNX allows a tensor: initializers, attributes, subgraphs, functions, sparse tensors.
    Raises VerificationError where the folder was changed.
    """
    from onnx import ModelProto

    with folder.open(name) as stream:
        model = ModelProto.FromString(stream.read())
    inside = name.rpartition("/")[0]
    for tensor in tensors(model):
        if tensor.data_location != EXTERNAL:
            continue
        place = {entry.key: entry.value for entry in tensor.external_data}
        with folder.open(paths.join(inside, place["location"])) as stream:
            stream.seek(int(place.get("offset", "0")))
            # Without a length, or with a length of 0, ONNX reads to the end of the file.
            tensor.raw_data = stream.read(int(place.get("length", "0")) or -1)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
    return model
