"""The requests package, as its users send a large body: prints what each try got to read, as JSON.

python requests_client.py '{"method": …, "url": …, "headers": …, "bytes": …, "chunked": …}' TRIES
"""

import json
import sys
from collections.abc import Iterator

import requests

CHUNK = b"x" * 65536


def chunks(length: int) -> Iterator[bytes]:
    for left in range(length, 0, -len(CHUNK)):
        yield CHUNK[: min(left, len(CHUNK))]


def once(sent: dict) -> str:
    body = chunks(sent["bytes"]) if sent["chunked"] else b"x" * sent["bytes"]
    try:
        answer = requests.request(
            sent["method"], sent["url"], headers=sent["headers"], data=body, timeout=60
        )
        return f"{answer.status_code} {answer.text}"
    except requests.RequestException as error:
        return repr(error)


if __name__ == "__main__":
    sent = json.loads(sys.argv[1])
    print(json.dumps([once(sent) for _ in range(int(sys.argv[2]))]))
