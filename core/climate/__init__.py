"""Climate data on the time axis of a cube."""
