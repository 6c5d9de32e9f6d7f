"""Hold what every request needs: the public URL, the store, and the applied configuration."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from urllib.parse import urlsplit

from reconciler import clock
from reconciler.model.ids import Moment
from reconciler.model.moment import parse_moment
from reconciler.store.key import StoreKey
from reconciler.store.service import ConfigurationCache, RequestDatabase


@dataclass(frozen=True)
class Site:
    """The web application of one store."""

    #: scheme, host and, if it has one, port and path; without a slash at the end
    public_url: str
    database: RequestDatabase = field(repr=False)
    configurations: ConfigurationCache = field(repr=False)
    #: the store's key, which recognizes erased people
    key: StoreKey = field(repr=False)

    @cached_property
    def origin(self) -> str:
        """Return scheme, host and port of the public URL, as browsers send them in `Origin`."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}"

    @cached_property
    def path(self) -> str:
        """Return the path below which the application is reached; empty for the root of a host."""
        return urlsplit(self.public_url).path.rstrip("/")

    @cached_property
    def is_secure(self) -> bool:
        """Return whether people reach the site over TLS, so that cookies can be Secure."""
        return self.public_url.startswith("https://")

    def get_moment(self) -> Moment:
        return clock.get_current_moment()

    def get_time(self) -> datetime:
        return parse_moment(self.get_moment())
