"""Everything that a config names, built once: what training, testing and notebooks work with."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property, partial
from typing import Any

import torch

from base.base_data_loader import BaseDataLoader
from base.base_dataset import BaseDataset
from base.base_model import BaseModel
from base.base_trainer import BaseTrainer
from data_loader.corruption import Corrupter
from logger.run import Run, SilentRun, open_run
from model.loss import BaseLoss
from trainer.catalogue import catalogue
from trainer.evaluator import Evaluator
from trainer.start import Start
from utils.config.classes import build
from utils.device import Compute, make_ready, pick_device, pick_precision, usable_precision
from utils.errors import CheckpointError
from utils.ranks import ALONE, Ranks
from utils.seed import seed_init
