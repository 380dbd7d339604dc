"""The adapters between a port and a client; only the composition root knows both.

partition_log    PartitionLog on transactions, or without
exports_reader   `exports` read again          parked_rows   the topic `delivery-positions`
dead_letters     the topic `dead-letters`      destinations  by the catalog
origins          which event a record comes of, for errors
"""
