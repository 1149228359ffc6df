"""charrnn play: write with a model in turns."""
