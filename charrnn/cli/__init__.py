"""The command line: one file per command parses, calls the library and renders.

Only these rooms know Typer, rich and tqdm. A command imports what needs torch when it runs, so that
``charrnn --help`` answers at once.
"""
