"""A report on a run: one HTML file that needs nothing else. Takes the extra ``charrnn[report]``."""
