"""Several worker processes of one machine under one supervisor: one command, one log, one exit code; no Faust in it.

                      ┌── process 1: a worker in DATA_DIR
    supervisor ───────┼── process 2: a worker in DATA_DIR/processes/2
                      └── process 3: …

    running ──── a process ends with 2 or 3, SIGTERM, Ctrl-C ───► stopping: SIGTERM to all ─── all ended ──► exit code
      ▲  │
      │  └─ a process ends otherwise ─► started again after 1, 2, 4 … 60 s; the others go on
      └─────────┘

run            the composition: settings in, exit code out
count          how many processes                 cores          how many cores this process may use
own            what each process has of its own: directory, port, name
orphans        processes of a supervisor that was killed, waited for
decisions      pure: what an end means            supervision    starts, waits, stops, by what was decided
child          one process                        program        how it is started
log_lines      its lines, split and marked        log_writer     lines on their way to stderr

What a process does when its supervisor is gone is in `processor.foundation.supervised`.
"""
