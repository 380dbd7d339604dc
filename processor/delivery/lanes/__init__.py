"""The package processor/delivery/lanes."""
