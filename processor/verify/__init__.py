"""Does what a worker left behind equal replay? The oracle of the tour and of the tests.

events on the topic ─► expectation ─┐
                                    ├─► comparison (sequence) ─► result
topics and streams  ─► evidence    ─┘

expectation  the records and dead letters, by replay     evidence  what a worker left behind, read back
sequence     in order, keeping the first of each         comparison  of exports, streams and dead letters
result       all comparisons, and their faults
"""
