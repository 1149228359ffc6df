"""Score text with a trained model: cross entropy, surprisal, baselines, formal languages."""
