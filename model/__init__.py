"""Networks, losses and metrics.

A model of your own extends `BaseModel`, a loss `BaseLoss` of `loss.py`; a metric is a function
marked with `best` of `metric.py`: each in a new file here, which a config then names.
"""
