"""Dead letters, looked at and sent again (I4, G8).

    selection      which of them are asked for         reading        the topic, read for these
    redriven       which were sent again               counts         how many there are, by flow and reason
    outcome        what a redrive does with one        circumstances  what it meets now
    plan           all looked at once: the order of lanes
    redrive        sent again, by the batch, and marked

`selection`, `outcome` and `plan` are pure; the wire format is in schemas/wire/dead_letters.py.
"""
