"""Ranges of a file's bytes, as the hub or a mirror of it gives them.

huggingface_hub's own file system for ranges hides what an answer says of itself, and a server
without ranges answers with the file's beginning. So its client is used one step further down.
"""

from collections.abc import Iterator, Mapping
from time import sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from httpx2 import Response

TRIES = 5
LONGEST_WAIT = 8
"""Seconds between two of them."""


class RangeError(Exception):
    """A server answered with something else than the bytes that were asked for."""


def range_of(
    url: str, start: int, stop: int, size: int, headers: Mapping[str, str], tries: int = TRIES
) -> Iterator[bytes]:
    """Fetch some bytes of a file, going on where a connection breaks.

    Parameters
    ----------
    url
        The file.
    start, stop
        The first byte that is wanted, and that after the last.
    size
        Bytes of the file.
    headers
        Of every request.
    tries
        Times in a row that a connection may break without having given anything.

    Raises
    ------
    RangeError
        If the status of an answer is not 206, or its Content-Range or its length another than asked
        for.
    httpx2.HTTPError
        If the server refuses, or cannot be reached.
    """
    # Imported here because only those who use the hub need it.
    from httpx2 import NetworkError, RemoteProtocolError, TimeoutException
    from huggingface_hub import constants
    from huggingface_hub.utils import hf_raise_for_status, http_stream_backoff

    place, failures = start, 0
    while place < stop:
        asked = {"Range": f"bytes={place}-{stop - 1}", "Accept-Encoding": "identity"}
        failure: Exception = RangeError(f"it ended after {place - start} of {stop - start} bytes")
        try:
            with http_stream_backoff(
                "GET",
                url,
                headers={**headers, **asked},
                timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
                retry_on_exceptions=(),
            ) as answer:
                if answer.status_code != 416:
                    hf_raise_for_status(answer)
                _refuse_other(answer, place, stop, size)
                for content in answer.iter_raw():
                    if len(content) > stop - place:
                        raise RangeError(f"more than the {stop - start} bytes asked for")
                    place, failures = place + len(content), 0
                    yield content
        except (NetworkError, RemoteProtocolError, TimeoutException) as error:
            failure = error
        if place < stop:
            failures += 1
            if failures > tries:
                raise failure
            sleep(min(LONGEST_WAIT, (1 << failures >> 1) - 1))


def _refuse_other(answer: "Response", start: int, stop: int, size: int) -> None:
    """Raise unless an answer says that it has these bytes and nothing else."""
    if answer.status_code != 206:
        raise RangeError(f"status {answer.status_code} where 206 was expected")
    expected = {
        "Content-Range": f"bytes {start}-{stop - 1}/{size}",
        "Content-Length": str(stop - start),
        "Content-Encoding": "identity",
    }
    for name, value in expected.items():
        found = answer.headers.get(name)
        if found != value and (found is not None or name == "Content-Range"):
            raise RangeError(f"{name} {found!r} where {value!r} was expected")
