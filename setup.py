"""Builds the package; all that is fixed stands in pyproject.toml.

    pip wheel .        has mypyc turn the hot path into C: the same sources and the same answers, in half the time

That needs a C compiler and Python's headers; where they are missing the build says so, and the same modules are
interpreted.

    BUILD_COMPILED=0   a wheel of Python alone            BUILD_COMPILED=1    no wheel rather than that
    BUILD_OPT_LEVEL=1  have the C compiler optimise less, in two thirds of the time: for tests

An editable install is never compiled: what is beside a source that somebody changes would be stale. A working copy has
`make setup` (hot_path/).
"""

import os
import shutil
import sys
import sysconfig
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

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


def missing_for_compiling() -> str:
    """Return what compiling lacks on this machine, in words; an empty text: nothing."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler})"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "there are no headers of Python (Python.h)"
    return "" if find_spec("mypyc") is not None else "there is no mypyc"


def compiles(commands: Collection[str]) -> bool:
    """Return whether setuptools' commands compile the hot path; say where they would, and cannot."""
    asked, is_editable = os.environ.get("BUILD_COMPILED"), "editable_wheel" in commands
    if asked == "0" or is_editable or not {"bdist_wheel", "build_ext"}.intersection(commands):
        return False
    missing = missing_for_compiling()
    if missing and asked == "1":
        sys.exit(f"BUILD_COMPILED=1: {missing}")
    if missing:
        print(f"The hot path is not compiled, so an event costs up to twice the CPU: {missing}.", file=sys.stderr)
    return not missing


if __name__ == "__main__":
    from setuptools import setup

    if compiles(sys.argv):
        from mypyc.build import mypycify

        setup(ext_modules=mypycify(HOT_PATH, opt_level=os.environ.get("BUILD_OPT_LEVEL", "3"), debug_level="0"))
    else:
        setup()
