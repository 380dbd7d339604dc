"""The package processor/worker/adapters."""
