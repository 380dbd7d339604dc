"""The sandbox: everything that a worker talks to, made up and on loopback. The tour and the tests stand on it.

    broker           an embedded Kafka-protocol broker        endpoint         a Kinesis endpoint (moto)
    child            both as child processes                  streams          streams of such an endpoint, read back
    worker_process   a worker and commands, as processes      waiting, errors  for a condition; where it does not hold

    shop             a made-up shop's profile events          customers        who its customers are
    event_generators the events of a customer                 bad_events       events that no worker can use
    flows            the shop's audiences and flows (shop.yaml)

Nothing here is part of a deployment. All processes end with the one that started them.
"""
