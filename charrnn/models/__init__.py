"""The character model in torch: its layers, its recurrent cells, and the device that runs it."""
