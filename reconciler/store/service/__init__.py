"""Read and write single people's rows for web requests: pooled connections, small typed rows, no frames, no ADBC."""

from reconciler.store.service.configuration import AppliedCommunity as AppliedCommunity
from reconciler.store.service.configuration import AppliedCustomer as AppliedCustomer
from reconciler.store.service.configuration import AppliedLesson as AppliedLesson
from reconciler.store.service.configuration import AppliedPlatform as AppliedPlatform
from reconciler.store.service.configuration import ConfigurationCache as ConfigurationCache
from reconciler.store.service.database import DatabaseGoneError as DatabaseGoneError
from reconciler.store.service.database import RequestConnection as RequestConnection
from reconciler.store.service.database import RequestDatabase as RequestDatabase
from reconciler.store.service.database import RowExistsError as RowExistsError
from reconciler.store.service.database import RowsBusyError as RowsBusyError
from reconciler.store.service.opening import open_request_database as open_request_database
