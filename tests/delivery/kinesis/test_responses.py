"""The meaning of a response of PutRecords (G4): every row of the table."""

from typing import Any

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from hypothesis import given
from hypothesis import strategies as st

from processor.delivery.kinesis.faults import BrokenResponse, DestinationUnusable, FaultKind, PauseReason
from processor.delivery.kinesis.responses import MAX_MESSAGE_CHARACTERS, Classification, classify_response

GOOD = {"SequenceNumber": "49", "ShardId": "shardId-0"}

THROTTLED, AMBIGUOUS, NOT_SENT, REFUSED, REJECTED, UNKNOWN = FaultKind

CODES = [
    *((code, 400, THROTTLED, None) for code in (
        "ProvisionedThroughputExceededException", "ThrottlingException", "Throttling", "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException", "TooManyRequestsException", "RequestLimitExceeded", "LimitExceededException",
        "BandwidthLimitExceeded", "SlowDown", "KMSThrottlingException",
    )),
    ("429", 429, THROTTLED, None),
    *((code, 500, AMBIGUOUS, None) for code in (
        "InternalFailure", "InternalFailureException", "InternalServerError", "InternalServerException",
        "InternalError",
        "ServiceUnavailable", "ServiceUnavailableException", "500", "502", "503", "504", "SomethingNew",
    )),
    ("RequestTimeout", 400, AMBIGUOUS, None),
    ("RequestTimeoutException", 400, AMBIGUOUS, None),
    ("408", 408, AMBIGUOUS, None),
    *((code, 400, REJECTED, None) for code in (
        "InvalidArgumentException", "ValidationException", "ValidationError", "SerializationException",
        "InvalidParameterValue",
        "RequestEntityTooLarge", "RequestEntityTooLargeException", "RequestTooLargeException",
    )),
    ("413", 413, REJECTED, None),
    ("SomethingLong", 413, REJECTED, None),
    *((code, 400, REFUSED, PauseReason.ACCESS_DENIED) for code in (
        "AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "NotAuthorized", "AuthorizationError",
        "OptInRequired",
        "SubscriptionRequiredException", "SubscriptionRequired",
    )),
    ("403", 403, REFUSED, PauseReason.ACCESS_DENIED),
    ("401", 401, REFUSED, PauseReason.ACCESS_DENIED),
    ("SomethingNew", 403, REFUSED, PauseReason.ACCESS_DENIED),
    *((code, 400, REFUSED, PauseReason.CREDENTIALS_REFUSED) for code in (
        "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch",
        "IncompleteSignature",
        "IncompleteSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
        "ExpiredToken",
        "ExpiredTokenException", "AuthFailure",
    )),
    ("InvalidSignatureException", 403, REFUSED, PauseReason.CREDENTIALS_REFUSED),
    *((code, 400, REFUSED, PauseReason.CLOCK) for code in ("RequestExpired", "RequestTimeTooSkewed")),
    *((code, 400, REFUSED, PauseReason.ENCRYPTION_KEY_UNUSABLE) for code in (
        "KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException",
        "KMSOptInRequired",
    )),
    ("ResourceNotFoundException", 400, REFUSED, PauseReason.STREAM_NOT_FOUND),
    ("ResourceInUseException", 400, REFUSED, PauseReason.STREAM_NOT_READY),
    ("UnknownOperationException", 404, REFUSED, PauseReason.DESTINATION_UNUSABLE),
    ("404", 404, REFUSED, PauseReason.DESTINATION_UNUSABLE),
    ("DryRunOperationException", 400, UNKNOWN, None),
    ("SomethingNew", 400, UNKNOWN, None),
    ("407", 407, REFUSED, PauseReason.DESTINATION_UNUSABLE),
    ("SomethingNew", 407, REFUSED, PauseReason.DESTINATION_UNUSABLE),
    ("", 400, UNKNOWN, None),
    ("", 503, AMBIGUOUS, None),
    ("com.amazonaws.kinesis#ResourceNotFoundException", 400, REFUSED, PauseReason.STREAM_NOT_FOUND),
]  # fmt: skip


def client_error(code: str, status: int, message: str = "said so") -> boto.ClientError:
    return boto.ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutRecords"
    )


@pytest.mark.parametrize(("code", "status", "kind", "pause"), CODES)
def test_g4_a_failed_call_is_judged_by_its_code_and_else_by_its_status(
    code: str, status: int, kind: FaultKind, pause: PauseReason | None
) -> None:
    outcome = classify_response(client_error(code, status), 3)

    assert [outcome.of(index) for index in range(3)] == [outcome.whole] * 3
    assert outcome.whole is not None
    assert (outcome.whole.kind, outcome.whole.pause, outcome.whole.message) == (kind, pause, "said so")


