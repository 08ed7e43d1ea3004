"""Answers made of JSON texts as they are stored: nobody parses them on the way."""

import json

from starlette.responses import Response

from history_service.storage.messages import ItemPage

_MEDIA_TYPE = "application/json"


def item_response(text: str) -> Response:
    """Answer with one item."""
    return Response(text, media_type=_MEDIA_TYPE)


def page_response(page: ItemPage) -> Response:
    """Answer with a page of items, in the shape of `contracts.pages.Page`."""
    tail = f'],"has_more":{"true" if page.has_more else "false"},"after":{json.dumps(page.after)}}}'
    return Response('{"data":[' + ",".join(page.texts) + tail, media_type=_MEDIA_TYPE)
