"""The cube on disk: how values are packed, how the file is written, and how others look into it."""
