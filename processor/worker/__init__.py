"""The package processor/worker."""
