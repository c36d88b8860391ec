"""TensorBoard's event files as tests look at them."""

import io

import numpy as np
from PIL import Image


def accumulated(folder):
    """What the event files of a folder say together, all of it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0}).Reload()


def curve(folder, tag):
    """Epoch and value of each point of a curve."""
    return [(event.step, event.value) for event in accumulated(folder).Scalars(tag)]


def curves(folder):
    """The epochs of the points of every curve of a folder."""
    events = accumulated(folder)
    return {tag: [event.step for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def pictures(folder):
    """The pictures of a folder by tag: epoch -> uint8 [H, W, 3]."""
    events = accumulated(folder)
    return {
        tag: {
            event.step: np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
            for event in events.Images(tag)
        }
        for tag in events.Tags()["images"]
    }


def settings_of(folder):
    """The row of the HParams table that the events of a folder hold: column -> value."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    contents = accumulated(folder).PluginTagToContent("hparams")
    assert set(contents) == {"_hparams_/session_start_info", "_hparams_/session_end_info"}
    begun = HParamsPluginData.FromString(contents["_hparams_/session_start_info"])
    values = begun.session_start_info.hparams.items()
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in values}
