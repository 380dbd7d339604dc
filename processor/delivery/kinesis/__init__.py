"""The package processor/delivery/kinesis."""
