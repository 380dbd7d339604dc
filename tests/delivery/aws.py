"""An account of moto's: users and roles with policies, asked for each call."""

import json
import urllib.request
from typing import Any
from uuid import uuid4

import boto3

REGION = "us-east-2"
UNASKED = 1_000_000


def ask_iam(url: str, after: int = 0) -> None:
    """From now on, or after so many requests (moto's documentation, "IAM-like access control")."""
    request = urllib.request.Request(
        f"{url}/moto-api/reset-auth", data=str(after).encode(), headers={"Content-Type": "text/plain"}
    )
    urllib.request.urlopen(request, timeout=10).close()


def a_user(url: str, *actions: str) -> dict[str, str]:
    """A new user who may do these: access key and secret."""
    iam, name = iam_client(url), f"user-{uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    if actions:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=allow(*actions))
    return {"ACCESS_KEY_ID": key["AccessKeyId"], "SECRET": key["SecretAccessKey"]}


def a_role(url: str, *actions: str) -> str:
    """The ARN of a new role that may do these, and that anybody of the account may assume."""
    iam, name = iam_client(url), f"role-{uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    arn: str = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=allow(*actions))
    return arn


def give(url: str, owner: dict[str, str], user: dict[str, str], *actions: str) -> None:
    """Let a user do more, by one who may say so; IAM may be asked."""
    iam = iam_client(url, owner)
    name = next(
        each["UserName"]
        for each in iam.list_users()["Users"]
        if user["ACCESS_KEY_ID"] in keys_of(iam, each["UserName"])
    )
    iam.put_user_policy(UserName=name, PolicyName="more", PolicyDocument=allow(*actions))


def keys_of(iam: Any, user: str) -> list[str]:
    """Access key ids."""
    return [key["AccessKeyId"] for key in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]]


def iam_client(url: str, user: dict[str, str] | None = None) -> Any:
    """For a user; None: for anybody, while IAM is not asked."""
    key_id, secret = ("a", "b") if user is None else (user["ACCESS_KEY_ID"], user["SECRET"])
    return boto3.client(
        "iam", endpoint_url=url, region_name=REGION, aws_access_key_id=key_id, aws_secret_access_key=secret
    )


def allow(*actions: str) -> str:
    """A policy."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
