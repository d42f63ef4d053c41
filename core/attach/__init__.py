"""Layers of a project as variables of a cube."""
