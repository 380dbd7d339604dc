"""profile-exporter turns profile events on Kafka into profile state and export records in Amazon Kinesis.

From the top, a package imports only what stands below it:

    app       what `faust -A processor.app worker` names             cli       the commands
    api       the control API over HTTP                              demo      the tour
    audience_import   CSV files as events                            verify    does what left equal replay?
    control   what may be changed      dead_letters   redriven       privacy   profiles deleted
    sandbox   made-up broker, endpoint, shop                         worker    a worker, composed
    files     event logs, flows and audiences as files               catalog   flows and audiences as they stand now
    pipeline  events to rows and exports        delivery   exports to Kinesis
    kafka     plain clients                     transport  Faust's transport, a batch at a time
    login     tokens for Kafka                  supervisor several workers under one command
    core      pure: fold, decide, render        foundation settings, secrets, errors, logs, tasks

Below them stand the packages `state` and `schemas`. docs/contract.md holds the rules that docstrings and tests cite by
number, docs/contract-map.md their homes, docs/architecture.md the way of one event.
"""
