"""What the server of tests/processes.py imports before it forks: nothing that starts threads."""

import torch
import torch._dynamo  # the first optimizer of a process imports it

import logger.run
import trainer.report
import trainer.restore
import trainer.resume
import trainer.trainer
import utils.device
from trainer.parts import catalogue
from utils.registry import arguments_model

torch.set_num_threads(1)
for classes in catalogue().parts.values():
    for cls in classes.values():
        arguments_model(cls)

__all__ = ["logger", "trainer", "utils"]
