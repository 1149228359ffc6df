"""Using models through the native network."""
