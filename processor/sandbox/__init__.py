"""The package processor/sandbox."""
