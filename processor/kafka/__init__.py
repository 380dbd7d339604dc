"""Plain Kafka, for the commands and for what the worker does beside its stream. No Faust here.

    connection   settings → what the clients take        errors    what can be wrong with a broker, with the remedy
    topics       our topics, as they should be           admin     create what is missing, compare, require
    reading      a topic to its end, a group's lag       writing   records out, acknowledged or refused by name
    token_provider  our tokens as aiokafka takes them (`processor.login`)
    queueing     a record into librdkafka's queue, when it has room
    timestamps   which ones a topic takes                ends      where partitions end, and what is shown of them
    neighbours   other installations with names of ours  safety    what of topics' configuration would lose something
    ground       what a worker stands on, judged for it, `check` and `init`
    limits       what a topic takes, as it says itself   origins   which event a record comes of
    letter_batches    dead letters, compressed so that they fit
    memberships  who is in an audience                   deletions profiles deleted on request, and what became of each
    catalog_records   flows and audiences as records of their topics
    rights            what is not checked without the right to describe topics
    own_records       what a log committed and has not read yet
    audit_events      which etags the topic `audit-events` names

Every reader is `read_committed`, every producer keys with Kafka's own murmur2 (design 2).
"""
