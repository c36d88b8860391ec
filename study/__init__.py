"""Whether generated images help a classifier of the same images, told without leaks."""
