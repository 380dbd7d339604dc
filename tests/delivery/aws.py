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
    request = urllib.request.Request(f"{url}/moto-api/reset-auth", data=str(after).encode(), headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(request, timeout=10).close()


def a_user(url: str, *actions: str) -> dict[str, str]:
    """A new user who may do these: access key and secret."""
    iam, name = iam_client(url), f"user-{uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    if actions:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=allow(*actions))
    return {"KEY_ID": key["AccessKeyId"], "SECRET": key["SecretAccessKey"]}


def a_role(url: str, *actions: str) -> str:
    """The ARN of a new role that may do these, and that anybody of the account may assume."""
    iam, name = iam_client(url), f"role-{uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=allow(*actions))
    return arn


def iam_client(url: str) -> Any:
    """For the account's owner; IAM must not be asked."""
    return boto3.client("iam", endpoint_url=url, region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b")


def allow(*actions: str) -> str:
    """A policy."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
