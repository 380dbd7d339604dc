"""Log in to Kafka by a token: where it comes from, how long it lasts, when the next one is made.

No Kafka client here.

    settings ─► source: client_credentials (an OAuth 2.0 endpoint) ─┐
                        token_file (somebody else's)                ├─► renewal: one a process ─► librdkafka, aiokafka
                        msk (AWS IAM, signed here)                  ┘   made again before it ends

    token         a token, and why there is none
    jwt           when a token says that it ends
    of_settings   the tokens that the settings ask for: one place for both clients

The settings themselves are in processor/foundation/login_fields.py. What the two clients want of a token stands in
processor/kafka/connection.py and processor/kafka/token_provider.py. Tokens and secrets are never logged, and stand in
no error.
"""
