"""Builds the package; all that is fixed stands in pyproject.toml.

    BUILD_COMPILED=1 pip install --no-build-isolation .

turns the hot path into C with mypyc: the same sources and the same answers, in half the time. That needs a C compiler,
Python's headers, and in the environment what requirements.lock names. Without it the same modules are interpreted.
BUILD_OPT_LEVEL=1 has the C compiler optimise less, in a third of the time: for tests.
"""

import os

from setuptools import setup

HOT_PATH = [
    "processor/core/catalog.py",
    "processor/core/causes.py",
    "processor/core/changes.py",
    "processor/core/concerned.py",
    "processor/core/consent.py",
    "processor/core/content_mode.py",
    "processor/core/deadline.py",
    "processor/core/decide.py",
    "processor/core/expiry.py",
    "processor/core/envelope.py",
    "processor/core/flow_index.py",
    "processor/core/fold.py",
    "processor/core/identities.py",
    "processor/core/job_records.py",
    "processor/core/json_values.py",
    "processor/core/membership.py",
    "processor/core/numbers.py",
    "processor/core/parse.py",
    "processor/core/partition_key.py",
    "processor/core/partitioner.py",
    "processor/core/profile_id.py",
    "processor/core/record_ids.py",
    "processor/core/record_index.py",
    "processor/core/render.py",
    "processor/core/shape.py",
    "processor/core/step.py",
    "processor/core/unusable.py",
    "processor/delivery/kinesis/error_codes.py",
    "processor/delivery/kinesis/faults.py",
    "processor/delivery/kinesis/responses.py",
    "processor/delivery/lanes/backlog.py",
    "processor/delivery/backoff.py",
    "processor/delivery/lanes/budget.py",
    "processor/delivery/lanes/calls.py",
    "processor/delivery/lanes/lanes.py",
    "processor/delivery/limits.py",
    "processor/delivery/lanes/order_check.py",
    "processor/delivery/lanes/outbox.py",
    "processor/delivery/parking/parked_flow.py",
    "processor/delivery/parking/reader_position.py",
    "processor/delivery/ports.py",
    "processor/delivery/lanes/progress.py",
    "processor/delivery/lanes/sender.py",
    "processor/delivery/lanes/settlement.py",
    "processor/delivery/lanes/shard_map.py",
    "processor/delivery/lanes/shard_rates.py",
    "processor/core/counts.py",
    "processor/pipeline/deadlines.py",
    "processor/pipeline/bad_events.py",
    "processor/pipeline/decider.py",
    "processor/pipeline/identity_index.py",
    "processor/pipeline/profiles.py",
    "schemas/dead_letter.py",
    "schemas/event.py",
    "schemas/profile.py",
    "schemas/export.py",
    "schemas/kafka.py",
    "schemas/times.py",
    "schemas/xdm.py",
    "schemas/wire/dead_letters.py",
    "schemas/wire/exports.py",
    "schemas/wire/identity_index.py",
    "schemas/wire/profiles_changelog.py",
]

if os.environ.get("BUILD_COMPILED") == "1":
    from mypyc.build import mypycify

    setup(ext_modules=mypycify(HOT_PATH, opt_level=os.environ.get("BUILD_OPT_LEVEL", "3"), debug_level="0"))
else:
    setup()
