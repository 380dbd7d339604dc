"""Measurements by hand (`make bench`): not tests, no thresholds. Everything runs on loopback, and ends by itself.

    events       profile events of the size that production has        canned      a Kinesis endpoint that answers at once
    whole_job    events → state, changelog, exports → PutRecords, one worker process, the steady middle of the run
"""
