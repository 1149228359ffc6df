"""Report on a run as one self-contained HTML file. Needs the extra ``charrnn[report]``."""
