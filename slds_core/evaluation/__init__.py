"""What a trained model is worth on data: bounds and predictions of what it did not see, baselines, recovery of known states."""
