"""``python -m charrnn`` is ``charrnn``."""

from charrnn.cli.entry import main

if __name__ == "__main__":
    main()
