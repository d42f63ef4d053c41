"""Pages with pictures that tell what was done."""
