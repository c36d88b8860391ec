"""What test.py makes of a trained model: scores beside baselines, new images, pictures."""
