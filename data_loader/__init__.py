"""The images: read, checked, drawn, split, corrupted and batched.

A data set of your own extends `BaseDataset`, a loader `BaseDataLoader`, a corruption
`BaseCorruption` of `corruption.py`: one class in a new file here, which a config then names.
"""
