"""Wrong configs: each one slip in a right one, and what the message has to say of it.

A case is the dotted path to set, the value to set it to (DROP takes the key out), and the rule;
then the path that the message opens with, where it is another.
"""

import copy

DROP = object()

UNKNOWN_KEYS = [
    ("nmae", "x", "unknown key; did you mean 'name'?"),
    ("epochs", 3, "unknown key; did you mean 'trainer.epochs'?"),
    ("batchsize", 8, "unknown key; did you mean 'data_loader.args.batch_size'?"),
    ("augmentatoin", {"type": "Shift"}, "unknown key; did you mean 'augmentation'?"),
    ("optimiser", {"type": "Adam"}, "unknown key; did you mean 'optimizer'?"),
    ("zzz", 1, "unknown key; known: $schema, description, name"),
    ("trainer.epoch", 3, "unknown key; did you mean 'trainer.epochs'?"),
    ("trainer.early_stp", 3, "unknown key; did you mean 'trainer.early_stop'?"),
    ("trainer.lr", 0.1, "unknown key; did you mean 'optimizer.args.lr'?"),
    ("generation.sample", 3, "unknown key; did you mean 'generation.samples'?"),
    ("generation.symmetry", True, "unknown key; did you mean 'generation.symmetries'?"),
    ("generation.outline", True, "unknown key; did you mean 'generation.keep_outline'?"),
    ("generation.relative", "true", "is generation.unit now: write \"code\" there for true"),
    ("generation.relative", 1, "is generation.unit now"),
    ("generation", {"relative": True, "unit": "code"}, "is generation.unit now",
     "generation.relative"),
    ("optimizer.arg", {}, "unknown key; did you mean 'optimizer.args'?"),
    ("optimizer.lr", 0.1, "unknown key; did you mean 'optimizer.args.lr'?"),
    ("optimizer.args.learning_rate", 0.1, "unknown key"),
    ("optimizer.args.weight_decy", 0.1, "unknown key; did you mean 'optimizer.args.weight_decay'"),
    ("optimizer.args.params", [], "unknown key"),
    ("optimizer.args.capturable", True, "unknown key"),
    ("lr_scheduler.args.last_epoch", 3, "unknown key"),
    ("dataset.args.sizes", 12, "unknown key; did you mean 'dataset.args.size'?"),
    ("data_loader.args.device", "cpu", "unknown key"),
    ("loss.args", {"reduction": "sum"}, "unknown key", "loss.args.reduction"),
    ("arch.args.shape", [1, 2, 3], "unknown key"),
    ("arch.args.encoder.0.strid", 2, "unknown key; did you mean 'arch.args.encoder.0.stride'?"),
    ("arch.args.encoder.0.bias", True, "unknown key; known: conv, kernel_size, stride"),
    ("arch.args.encoder.0.output_padding", 1, "unknown key"),
    ("arch.args.encoder.0.maxpool", 2, "unknown key"),
    ("arch.args.defaults", {"kernal": 3}, "did you mean 'arch.args.defaults.kernel_size'?",
     "arch.args.defaults.kernal"),
]  # fmt: skip

MISSING_KEYS = [
    *((key, DROP, "is missing; as in") for key in
      ("dataset", "data_loader", "arch", "loss", "optimizer")),
    *((f"{key}.type", DROP, "is missing") for key in
      ("dataset", "data_loader", "arch", "loss", "optimizer", "lr_scheduler")),
    ("name", DROP, "is missing"),
    ("trainer", DROP, "is missing"),
    ("trainer.epochs", DROP, "is missing"),
    ("arch.args.encoder", DROP, "is missing"),
    ("lr_scheduler.args.step_size", DROP, "is missing"),
    ("lr_scheduler.args", DROP, "is missing", "lr_scheduler.args.step_size"),
]  # fmt: skip

