"""What a run leaves: its folder, TensorBoard's events, tables, figures and their lettering."""
