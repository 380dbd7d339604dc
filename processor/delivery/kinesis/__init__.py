"""Amazon Kinesis through boto3: calls, what responses mean, credentials, and what a flow would be told.

client             PutRecords, with bodies of our own and raw responses
responses          what a response means for each entry (pure)
faults             what went wrong, by kind, and why to pause
error_codes        which code is which kind of fault (pure)
code_words         codes in words
fence              nothing is sent while partitions may be another worker's
credentials        a boto3 session as the destination says
endpoints          which addresses a flow may name, and what is sent there
preflight          would a flow be authorized? asked without writing
questions          what preflight asks, and its answers
stream_list        the streams of an account
stream_check       is the stream there?
preflight_words    why there is no access, and what to do
"""
