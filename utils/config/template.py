"""What to write instead of keys that mean nothing where they stand, as those of pytorch-template
and of earlier configs.

Source: victoresque/pytorch-template, README and config.json.
"""

from utils.config.messages import Problem

_PARTS = "images are a part of their own"
ADVICE = {
    "n_gpu": "there is no such key; choose the device with -d cuda (or -d cuda:1), and use "
    "several by torchrun --nproc_per_node=N train.py; take the key out",
    "data_loader.args.data_dir": f"there is no such argument; {_PARTS}: "
    '"dataset": {"type": "WaferMaps", "args": {"data": PATH}}',
    "data_loader.args.training": "there is no such argument; test.py takes the same data set "
    "as train.py; take the key out",
    "trainer.verbosity": "there is no such key; everything is written to the console and to "
    "info.log; take the key out",
    "trainer.save_freq": "there is no such key; write trainer.save_period, in epochs",
    "trainer.log_dir": "there is no such key; logs lie in the run folder, below "
    "trainer.save_dir; take the key out",
    "trainer.len_epoch": "there is no such key; an epoch is every training image once; take "
    "the key out",
    "lr_scheduler.args.verbose": "there is no such argument; the rate of every epoch is in "
    "metrics.jsonl; take the key out",
}
ADVICE["generation.relative"] = (
    'is generation.unit now: write "code" there for true, "absolute" for false, and take this out'
)
ADVICE["lr_scheduler.epochs"] = (
    "is for a list of schedulers, each but the last with the epochs that it lasts; one alone "
    "lasts for all of trainer.epochs: take the key out, or write [{...}, {...}]"
)
ADVICE["log_dir"] = ADVICE["trainer.log_dir"]
ADVICE["save_freq"] = ADVICE["trainer.save_freq"]
_LOSSES = {"mse_loss": "MSE", "l1_loss": "L1", "bce_loss": "BCE", "binary_cross_entropy": "BCE"}


def advised(problem: Problem, loss_types: list[str]) -> Problem:
    """The problem with what to write instead, where a template's config has what is refused.

    Args:
        loss_types: the losses that a config can name.
    """
    path, value, rule = problem
    if rule.startswith("unknown key") and path in ADVICE:
        rule = ADVICE[path]
    elif path == "loss" and isinstance(value, str):
        meant = _LOSSES.get(value, "MSE")
        rule += f'; a loss is a class: write "loss": {{"type": "{meant}"}}'
        rule += "" if value in _LOSSES else f"; known: {', '.join(loss_types)}"
    elif path == "data_loader.type" and isinstance(value, str) and value.endswith("DataLoader"):
        rule += f' ({_PARTS}: "dataset": {{"type": ..., "args": {{...}}}})'
    return Problem(path, value, rule)
