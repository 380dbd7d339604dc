"""profile-exporter: profile events on Kafka become profile state and export records in Amazon Kinesis.

    core            pure: fold, decide, render          configuration   the file of flows and audiences, checked whole
    cli             the commands                        event_log       event logs as files, in and out
    settings        every setting, checked              env_file        `.env`, read literally, below the environment

docs/contract.md holds the rules that docstrings and tests cite by number; CHANGELOG.md says what is not built yet.
"""
