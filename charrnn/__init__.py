"""charrnn: character-level recurrent language models of a person's own text."""

__version__ = "0.1.0"
