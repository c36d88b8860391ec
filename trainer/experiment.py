"""Everything that a config names, built once: what training, testing and notebooks work with."""
