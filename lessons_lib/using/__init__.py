"""Using a trained model: decoding, writing, alignment; fine-tuning, adapters, predictions, metrics, baselines."""
