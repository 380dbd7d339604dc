"""The package processor/files."""
