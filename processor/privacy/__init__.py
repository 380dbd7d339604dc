"""The package processor/privacy."""
