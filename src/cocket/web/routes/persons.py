"""What is held on a person, for the data-protection officer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from cocket.core.person import sought
from cocket.engine.person_export import collect, packed
from cocket.web.asking import Asked, known_query
from cocket.web.problems import declared

router = APIRouter(tags=["persons"], dependencies=[Depends(known_query)])
_Given = Annotated[
    list[Annotated[str, Query(min_length=1, max_length=200)]] | None,
    Query(max_length=10, description="may repeat"),
]


@router.get(
    "/persons/export",
    summary="What is held on a person",
    response_model=None,
    responses={
        200: {
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
            "description": "A ZIP: person.json for machines, person.html to read",
        },
        **declared(422),
    },
)
def export(
    service: Asked,
    name: _Given = None,
    plate: _Given = None,
    phone: _Given = None,
    eori: _Given = None,
    email: _Given = None,
    account: _Given = None,
) -> Response:
    """From every table, document and observation, whatever names the person by one of what is given, and nothing of others
    (Regulation (EU) 2016/679, article 15). That it was asked for is recorded, by hash.
    """
    given = {"name": name, "plate": plate, "phone": phone, "eori": eori, "email": email, "account": account}
    whom = sought({k: v or [] for k, v in given.items()})
    body = packed(collect(service.folder, whom), whom, service.clock.now_us())
    headers = {"content-disposition": 'attachment; filename="person.zip"'}
    return Response(body, media_type="application/zip", headers=headers)
