"""The images: read, checked, drawn, split, augmented, corrupted and batched.

A data set of your own extends `BaseDataset`, a loader `BaseDataLoader`, an augmentation
`BaseAugmentation` of `augmentation.py`, a corruption `BaseCorruption` of `corruption.py`: one
class in a new file here, which a config then names.
"""
