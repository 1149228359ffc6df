"""The play command: write with a model, turn by turn."""
