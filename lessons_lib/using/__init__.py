"""Using a trained model: decoding."""
