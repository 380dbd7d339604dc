"""The nouns: what the product reads, keeps and writes. pydantic and the standard library only; imports nothing of ours.

    ConsumerRecord ──► Event ──► Profile ──► ExportRecord
          └────────► DeadLetter        Flow, Audience (configuration)

Plain tuples and slotted classes for what passes through the hot path; pydantic for configuration, at the edges.
"""
