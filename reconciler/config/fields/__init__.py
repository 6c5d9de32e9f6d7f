"""Holds the types of single values, such as IDs, dates, durations and URLs."""

from reconciler.config.fields.addresses import get_host as get_host
from reconciler.config.fields.addresses import is_web_url as is_web_url
from reconciler.config.fields.addresses import mask_url as mask_url
from reconciler.config.fields.values import ID_PATTERN as ID_PATTERN
