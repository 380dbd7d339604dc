"""The package processor/pipeline/jobs."""
