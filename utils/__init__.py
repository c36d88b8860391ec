"""One job a file, known to all others: checkpoints, devices, errors, locks, output, seeds."""
