"""Read when a token says that it ends, where it is a JWT (RFC 7519), which is not verified: that is Kafka's."""

import json
from base64 import urlsafe_b64decode
from math import isfinite


def end_of(token: str) -> float | None:
    """Give its `exp`, in seconds since 1970; None for what is no JWT, or says nothing."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:  # also of base64 and of UTF-8
        return None
    end = claims.get("exp") if isinstance(claims, dict) else None
    if not isinstance(end, int | float) or isinstance(end, bool):
        return None
    try:
        return float(end) if isfinite(end) else None
    except OverflowError:
        return None
