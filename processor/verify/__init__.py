"""The package processor/verify."""
