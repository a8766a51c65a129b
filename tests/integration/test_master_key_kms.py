"""The master key under AWS KMS. moto's server on 127.0.0.1 stands in for the service: it keeps keys, seals by them and
checks who asks, but it is not the service itself."""

import base64
import json

import boto3
import pytest
import requests
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from config import load_settings
from records.errors import MasterKeyError
from records.keys.keyring import DataKey
from records.keys.open_master_key import open_master_key

WHO = {"aws_access_key_id": "us", "aws_secret_access_key": "secret", "region_name": "eu-central-1"}


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def kms(endpoint, monkeypatch):
    """What a client of the service asks; the environment is that of a program which may."""
    for name, value in WHO.items():
        monkeypatch.setenv(name.upper(), value)
    return boto3.client("kms", endpoint_url=endpoint, **WHO)


@pytest.fixture
def key_id(kms):
    return kms.create_key()["KeyMetadata"]["KeyId"]


def opened(path, endpoint, key_id, create=True):
    keys = {"kms_key_id": key_id, "kms_region": "eu-central-1", "kms_endpoint": endpoint}
    return open_master_key(load_settings(keys=keys).keys, path, create=create)


def test_the_file_holds_the_key_sealed_for_nothing_else(tmp_path, endpoint, key_id, kms):
    path = tmp_path / "master.key.kms"
    made = opened(path, endpoint, key_id)
    again = opened(path, endpoint, key_id, create=False)
    assert again.ids == made.ids and made.current not in path.read_bytes()
    assert DataKey.unwrap("idn_a", DataKey.new("idn_a").wrap(made), again)
    with pytest.raises(ClientError, match="InvalidCiphertext"):
        kms.decrypt(CiphertextBlob=base64.b64decode(path.read_text()))


def test_a_rotation_puts_a_new_sealed_key_before_the_old_one(tmp_path, endpoint, key_id):
    path = tmp_path / "master.key.kms"
    running = opened(path, endpoint, key_id)
    old = DataKey.new("idn_a").wrap(running)
    running.source.add(running.current)
    assert len(running.ids) == 2 and DataKey.unwrap("idn_a", old, running)
    running.source.drop_older()
    (left,) = opened(path, endpoint, key_id).ids
    assert left == running.ids[0]
    with pytest.raises(MasterKeyError):
        DataKey.unwrap("idn_a", old, opened(path, endpoint, key_id))


def test_a_key_or_a_file_that_is_not_ours_is_named(tmp_path, endpoint, key_id, kms):
    path = tmp_path / "master.key.kms"
    opened(path, endpoint, key_id)
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    for wrong in (other, "no-such-key"):
        with pytest.raises(MasterKeyError, match=f"KMS refuses decrypt with the key {wrong}"):
            opened(path, endpoint, wrong)
    (tmp_path / "plain").write_text("plain")
    with pytest.raises(MasterKeyError, match="not one that KMS sealed"):
        opened(tmp_path / "plain", endpoint, key_id)


def test_a_service_that_is_away_is_named(tmp_path):
    with pytest.raises(MasterKeyError, match="KMS cannot be asked for generate_data_key"):
        opened(tmp_path / "master.key.kms", "http://127.0.0.1:1", "key")
    assert not list(tmp_path.iterdir())


def test_who_has_no_right_to_the_key_is_refused(tmp_path, endpoint, key_id, monkeypatch):
    path = tmp_path / "master.key.kms"
    iam = boto3.client("iam", endpoint_url=endpoint, **WHO)
    iam.create_user(UserName="stranger")
    allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="stranger", PolicyName="pictures", PolicyDocument=json.dumps(allowed))
    theirs = iam.create_access_key(UserName="stranger")["AccessKey"]
    opened(path, endpoint, key_id)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", theirs["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", theirs["SecretAccessKey"])
    requests.post(f"{endpoint}/moto-api/reset-auth", data=b"0", timeout=5)
    try:
        with pytest.raises(MasterKeyError, match="that we may use it") as refused:
            opened(path, endpoint, key_id)
        assert "not authorized" in str(refused.value.__cause__)
    finally:
        requests.post(f"{endpoint}/moto-api/reset-auth", data=b"inf", timeout=5)
