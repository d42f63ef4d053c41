"""The parts of attaching layers: what is wanted of each, legends, rasters with dates and how they find their steps."""