ERRORS: list[tuple[Exception, FaultKind, PauseReason | None]] = [
    (boto.EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), NOT_SENT, None),
    (boto.ConnectTimeoutError(endpoint_url="http://127.0.0.1:1"), NOT_SENT, None),
    (boto.ProxyConnectionError(proxy_url="http://127.0.0.1:1"), NOT_SENT, None),
    (
        boto.ProxyConnectionError(proxy_url="http://127.0.0.1:1", error="Tunnel connection failed: 503 Busy"),
        NOT_SENT,
        None,
    ),
    (
        boto.ProxyConnectionError(proxy_url="http://127.0.0.1:1", error="Tunnel connection failed: 429 Slowly"),
        NOT_SENT,
        None,
    ),
    (boto.ReadTimeoutError(endpoint_url="http://127.0.0.1:1"), AMBIGUOUS, None),
    (boto.ConnectionClosedError(endpoint_url="http://127.0.0.1:1"), AMBIGUOUS, None),
    (boto.ResponseStreamingError(error="cut"), AMBIGUOUS, None),
    (boto.HTTPClientError(error="cut"), AMBIGUOUS, None),
    (boto.SSLError(endpoint_url="https://127.0.0.1:1", error="cut"), AMBIGUOUS, None),
    (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), AMBIGUOUS, None),
    (ResponseParserError("no XML"), AMBIGUOUS, None),
    (ConnectionResetError(), AMBIGUOUS, None),
    (BrokenResponse("a success of 0 bytes that are not JSON"), AMBIGUOUS, None),
    (boto.NoCredentialsError(), REFUSED, PauseReason.CREDENTIALS_MISSING),
    (
        boto.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        REFUSED,
        PauseReason.CREDENTIALS_MISSING,
    ),
    (boto.CredentialRetrievalError(provider="assume-role", error_msg="no"), REFUSED, PauseReason.CREDENTIALS_MISSING),
    (boto.ProfileNotFound(profile="nobody"), REFUSED, PauseReason.CREDENTIALS_MISSING),
    (boto.UnauthorizedSSOTokenError(), REFUSED, PauseReason.CREDENTIALS_MISSING),
    (boto.InvalidRegionError(region_name="no where"), REFUSED, PauseReason.DESTINATION_UNUSABLE),
    (boto.NoRegionError(), REFUSED, PauseReason.DESTINATION_UNUSABLE),
    (
        DestinationUnusable(PauseReason.CREDENTIALS_MISSING, "SECRET is not set"),
        REFUSED,
        PauseReason.CREDENTIALS_MISSING,
    ),
    (RuntimeError("never seen before"), UNKNOWN, None),
]


@pytest.mark.parametrize(
    ("error", "kind", "pause"), ERRORS, ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None
)
def test_g4_a_call_without_a_response_is_judged_by_what_the_client_raised(
    error: Exception, kind: FaultKind, pause: PauseReason | None
) -> None:
    whole = classify_response(error, 2).whole

    assert whole is not None
    assert (whole.kind, whole.pause, whole.code) == (kind, pause, type(error).__name__)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("code", ["", "301", "AccessDeniedException", "InternalFailure"])
def test_g11_a_redirect_pauses_the_flow_whatever_its_body_says(status: int, code: str) -> None:
    about = {"HTTPStatusCode": status, "HTTPHeaders": {"location": "https://login.example.com/"}}
    whole = classify_response(
        boto.ClientError({"Error": {"Code": code, "Message": "<html>"}, "ResponseMetadata": about}, "PutRecords"), 1
    ).whole

    assert whole is not None
    assert (whole.kind, whole.pause) == (REFUSED, PauseReason.DESTINATION_UNUSABLE)
    assert (whole.code, whole.message) == (str(status), "to https://login.example.com/")


@pytest.mark.parametrize("said", ["407 Proxy Authentication Required", "403 Forbidden"])
def test_g11_a_proxy_that_does_not_let_us_through_pauses_the_flow(said: str) -> None:
    error = boto.ProxyConnectionError(
        proxy_url="http://127.0.0.1:1", error=OSError(f"Tunnel connection failed: {said}")
    )

    whole = classify_response(error, 1).whole

    assert whole is not None
    assert (whole.kind, whole.pause, whole.code) == (REFUSED, PauseReason.DESTINATION_UNUSABLE, said[:3])


KEY_CODES = (
    "KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException",
    "KMSOptInRequired",
    "KMSThrottlingException",
)  # fmt: skip


@pytest.mark.parametrize("code", KEY_CODES)
def test_g11_what_is_wrong_with_a_customers_key_is_told_in_words_with_the_permission_that_a_writer_needs(
    code: str,
) -> None:
    for response in (client_error(code, 400), {"Records": [{"ErrorCode": code, "ErrorMessage": "said so"}]}):
        fault = classify_response(response, 1).of(0)

        assert "kms:GenerateDataKey" in str(fault)
        assert str(fault).startswith(f"{code}: the stream is encrypted with a customer's key")
        assert str(fault).endswith("; said so")


def test_g11_a_policy_without_the_permission_on_the_key_is_no_missing_permission_of_kinesis() -> None:
    said = "User: arn:aws:iam::123456789012:user/x is not authorized to perform: kms:GenerateDataKey on resource: k"

    whole = classify_response(client_error("AccessDeniedException", 400, said), 1).whole

    assert whole is not None
    assert whole.pause is PauseReason.ENCRYPTION_KEY_UNUSABLE


