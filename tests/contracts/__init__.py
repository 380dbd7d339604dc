"""A suite for each port: what every form of it must do, the one in memory and the real one.

    partition_log   profile_rows   catalog_view   fetching                        ports of the pipeline
    destinations    stream         dead_letters   parked_rows   exports_reader    ports of delivery
    control_log     and memory_control_log, its form in memory                    the port of the control plane
    every_port      each Protocol in a module `ports` has a suite here

A suite names its `PORT` and its `FORMS`; the first form is the one in memory, by which other tests replace the real
one. Forms in memory: tests/pipeline/fakes.py, tests/delivery/fakes.py, memory_control_log.
"""
