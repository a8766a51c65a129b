"""The public keys, for everybody, as a JSON Web Key Set (RFC 7517): those that receipts and evidence files are checked
with (`sig`), and the one that platforms seal reports for which travel by Kafka (`enc`)."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from records.keys.signing import jwks
from web.security import DeskOf

router = APIRouter()
PATH = "/.well-known/likeness-signing-keys.json"


@router.get(PATH)
def signing_keys(desk: DeskOf) -> Response:
    keys = jwks(desk.signing.public_keys())
    if desk.settings.topics.reports:
        keys["keys"].append(desk.sealing.public_key())
    return JSONResponse(keys, headers={"Cache-Control": "public, max-age=300"})
