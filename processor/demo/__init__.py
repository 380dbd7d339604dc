"""What the tour and the tests stand on: everything a worker talks to, made up and on loopback.

    broker      an embedded Kafka-protocol broker, a child process     shop        a made-up shop: its profile events
    endpoint    a Kinesis endpoint (moto), a child process             demo.yaml   its audiences and flows

Nothing here is part of a deployment. Both child processes end with the process that started them.
"""
