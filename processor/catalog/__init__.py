"""The flows and audiences as they stand now, by the compacted topics of the control plane.

    records ─► state (the only fold) ─► compiled (what decides)

state      the fold of flows, audiences and connections; pure
compiled   the core's Catalog of a state; pure
reading    the topics read once, for whoever looks
follower   the topics followed by a worker: it says how fresh the catalog is (M2)
"""
