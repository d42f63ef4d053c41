"""Variables of the ground's form: elevation on a lattice, its derivatives, and the flow of water over it."""
