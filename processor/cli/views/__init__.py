"""The package processor/cli/views."""
