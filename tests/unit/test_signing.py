"""Signatures that anybody can check: who signed, that nothing was changed, and that the key rests wrapped."""

import json

import pytest
from sqlalchemy import select

from records.database import open_database
from records.errors import MasterKeyError
from records.keys.keyring import DataKey, MasterKey
from records.keys.signing import SignatureWrong, SigningKeys, jwks, read_jwks, signed_json, verify, verify_json
from records.reports.schema_reports import SigningKeyRow
from tests.support.clock import Clock

KEY = MasterKey.of(bytes(32))


@pytest.fixture
def database(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'likeness.db'}")
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def signing(database):
    return SigningKeys(database, KEY, clock=Clock())


def test_what_is_signed_is_proven_by_the_public_key_as_others_get_it(signing):
    signature = signing.sign(b"that")
    (key,) = read_jwks(json.dumps(jwks(signing.public_keys())))
    verify(key, b"that", signature)
    assert signing.sign(b"this").key == signature.key, "one key signs it all"


def test_neither_another_document_nor_another_key_passes(signing, tmp_path):
    signature = signing.sign(b"that")
    (key,) = signing.public_keys()
    elsewhere = open_database(f"sqlite:///{tmp_path / 'other.db'}")
    elsewhere.migrate()
    others = SigningKeys(elsewhere, KEY)
    others.sign(b"that")
    (stranger,) = others.public_keys()
    elsewhere.close()
    forged = type(signature)(key=key.id, signature=others.sign(b"that").signature)
    for by, document, signed in (
        (key, b"this", signature),
        (stranger, b"that", signature),
        (key, b"that", forged),
        (key, b"that", type(signature)(key.id, "no base64!")),
        (key, b"that", type(signature)(key.id, signature.signature[:-3] + "x==")),
        (key, b"that", type(signature)(key.id, signature.signature, "HS256")),
    ):
        with pytest.raises(SignatureWrong):
            verify(by, document, signed)


def test_the_private_half_rests_wrapped_by_the_master_key(database, signing, tmp_path):
    signing.sign(b"that")
    with database.read() as session:
        row = session.scalars(select(SigningKeyRow)).one()
        with pytest.raises(MasterKeyError):
            DataKey.unwrap(row.id, row.wrapped, MasterKey.of(b"\1" * 32))
        private = DataKey.unwrap(row.id, row.wrapped, KEY).derive("signing")
    assert private not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_who_has_lost_the_master_key_signs_with_a_new_key_and_what_was_signed_before_stays_proven(database, signing):
    before = signing.sign(b"before")
    after = SigningKeys(database, MasterKey.of(b"\1" * 32)).sign(b"after")
    keys = {key.id: key for key in signing.public_keys()}
    assert before.key != after.key
    verify(keys[before.key], b"before", before)
    verify(keys[after.key], b"after", after)


def test_a_signed_document_may_be_laid_out_anew_but_not_changed(signing):
    document = {"erased": {"references": 2}, "why": "été"}
    text = signed_json(document, signing.sign(b'{"erased":{"references":2},"why":"\xc3\xa9t\xc3\xa9"}'))
    keys = signing.public_keys()
    assert verify_json(text, keys) == verify_json(json.dumps(json.loads(text)), keys) == document
    with pytest.raises(SignatureWrong, match="signature is not that"):
        verify_json(text.replace('"references": 2', '"references": 3'), keys)
    with pytest.raises(SignatureWrong, match="not among those given"):
        verify_json(text, [])


@pytest.mark.parametrize("text", ["", "[]", "{}", "7", '{"keys": 7}', '{"keys": [{"kty": "OKP"}]}', "[" * 100_000])
def test_what_is_no_key_set_is_refused(text):
    with pytest.raises(ValueError, match="no JSON Web Key Set"):
        read_jwks(text)
