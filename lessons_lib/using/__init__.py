"""Using a trained model: decoding, alignment; fine-tuning (examples, losses, predictions), metrics, baselines."""
