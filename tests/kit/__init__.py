"""The kit that tests and benchmarks stand on: a real Kafka, a Kinesis endpoint, an installation for each test.

    tools          what is fetched or built once into .tools/             compiled   the package with its hot path in C
    parallel       tests in several processes: one broker, the slowest first      ../durations.json   how long each took
    examples       laws draw the same examples in every run and on every machine
    distribution   what the broker is started from, fetched once by Maven into .tools/        pom.xml   which jars
    kafka          RealKafka: one JVM broker on loopback, to be stopped, killed, frozen and started again
    kinesis_local  KinesisLocal: a second Kinesis endpoint, fetched once by npm into .tools/  on_loopback.cjs  where
    brokers        the address that BROKER asks for: an existing broker, docker compose, or RealKafka
    topics         a topic of a name that nobody else has                 disk   a small file system, which can be full
    installation   APP_ID, TOPIC_PREFIX and data folder of one test, so that tests share the broker
    replayed       what replay makes of the events on the topic, with the catalog that was in force for each
    worker         a worker process, its exit code, its freezing          worker_template   what it is forked from
    whole_job      topics, streams, flows, events and real workers, and what they left held against replay
    load           events that flow while a test does something else
    crew           workers that are killed and started again, as a supervisor would
    rows           the rows that workers left, in the changelog and on disk, held against the fold

tests/conftest.py makes fixtures of them. Everything listens on 127.0.0.1 and ends with the process that started it.
Processes keep the bytecode of what they import (tests/__init__.py).
"""
