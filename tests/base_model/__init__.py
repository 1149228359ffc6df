"""The making of the base models that are bundled with the package."""