WRONG_TYPES = [
    ("name", 5, "must be a string"),
    ("name", None, "must be a string"),
    ("seed", "0", "must be a whole number"),
    ("seed", True, "must be a whole number"),
    ("seed", 1.5, "must be a whole number"),
    ("trainer.epochs", True, "must be a whole number"),
    ("trainer.epochs", "5", "must be a whole number"),
    ("trainer.epochs", 2.0, "must be a whole number"),
    ("trainer.clip_gradient", "1", "must be a number"),
    ("trainer.accumulate", None, "must be a whole number"),
    ("trainer.accumulate", 2.5, "must be a whole number"),
    ("trainer.ema", "0.999", "must be a number"),
    ("trainer.ema", False, "must be a number"),
    ("trainer.tensorboard", 1, "must be true or false"),
    ("trainer.tensorboard", "false", "must be true or false"),
    ("trainer.precision", "FP32", "must be 'auto', 'fp32' or 'bf16'; did you mean 'fp32'?"),
    ("trainer", [], "must be an object"),
    ("optimizer", "Adam", "must be an object"),
    ("optimizer.args", [0.1], "must be an object"),
    ("optimizer.args.lr", "0.1", "must be a number"),
    ("optimizer.args.lr", None, "must be a number"),
    ("optimizer.args.lr", True, "must be a number"),
    ("optimizer.args.betas", 0.9, "must be a list"),
    ("optimizer.args.betas", [0.9], "is too short"),
    ("optimizer.args.betas", [0.9, "0.9"], "must be a number", "optimizer.args.betas.1"),
    ("lr_scheduler.args.step_size", 2.5, "must be a whole number"),
    ("loss", None, "must be an object"),
    ("metrics", "psnr", "must be a list"),
    ("metrics", [1], "must be a string", "metrics.0"),
    ("generation.noise", "0.1", "must be 'auto' or a number or a list"),
    ("generation", [], "must be an object"),
    ("generation.method", "neighbors", "did you mean 'neighbours'?"),
    ("generation.method", "smote", "must be 'noise', 'neighbours', 'extrapolate' or 'gaussian'"),
    ("generation.method", None, "must be 'noise', 'neighbours', 'extrapolate' or 'gaussian'"),
    ("generation.method", ["noise"], "must be 'noise', 'neighbours', 'extrapolate' or 'gaussian'"),
    ("generation.unit", "sd", "must be 'absolute', 'code', 'class' or 'posterior'"),
    ("generation.unit", True, "must be 'absolute', 'code', 'class' or 'posterior'"),
    ("generation.symmetries", 8, "must be true or false"),
    ("generation.keep_outline", "yes", "must be true or false"),
    ("arch.args.encoder", {"conv": 4}, "must be a list"),
    ("arch.args.encoder.0", 4, "names no layer"),
    ("arch.args.encoder.0", {"convolution": 4}, "names no layer; one of its keys must be conv"),
    ("arch.args.encoder.0.conv", "16", "must be a whole number"),
    ("arch.args.encoder.0.stride", [1, 2, 3], "tuple should have at most 2 items"),
    ("arch.args.encoder.0.norm", "batchnorm", "must be 'batch', 'group' or 'layer'"),
    ("arch.args.decoder", "miror", "must be 'mirror' or a list"),
]

RANGES = [
    ("seed", -1, "greater than or equal to 0"),
    ("seed", 2**63, "less than 9223372036854775808"),
    ("trainer.epochs", 0, "greater than 0"),
    ("trainer.epochs", -3, "greater than 0"),
    ("trainer.save_period", 0, "greater than 0"),
    ("trainer.early_stop", -1, "greater than or equal to 0"),
    ("trainer.save_dir", "", "at least 1 character"),
    ("trainer.clip_gradient", 0, "must be greater than 0"),
    ("trainer.clip_gradient", -1.5, "must be greater than 0"),
    ("trainer.accumulate", 0, "must be greater than 0"),
    ("trainer.ema", 0, "must be greater than 0"),
    ("trainer.ema", 1, "must be less than 1"),
    ("data_loader.args.batch_size", 0, "greater than 0"),
    ("data_loader.args.validation_split", -0.1, "greater than or equal to 0"),
    ("data_loader.args.validation_split", 1.5, "less than 1"),
    ("dataset.args.size", 5000, "less than or equal to 4096"),
    ("dataset.args.count", 3, "greater than or equal to 9"),
    ("arch.args.encoder", [], "at least 1 item"),
    ("arch.args.encoder.0.conv", 0, "greater than 0"),
    ("arch.args.encoder.0.stride", 2**31, "less than 2147483648"),
    ("arch.args.encoder.0.stride", [2, 0], "greater than 0", "arch.args.encoder.0.stride.1"),
    ("arch.args.encoder.0", {"dropout": 1}, "less than 1", "arch.args.encoder.0.dropout"),
    ("generation.noise", [0.1, -1], "greater than or equal to 0", "generation.noise.1"),
    ("generation.samples", 0, "greater than 0"),
    ("optimizer.args.lr", -1, "Adam refuses it: Invalid learning rate"),
    ("optimizer.args.betas", [1.5, 0.9], "Adam refuses it: Invalid beta"),
    ("optimizer.args.eps", -1e-8, "Adam refuses it: Invalid epsilon"),
    ("optimizer.args.weight_decay", -1, "Adam refuses it: Invalid weight_decay"),
    ("lr_scheduler.args.step_size", 0, "StepLR refuses it"),
    ("lr_scheduler.args.step_size", -1, "greater than or equal to 0"),
    ("lr_scheduler.args.gamma", -0.5, "the learning rate of epoch 3 would be -0.005"),
    ("lr_scheduler", {"type": "CosineAnnealingLR", "args": {"T_max": 0}},
     "CosineAnnealingLR refuses it", "lr_scheduler.args.T_max"),
    ("lr_scheduler", {"type": "ReduceLROnPlateau", "args": {"factor": 2}},
     "ReduceLROnPlateau refuses it: Factor should be < 1.0", "lr_scheduler.args.factor"),
]  # fmt: skip

