"""Context and target pairs of cubes, for machine learning."""
