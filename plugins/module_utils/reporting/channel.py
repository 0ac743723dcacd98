# Copyright (c) 2026, baileys.resilience contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One HTTP request that ends in time and tells why it failed without telling its address.

The address of a Telegram request and the headers of a Sentry request hold their keys, and the exceptions of
HTTP libraries quote both. So no text of an exception is ever passed on, only causes named here.
"""

from __future__ import annotations

import dataclasses
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..system.errors import MissingDependencyError, ResilienceError

try:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    HAS_REQUESTS = True
except ImportError:
    HAS_REQUESTS = False

if TYPE_CHECKING:
    from requests import Response, Session

RETRIES = 2
# urllib3 waits 0 s before the first retry and this times 2 before the second.
BACKOFF_SECONDS = 0.2
# What passes by itself: an internal error, a proxy without its back end.
RETRIED_STATUS = (500, 502, 503, 504)
# An answer is a short JSON text; more of it is of no use in a warning.
MAX_EXCERPT = 300
# However short a wait a server asks for, it is not asked again without a pause.
SHORTEST_WAIT_SECONDS = 0.5


class UndeliveredError(ResilienceError):
    """A message was not accepted by its channel."""

    def told_after(self, beginning: str) -> str:
        """The warning: ``beginning``, the cause, and the remedy if there is one."""
        return " ".join(filter(None, ("%s: %s." % (beginning, self.message), self.remedy)))


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a channel did: how many of its messages or items were accepted, and what went wrong."""

    sent: int
    warnings: tuple[str, ...] = ()


def new_session() -> Session:
    """A session that repeats failed connections and errors of the server; raises MissingDependencyError."""
    if not HAS_REQUESTS:
        raise MissingDependencyError(
            "The Python package requests is not installed for the Python that runs this module",
            stage="report",
            remedy="Install it: apt install python3-requests, or pip install requests.",
        )
    # A read is not repeated: the message may have arrived. Redirects are not followed: they would carry the
    # token to another host. 429 is the channel's own affair: the waiting time is in the answer.
    retry = Retry(
        total=RETRIES,
        connect=RETRIES,
        status=RETRIES,
        read=False,
        redirect=False,
        other=0,
        backoff_factor=BACKOFF_SECONDS,
        status_forcelist=RETRIED_STATUS,
        allowed_methods=None,
        respect_retry_after_header=False,
        raise_on_status=False,
    )
    session = requests.Session()
    session.mount("https://", HTTPAdapter(max_retries=retry))
    session.mount("http://", HTTPAdapter(max_retries=retry))
    return session


def post(
    session: Session,
    url: str,
    deadline: float,
    *,
    json: Mapping[str, Any] | None = None,
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Send a POST before ``deadline`` (of time.monotonic()) and return the answer, whatever its status.

    Raises UndeliveredError when there is none.
    """
    remaining = time_left(deadline)
    if remaining <= 0:
        raise UndeliveredError("no time was left")
    try:
        return session.post(
            url,
            json=json,
            data=data,
            headers=dict(headers or {}),
            timeout=(remaining / (RETRIES + 1), remaining),
            allow_redirects=False,
        )
    except requests.exceptions.RequestException as error:
        # The cause is cut off: a traceback would print the address.
        raise UndeliveredError(_cause(error)) from None


def time_left(deadline: float) -> float:
    """Seconds until ``deadline``, never less than 0."""
    return max(0.0, deadline - time.monotonic())


def wait_as_told(retry_after: object, deadline: float) -> bool:
    """Sleep the number of seconds a server asked for, if that leaves time to send; tell whether it did."""
    try:
        seconds = float(str(retry_after))
    except ValueError:
        return False
    if not max(seconds, SHORTEST_WAIT_SECONDS) < time_left(deadline):
        return False
    time.sleep(max(seconds, SHORTEST_WAIT_SECONDS))
    return True


def _cause(error: BaseException) -> str:
    chain = list(_chain(error, set()))
    for find in (_tls_or_name, _timeout_or_address, _system_error):
        for link in chain:
            cause = find(link)
            if cause:
                return cause
    return "the connection failed (%s)" % type(chain[-1]).__name__


def _tls_or_name(link: BaseException) -> str | None:
    if isinstance(link, ssl.SSLCertVerificationError):
        return "TLS: the certificate was not accepted (%s)" % link.verify_message
    if isinstance(link, ssl.SSLError):
        return "TLS: the connection failed (%s)" % (link.reason or "no reason given")
    return "host name not found" if isinstance(link, socket.gaierror) else None


def _timeout_or_address(link: BaseException) -> str | None:
    if isinstance(link, requests.exceptions.ConnectTimeout):
        return "no connection within the time allowed"
    if isinstance(link, requests.exceptions.Timeout):
        return "connected, but no answer within the time allowed"
    if isinstance(link, (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema)):
        return "the address is not a URL"
    if isinstance(link, requests.exceptions.InvalidSchema):
        return "the address starts neither with https:// nor with http://"
    return None


def _system_error(link: BaseException) -> str | None:
    # The exceptions of requests are OSErrors too, without a number.
    if isinstance(link, OSError) and isinstance(link.errno, int) and link.strerror:
        return link.strerror.lower()
    return None


def _chain(error: BaseException, seen: set[int]) -> Iterator[BaseException]:
    # requests wraps urllib3, which wraps the operating system's error: as an argument, `reason`, or cause.
    if id(error) in seen:
        return
    seen.add(id(error))
    yield error
    for link in (*error.args, getattr(error, "reason", None), error.__cause__, error.__context__):
        if isinstance(link, BaseException):
            yield from _chain(link, seen)
