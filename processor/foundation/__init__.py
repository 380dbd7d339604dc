"""The package processor/foundation."""
