"""Lanes keep the order of records: of one profile and one flow, one record is in flight at a time.

backlog ─► lanes ─► a route ─┬─ sender ─► outbox ─► a call ─► settlement ─► the lane's next head, or the same again
                             └─ no_destination: the catalog does not name the flow

lanes              the records of one profile and one flow, in order
progress           how far a partition is done
partitions         the partitions that are open
budget             memory that records hold
backlog            all that was read and is not finished
dead_letter_queue  what cannot be delivered, until it is durable
routing            which route a flow takes now
no_destination     the routes of flows that the catalog does not name
gone_flows         flows that are forgotten
senders            one sender a destination, as tasks
sender             one destination: takes lanes, makes calls
outbox             what leaves in the next call
calls              one call; how many may be in flight
settlement         what becomes of a call's records
health             well, backing off, or paused
shard_map          which shard a hash key belongs to
shard_rates        how fast each shard is fed
order_check        does the stream keep the order of lanes?
"""
