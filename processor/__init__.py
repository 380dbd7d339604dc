"""profile-exporter: profile events on Kafka become profile state and export records in Amazon Kinesis.

    core        pure: fold, decide, render                    pipeline   the processing shell: batches in, records and rows out
    delivery    the Kinesis shell: lanes, calls, answers      catalog    flows and audiences as they stand now
    transport   one Faust event a (partition, fetch)          agents     thin Faust agents
    kafka       topics, readers, writers                      app        the composition root: `faust -A processor.app worker`
    cli         the commands                                  demo       the tour: broker, endpoint, shop, story

docs/architecture.md draws it; docs/contract.md holds the rules that docstrings and tests cite by number.
"""
