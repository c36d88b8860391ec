"""What the server of tests/processes.py imports before it forks: nothing that starts threads."""

import gc
from contextlib import suppress

import matplotlib.backends.backend_agg
import matplotlib.figure
import pytest
import torch
import torch._dynamo  # the first optimizer of a process imports it
import torch.utils.tensorboard
import torchmetrics.functional.classification
import torchmetrics.functional.image
import torchvision.datasets

import logger.run
import study.study
import tester.export
import tester.images_tester
import tester.quality_report
import trainer.start
import trainer.sweep
import trainer.trainer
import utils.device
from trainer.catalogue import catalogue
from utils.config.classes import arguments_model

with suppress(ImportError):  # what requirements-export.txt installs
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import onnxscript  # noqa: F401

torch.set_num_threads(1)
for classes in catalogue().parts.values():
    for cls in classes.values():
        arguments_model(cls)
gc.freeze()  # a collection in a forked process need not look at, and so copy, all of this

__all__ = ["logger", "matplotlib", "pytest", "study", "tester", "torchmetrics", "torchvision",
           "trainer", "utils"]  # fmt: skip
