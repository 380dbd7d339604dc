"""The same job in other stream processors, each in one process: profile events → state, changelog, exports.

    rules            fold, decide and record for the benchmark's flow, in plain Python (Quix Streams, stock Faust)
    kafka_streams   Java, from Maven    quix_streams   pip, in its own venv    stock_faust   the project's own Faust

Their rules are the short form of ours: merge patches of well-formed events, one flow, no dead letters. What they send
must equal what ours sends (`benchmarks.exports`).
"""
