"""Dead letters, looked at and sent again (contract I4, G8). Pure: records in, decisions out.

    letter      a record of `dead-letters`, read
    selection   which of them are asked for
    fate        where one goes when it is sent again, or why it is left
    tally       how many there are, by flow and reason
    survey      all of them looked at once: how many, and which lanes must be put in order

Called by the commands; what reads and writes Kafka is processor/dead_letters/redriven.py and processor/dead_letters/redrive.py.
"""
