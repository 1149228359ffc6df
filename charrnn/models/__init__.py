"""The character model in torch: layers, cells, devices."""
