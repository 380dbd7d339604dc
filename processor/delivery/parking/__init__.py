"""The package processor/delivery/parking."""
