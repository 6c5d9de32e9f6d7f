"""Sync rosters on schedule: fetch, plan and apply within limits, using the configuration last applied."""

from reconciler.operations.sync.applied_config import add_applied_customers as add_applied_customers
from reconciler.operations.sync.applied_config import open_applied_workspace as open_applied_workspace
from reconciler.operations.sync.applied_config import read_applied_customer as read_applied_customer
from reconciler.operations.sync.customer import ChangeTally as ChangeTally
from reconciler.operations.sync.customer import SyncResult as SyncResult
from reconciler.operations.sync.run import CustomerSyncResult as CustomerSyncResult
from reconciler.operations.sync.run import SyncRequest as SyncRequest
from reconciler.operations.sync.run import sync_customers as sync_customers
