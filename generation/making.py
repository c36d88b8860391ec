"""From the settings of a config to images that are planned and can be made."""

from typing import NamedTuple

from base.base_data_loader import BaseDataLoader
from generation.children import Children, plan_children
from generation.generator import Generator
from generation.noise_choice import NoiseChoice, choose_noise
from trainer.evaluator import Evaluator
from utils.config.sections import AUTO, GenerationSection


class Making(NamedTuple):
    """Images that are to be made."""

    children: Children
    generator: Generator
    choice: NoiseChoice | None
    """How much noise children have, where that is not said but chosen."""


def plan_making(
    evaluator: Evaluator,
    originals: BaseDataLoader,
    training: BaseDataLoader,
    settings: GenerationSection,
    seed: int,
) -> Making:
    """Which children to make of which originals, their noise chosen where it is "auto".

    Args:
        originals: of what children are made.
        training: the images that the model was trained on.
    """
    choice, maker = None, Generator(evaluator, originals, settings, training)
    if settings.noise == AUTO:
        choice = choose_noise(maker.over(training, settings), seed)
        settings = settings.model_copy(update={"noise": choice.noise})
    labels = originals.dataset.labels.indices
    children = plan_children(originals.indices, labels, settings, seed)
    return Making(children, maker.over(originals, settings), choice)
