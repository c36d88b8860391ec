"""How a command begins, what a config builds, and how that is trained.

Start -> Experiment -> Trainer. A trainer of your own extends `Trainer` in a new file here, which
`trainer.type` then names.
"""
