"""What the server of tests/processes.py imports before it forks: nothing that starts threads."""

import matplotlib.backends.backend_agg
import matplotlib.figure
import torch
import torch._dynamo  # the first optimizer of a process imports it
import torchmetrics.functional.image

import logger.run
import study.study
import trainer.start
import trainer.trainer
import utils.device
from trainer.catalogue import catalogue
from utils.config.classes import arguments_model

torch.set_num_threads(1)
for classes in catalogue().parts.values():
    for cls in classes.values():
        arguments_model(cls)

__all__ = ["logger", "matplotlib", "study", "torchmetrics", "trainer", "utils"]