def test_g4_an_error_that_says_nothing_at_all_is_unknown() -> None:
    whole = classify_response(boto.ClientError({}, "PutRecords"), 1).whole

    assert whole is not None
    assert whole.kind is UNKNOWN


@pytest.mark.parametrize(
    "response",
    [
        None, [], "", 7, b"{}", {}, {"Records": None}, {"Records": {}}, {"Records": "ab"}, {"FailedRecordCount": 0},
        {"Records": []}, {"Records": [GOOD]}, {"Records": [GOOD, GOOD, GOOD]},
    ],
)  # fmt: skip
def test_g4_a_success_that_does_not_answer_for_every_record_leaves_all_in_doubt(response: object) -> None:
    """Boto3 takes a broken or empty 200 for a success."""
    whole = classify_response(response, 2).whole

    assert whole is not None
    assert whole.kind is AMBIGUOUS


@pytest.mark.parametrize(
    "entry", [GOOD, {**GOOD, "ErrorCode": None}, {**GOOD, "ErrorCode": None, "ErrorMessage": None}]
)
def test_g4_an_entry_with_a_sequence_number_and_no_error_is_delivered(entry: object) -> None:
    """`ErrorCode` may be present and null."""
    assert classify_response({"Records": [entry, GOOD]}, 2) == Classification()


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        "",
        0,
        {},
        {"ShardId": "shardId-0"},
        {"SequenceNumber": None},
        {"SequenceNumber": ""},
        {"ErrorCode": ""},
    ],
)
def test_g4_an_entry_that_says_nothing_is_in_doubt_and_the_others_are_not(entry: object) -> None:
    outcome = classify_response({"Records": [GOOD, entry, GOOD]}, 3)

    assert [fault.kind if (fault := outcome.of(index)) else None for index in range(3)] == [None, AMBIGUOUS, None]


@pytest.mark.parametrize(
    ("code", "kind", "pause"),
    [
        ("ProvisionedThroughputExceededException", THROTTLED, None),
        ("KMSThrottlingException", THROTTLED, None),
        ("InternalFailure", AMBIGUOUS, None),
        ("InvalidArgumentException", REJECTED, None),
        ("AccessDeniedException", REFUSED, PauseReason.ACCESS_DENIED),
        ("SomethingNew", UNKNOWN, None),
        (17, UNKNOWN, None),
    ],
)
def test_g4_only_the_entries_that_failed_have_faults(code: object, kind: FaultKind, pause: PauseReason | None) -> None:
    outcome = classify_response(
        {"FailedRecordCount": 1, "Records": [GOOD, {"ErrorCode": code, "ErrorMessage": "said so"}]}, 2
    )

    assert outcome.whole is None
    assert outcome.of(0) is None
    fault = outcome.of(1)
    assert fault is not None
    assert (fault.kind, fault.pause, fault.code, fault.message) == (kind, pause, str(code), "said so")


@pytest.mark.parametrize(
    ("said", "pause"),
    [
        (
            "Signature expired: 20260111T223733Z is now earlier than 20260111T233233Z (20260111T233733Z - 5 min.)",
            PauseReason.CLOCK,
        ),
        (
            (
                "Signature not yet current: 20260112T003733Z is still later than 20260111T234233Z (20260111T233733Z + 5"
                " min.)"
            ),
            PauseReason.CLOCK,
        ),
        (
            "The request signature we calculated does not match the signature you provided.",
            PauseReason.CREDENTIALS_REFUSED,
        ),
    ],
)
@pytest.mark.parametrize("code", ["InvalidSignatureException", "SignatureDoesNotMatch"])
def test_g4_a_signature_of_another_time_is_told_apart_from_one_with_another_secret(
    code: str, said: str, pause: PauseReason
) -> None:
    """Kinesis has one code for both, STS another one."""
    whole = classify_response(client_error(code, 403, said), 1).whole

    assert whole is not None
    assert (whole.kind, whole.pause) == (REFUSED, pause)


def test_an_error_beats_a_sequence_number() -> None:
    assert classify_response({"Records": [{**GOOD, "ErrorCode": "InternalFailure"}]}, 1).of(0) is not None


def test_a_fault_reads_as_one_line_of_bounded_length() -> None:
    whole = classify_response(client_error("AccessDeniedException", 400, "x" * 10_000), 1).whole

    assert str(whole) == "AccessDeniedException: " + "x" * MAX_MESSAGE_CHARACTERS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("1"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Records", "ErrorCode", "SequenceNumber", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON | JSON.map(lambda value: {"Records": [value, GOOD]}), st.integers(1, 3))
def test_whatever_is_answered_nothing_counts_as_delivered_without_a_sequence_number(response: Any, count: int) -> None:
    """G1: no record is ever taken for delivered by accident."""
    outcome = classify_response(response, count)

    for index in range(count):
        if outcome.of(index) is None:
            entry = response["Records"][index]
            assert entry["SequenceNumber"]
            assert entry.get("ErrorCode") is None
