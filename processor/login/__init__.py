"""How Kafka lets us in by a token: where it comes from, how long it lasts, when the next one is made.

No Kafka client here.

    settings ─► source: client_credentials (an OAuth 2.0 endpoint) ─┐
                        token_file (somebody else's)                ├─► renewal: one token a process ─► librdkafka, aiokafka
                        msk (AWS IAM, signed here)                  ┘        made again before it ends

    fields        the settings of logins, and which of them go together
    token         a token, and why there is none
    jwt           when a token says that it ends
    of_settings   the tokens that the settings ask for: one place for both clients

What the two clients want of it stands in processor/kafka/connection.py and processor/kafka/token_provider.py. Tokens
and secrets are never logged, and stand in no error.
"""