TOGETHER = [
    ("metrics", ["snr"], "there is no such metric; did you mean 'psnr'?", "metrics.0"),
    ("metrics", ["psnr", "psnr"], "is named twice", "metrics.1"),
    ("trainer.monitor", "val_loss", "must be 'min NAME', 'max NAME' or 'off'"),
    ("trainer.monitor", "min val_los", "nothing measures it; did you mean 'val_loss'?"),
    ("trainer.monitor", "max val_ssim", "nothing measures it"),
    ("trainer.monitor", "min val_psnr", "is better the higher it is; write 'max val_psnr'"),
    ("trainer.monitor", "min psnr", "is better the higher it is; write 'max psnr'"),
    ("trainer.monitor", "max val_loss", "is better the lower it is; write 'min val_loss'"),
    ("loss", {"type": "ELBO", "args": {"cycles": 5}},
     "5: without a warm_up there is nothing to repeat", "loss.args.cycles"),
    ("generation", {"samples": 5, "per_class": 40}, "no effect beside generation.per_class",
     "generation.samples"),
    ("generation.unit", "posterior", "Autoencoder gives no logvar"),
    ("generation", {"method": "gaussian", "unit": "class"}, "method 'gaussian' begins at none",
     "generation.unit"),
    ("generation", {"method": "gaussian", "symmetries": True}, "begins at no original to turn",
     "generation.symmetries"),
    ("data_loader.args.validation_split", 0, "no image is held out", "trainer.monitor"),
    ("trainer", {"epochs": 3, "monitor": "off", "early_stop": 3}, "needs a value to watch",
     "trainer.early_stop"),
    ("lr_scheduler", {"type": "ReduceLROnPlateau", "args": {"mode": "max"}},
     'must be that of trainer.monitor, "min val_loss"', "lr_scheduler.args.mode"),
    ("lr_scheduler", {"type": "OneCycleLR", "args": {"max_lr": 0.1, "total_steps": 2}},
     'once an epoch, and 3 epochs are no cycle of 2 steps', "lr_scheduler.args.total_steps"),
    ("lr_scheduler", {"type": "OneCycleLR",
                      "args": {"max_lr": 0.1, "epochs": 3, "steps_per_epoch": 100}},
     'cycle of 300 steps; write "total_steps": 3, the number of trainer.epochs, instead of epochs',
     "lr_scheduler.args.steps_per_epoch"),
    ("lr_scheduler", {"type": "CyclicLR", "args": {"base_lr": 0.1, "max_lr": 0.2}},
     "max_lr would not be reached in 3 epochs", "lr_scheduler.args.step_size_up"),
    ("optimizer.args", {"fused": True, "foreach": True}, "cannot be `True` together",
     "optimizer.args"),
    ("optimizer", {"type": "SGD", "args": {"nesterov": True}}, "requires a momentum",
     "optimizer.args.nesterov"),
    ("lr_scheduler", {"type": "CyclicLR", "args": {"base_lr": 0.1, "max_lr": [0.2, 0.3]}},
     "CyclicLR refuses it: max_lr must have", "lr_scheduler.args.max_lr"),
]  # fmt: skip

