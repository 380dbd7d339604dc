"""The catalogue: fixed ids, as in Adobe's documentation of the Amazon Kinesis destination."""

from typing import Any, Final

KINESIS: Final = "86043421-563b-46ec-8e6c-e23184711bf6"
PROFILE_SERVICE: Final = "8a9c3494-9708-43d7-ae3f-cda01e5030e1"
STREAMING_FLOW: Final = "71471eba-b620-49e4-90fd-23f1fa0174d8"

KEYS: Final = "Aws Kinesis authentication credentials"
DEFAULT_CHAIN: Final = "Default credential chain"
ASSUME_ROLE: Final = "Assume role"
NAMED_PROFILE: Final = "Named profile"

_PLACE: Final = {
    "region": {"type": "string"},
    "connectionUrl": {"type": "string", "description": "another endpoint than AWS' own"},
}


def _auth(name: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "type": "KeyBased",
        "spec": {"type": "object", "properties": properties | _PLACE, "required": required},
    }


CONNECTION_SPECS: Final[list[dict[str, Any]]] = [
    {
        "id": KINESIS,
        "name": "Amazon Kinesis",
        "providerId": "14e34fac-d307-11e9-bb65-2a2ae2dbcce4",
        "version": "1.0",
        "type": "target",
        "authSpec": [
            _auth(
                KEYS,
                {
                    "accessKeyId": {"type": "string"},
                    "secretKey": {"type": "string", "format": "password", "description": "write-only"},
                },
                ["accessKeyId", "secretKey"],
            ),
            _auth(DEFAULT_CHAIN, {}, []),
            _auth(ASSUME_ROLE, {"roleArn": {"type": "string"}, "externalId": {"type": "string"}}, ["roleArn"]),
            _auth(NAMED_PROFILE, {"profile": {"type": "string"}}, ["profile"]),
        ],
        "attributes": {"isDestination": True, "category": "streaming"},
    },
    {
        "id": PROFILE_SERVICE,
        "name": "Profile Service",
        "providerId": "0ed90a81-07f4-4586-8190-b40eccef1c5a",
        "version": "1.0",
        "type": "source",
        "authSpec": [],
        "attributes": {"isSource": True},
    },
]

FLOW_SPECS: Final[list[dict[str, Any]]] = [
    {
        "id": STREAMING_FLOW,
        "name": "Streaming segment destinations",
        "version": "1.0",
        "sourceConnectionSpecIds": [PROFILE_SERVICE],
        "targetConnectionSpecIds": [KINESIS],
        "transformationSpecs": [{"name": "GeneralTransform"}],
        "attributes": {"isDestinationFlow": True},
    }
]
