"""What the tour and the tests stand on: everything a worker talks to, made up and on loopback. And the tour.

    broker      an embedded Kafka-protocol broker        endpoint    a Kinesis endpoint (moto); both child processes (child)
    shop        a made-up shop's profile events, of customers to whom happenings happen, and poison
    scenery     its audiences and flows (demo.yaml)

    tour ─ stage ─ story ─ worker        broker and endpoint, then events, a crash, a restart (progress, steps, waiting,
                                         interruption)
      ├─ verdict                         what came out (evidence) against replay (expectation): comparison, walk
      └─ findings ─ report ─ screen      what is shown, causes in words

Nothing here is part of a deployment. All processes end with the one that started them.
"""
