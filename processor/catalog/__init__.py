"""The flows and audiences as they stand now: the compacted topics `flows` and `audiences`, read to their end and
followed.

contents    the last record of each key, compiled into a core Catalog when something changed; pure
follower    reads the topics, and says how fresh the catalog is (contract M2)
"""
