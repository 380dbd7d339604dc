"""The package schemas/wire."""
