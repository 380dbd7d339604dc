"""The benchmark's job in stock Faust: faust -A benchmarks.peers.stock_faust.job worker

Table and topics by its normal API. Values pass as bytes, so that orjson reads and writes them instead of Faust's slower
codec.
"""

import os

import faust
import orjson

from benchmarks.peers.rules import apply

app = faust.App(
    os.environ["BENCH_GROUP"],
    broker=f"kafka://{os.environ['BENCH_BROKER']}",
    store="rocksdb://",
    datadir=os.environ["BENCH_FOLDER"],
    key_serializer="raw",
    value_serializer="raw",
    topic_partitions=int(os.environ["BENCH_PARTITIONS"]),
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
    broker_commit_interval=0.5,
    producer_linger=0.05,
    producer_compression_type="snappy",
    producer_max_batch_size=256 * 1024,
    stream_wait_empty=False,
    stream_recovery_delay=0.0,
)
events = app.topic(os.environ["BENCH_EVENTS"], key_type=bytes, value_type=bytes)
exports = app.topic(os.environ["BENCH_EXPORTS"], key_type=bytes, value_type=bytes)
profiles = app.Table("profiles", key_type=bytes, value_type=bytes, options={"driver": "rocksdict"})


@app.agent(events)
async def process(stream: faust.StreamT[bytes]) -> None:
    """Each event; its record leaves without waiting for the broker."""
    async for key, value in stream.items():
        row = profiles.get(key)
        profile = {} if row is None else orjson.loads(row)
        record = apply(profile, orjson.loads(value))
        profiles[key] = orjson.dumps(profile)
        if record is not None:
            await exports.send(key=key, value=orjson.dumps(record))