HOSTILE = [
    *(("name", name, "must be the name of a folder") for name in (
        "../x", "/etc/x", "..", ".", "a/b", "a\\b", "x.", "x ", "-c", "a\nb", "C:x", "a\x1b")),
    ("name", "CON", "must not be the name of a Windows device"),
    ("name", "nul.txt", "must not be the name of a Windows device"),
    ("name", "", "at least 1 character"),
    ("name", "x" * 300, "at most 100 characters"),
    *(("loss.type", name, "there is no such type") for name in (
        "os", "nn.Module", "__class__", "torch.nn.MSELoss", "model.loss.MSE", "BaseLoss",
        "F", "", "MSE ", "__import__('os')")),
    ("dataset.type", "BaseDataset", "there is no such type"),
    ("dataset.type", "Labels", "there is no such type"),  # imported there, not defined
    ("arch.type", "Network", "there is no such type"),
    ("optimizer.type", "Optimizer", "there is no such type"),
    ("optimizer.type", "LBFGS", "computes the loss many times a step"),
    ("optimizer.type", "SparseAdam", "takes sparse gradients only"),
    ("optimizer.type", "Muon", "trains matrices only"),
    ("optimizer.type", "adam", "there is no such type; did you mean 'Adam'?"),
    ("optimizer.type", ["Adam"], "must be a string"),
    ("lr_scheduler.type", "LambdaLR", "is a function, which a config cannot hold"),
    ("lr_scheduler.type", "MultiplicativeLR", "is a function, which a config cannot hold"),
    ("lr_scheduler.type", "SequentialLR", "is made of other schedulers"),
    ("lr_scheduler.type", "ChainedScheduler", "is made of other schedulers"),
    ("lr_scheduler.type", "Adam", "there is no such type"),
]  # fmt: skip

TEMPLATE = [
    ("n_gpu", 1, "choose the device with -d cuda"),
    ("loss", "mse_loss", 'write "loss": {"type": "MSE"}'),
    ("loss", "nll_loss", "known: BCE, ELBO, L1, MSE"),
    ("data_loader.args.data_dir", "data/", "images are a part of their own"),
    ("data_loader.type", "MnistDataLoader", "images are a part of their own"),
    ("metrics", ["accuracy"], "did you mean 'pixel_accuracy'?", "metrics.0"),
    ("trainer.verbosity", 2, "everything is written to the console and to info.log"),
    ("trainer.save_freq", 1, "write trainer.save_period"),
    ("trainer.log_dir", "saved/log", "logs lie in the run folder"),
    ("log_dir", "saved/log", "logs lie in the run folder"),
]  # fmt: skip

CASES = (
    UNKNOWN_KEYS + MISSING_KEYS + WRONG_TYPES + RANGES + TOGETHER + HOSTILE + TEMPLATE
)  # fmt: skip

# File contents that are no config, and what the message says after the file's name.
TEXTS = [
    (b"", "is empty"),
    (b" \n", "is empty"),
    (b'{"name": "x",\n "seed": }', "line 2, column 10: Expecting value"),
    (b'{"name": "x" "seed": 1}', "line 1, column 14: Expecting ',' delimiter"),
    (b"{'name': 1}", "line 1, column 2"),
    (b'{"name": 1,}', "line 1, column"),
    (b'// a comment\n{"name": 1}', "line 1, column 1"),
    (b'{"name": 1} {}', "line 1, column 13: Extra data"),
    (b'{"trainer": {"epochs": 1, "epochs": 2}}', "trainer.epochs: 2: given twice"),
    (b'{"optimizer": {"args": {"lr": NaN}}}', 'optimizer.args.lr: "NaN": must be a finite'),
    (b'{"seed": -Infinity}', 'seed: "-Infinity": must be a finite number'),
    (b'{"optimizer": {"args": {"lr": 1e309}}}', 'optimizer.args.lr: "1e309": must be a finite'),
    (b'{"seed": ' + b"9" * 5000 + b"}", "must be a finite number"),
    (b'\xef\xbb\xbf{"name": "x"}', "byte order mark"),
    ('{"name": "x"}'.encode("utf-16"), "byte 0 (0xff) is not UTF-8"),
    (b'{"name": "\xe9"}', "byte 10 (0xe9) is not UTF-8"),
    (b"[]", "holds a list; a config is an object"),
    (b'"x"', "holds a string"),
    (b"null", "holds a null"),
    (b"3", "holds a number"),
    (b"true", "holds a boolean"),
    (b'{"a": ' * 100 + b"1" + b"}" * 100, "a.a.a....: {"),
    (b'{"a": ' * 100_000, "nested too deeply"),
    (b'{"name": "a\\u0000b"}', 'name: "a\\u0000b": must be text'),
    (b'{"name": "\\ud800"}', "name: "),
    (b'{"a\\u0000": 1}', "the key must be text"),
]


def changed(config, path, value):
    """A copy of `config` with `path` set to `value`, or taken out."""
    config = copy.deepcopy(config)
    *parents, last = [int(step) if step.isdecimal() else step for step in path.split(".")]
    target = config
    for step in parents:
        target = target.setdefault(step, {}) if isinstance(target, dict) else target[step]
    if value is DROP:
        del target[last]
    else:
        target[last] = value
    return config
