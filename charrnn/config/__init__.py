"""Settings and their declarations; this folder imports neither torch nor numpy."""
