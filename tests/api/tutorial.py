"""The calls of a tutorial for Adobe's Flow Service, one after the other, with any HTTP client."""

from typing import Any

from httpx2 import Client, Response

BASE = "/data/foundation/flowservice"
KINESIS = "86043421-563b-46ec-8e6c-e23184711bf6"
PROFILE_SERVICE = "8a9c3494-9708-43d7-ae3f-cda01e5030e1"
FLOW_SPEC = "71471eba-b620-49e4-90fd-23f1fa0174d8"
SECRET = "planted+secret/of+forty/characters+exactly"
HEADERS = {"Authorization": "Bearer token", "x-api-key": "key", "x-gw-ims-org-id": "org", "x-sandbox-name": "prod"}


class Tutorial:
    """`client` has the base URL of the service."""

    def __init__(self, client: Client, endpoint: str | None = None, stream: str = "vip-profiles") -> None:
        self.client = client
        self.endpoint = endpoint
        self.stream = stream

    def post(self, path: str, body: Any) -> dict[str, Any]:
        answer = self.client.post(f"{BASE}{path}", json=body, headers=HEADERS)
        assert answer.status_code == 201, answer.text
        assert answer.headers["location"].endswith(answer.json()["id"])
        return dict(answer.json())

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        answer = self.client.get(f"{BASE}{path}", params=params, headers=HEADERS)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def patch(self, path: str, operations: list[dict[str, Any]], etag: str) -> Response:
        return self.client.patch(f"{BASE}{path}", json=operations, headers=HEADERS | {"If-Match": etag})

    def one(self, path: str) -> dict[str, Any]:
        (item,) = self.get(path)["items"]
        return dict(item)

    def connect_source(self) -> str:
        base = self.post(
            "/connections", {"name": "profiles", "connectionSpec": {"id": PROFILE_SERVICE, "version": "1.0"}}
        )
        body = {
            "name": "profiles",
            "baseConnectionId": base["id"],
            "connectionSpec": {"id": PROFILE_SERVICE, "version": "1.0"},
        }
        return str(self.post("/sourceConnections", body | {"data": {"format": "json"}, "params": {}})["id"])

    def connect_base(self, secret: str = SECRET) -> str:
        place = {"region": "us-east-2"} | ({} if self.endpoint is None else {"connectionUrl": self.endpoint})
        auth = {
            "specName": "Aws Kinesis authentication credentials",
            "params": {"accessKeyId": "AKIDEXAMPLE", "secretKey": secret, **place},
        }
        return str(
            self.post(
                "/connections", {"name": "kinesis", "connectionSpec": {"id": KINESIS, "version": "1.0"}, "auth": auth}
            )["id"]
        )

    def connect_target(self, base_id: str, **params: Any) -> str:
        body = {
            "name": "stream",
            "baseConnectionId": base_id,
            "connectionSpec": {"id": KINESIS, "version": "1.0"},
            "data": {"format": "json"},
        }
        return str(
            self.post(
                "/targetConnections", body | {"params": {"stream": self.stream, "region": "us-east-2", **params}}
            )["id"]
        )

    def create_flow(self, source_id: str, target_id: str, **more: Any) -> dict[str, Any]:
        selectors = {"profileSelectors": {"selectors": []}, "segmentSelectors": {"selectors": []}}
        return self.post(
            "/flows",
            {
                "name": "VIPs to Kinesis",
                "description": "of the tutorial",
                "flowSpec": {"id": FLOW_SPEC, "version": "1.0"},
                "sourceConnectionIds": [source_id],
                "targetConnectionIds": [target_id],
                "transformations": [{"name": "GeneralTransform", "params": selectors}],
                **more,
            },
        )

    def whole(self) -> dict[str, Any]:
        """Source, base, target and flow."""
        return self.create_flow(self.connect_source(), self.connect_target(self.connect_base()))

    def map(self, flow_id: str, etag: str) -> Response:
        """An audience and an attribute, as Adobe's clients send them."""
        return self.patch(
            f"/flows/{flow_id}",
            [
                {
                    "op": "add",
                    "path": "/transformations/0/params/segmentSelectors/selectors/-",
                    "value": {
                        "type": "PLATFORM_SEGMENT",
                        "value": {"id": "aud-delorean", "name": "DeLorean owners", "description": "of the future"},
                    },
                },
                {
                    "op": "add",
                    "path": "/transformations/0/params/profileSelectors/selectors/-",
                    "value": {"type": "JSON_PATH", "value": {"operator": "EXISTS", "path": "personalEmail.address"}},
                },
            ],
            etag,
        )
