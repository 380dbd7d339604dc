"""Every error that Kinesis may give, by what delivery must do about it: (HTTP status, code)."""

THROTTLED = (
    (400, "ProvisionedThroughputExceededException"),
    (400, "ThrottlingException"),
    (400, "LimitExceededException"),
    (400, "KMSThrottlingException"),
    (429, "TooManyRequestsException"),
)
AMBIGUOUS = (
    (500, "InternalFailure"),
    (500, "InternalServerError"),
    (503, "ServiceUnavailable"),
    (502, "BadGateway"),
    (504, "GatewayTimeout"),
    (400, "RequestTimeout"),
    (408, "RequestTimeoutException"),
)
REFUSED = (
    (400, "AccessDeniedException"),
    (403, "AccessDenied"),
    (400, "ResourceNotFoundException"),
    (400, "ResourceInUseException"),
    (400, "KMSAccessDeniedException"),
    (400, "KMSDisabledException"),
    (400, "KMSInvalidStateException"),
    (400, "KMSNotFoundException"),
    (400, "KMSOptInRequired"),
    (400, "ExpiredTokenException"),
    (400, "UnrecognizedClientException"),
    (403, "InvalidSignatureException"),
    (403, "SignatureDoesNotMatch"),
    (400, "RequestExpired"),
)
REJECTED = (
    (400, "InvalidArgumentException"),
    (400, "ValidationException"),
    (400, "SerializationException"),
    (413, "RequestEntityTooLargeException"),
)
UNKNOWN = ((400, "NobodyKnowsThisException"), (418, "NobodyKnowsThisStatus"))
