"""Parked flows wait on `exports` for a destination that is unavailable or slow, and hold up nobody.

parking            who is parked, and when that ends
registry           the flows that are parked now
unavailable        flows whose destination is unavailable, and since when
slow_destinations  flows whose destination takes less than comes
intervals          the beginning of a parked interval
inherited          what earlier owners of a partition wrote
parked_flow        one flow in one partition, until it is over
reader_position    where its reader is, and what is finished there
finished           ranges of finished offsets (pure)
catch_up           brings its records back into its lanes
row_writer         its row on `delivery-positions`
"""
