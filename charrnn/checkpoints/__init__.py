"""Read and write model files and run directories."""
