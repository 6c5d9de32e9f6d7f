"""Delete data permanently: purges past retention, erasures on request, and the certificates of both."""

from reconciler.store.removal.certificates import Certificate as Certificate
from reconciler.store.removal.certificates import find_broken_certificate as find_broken_certificate
from reconciler.store.removal.certificates import find_purge_moment as find_purge_moment
from reconciler.store.removal.certificates import list_certificates as list_certificates
from reconciler.store.removal.certificates import list_certified_customers as list_certified_customers
from reconciler.store.removal.erasure import ErasureJob as ErasureJob
from reconciler.store.removal.erasure import count_customer_rows as count_customer_rows
from reconciler.store.removal.erasure import count_person_rows as count_person_rows
from reconciler.store.removal.erasure import erase_customer as erase_customer
from reconciler.store.removal.erasure import erase_person as erase_person
from reconciler.store.removal.erasure import find_erasure_certificate as find_erasure_certificate
from reconciler.store.removal.erasure import is_configured_administrator as is_configured_administrator
from reconciler.store.removal.erasure import lift_erasure as lift_erasure
from reconciler.store.removal.erasure import list_class_titles as list_class_titles
from reconciler.store.removal.image_digests import seal_earlier_images as seal_earlier_images
from reconciler.store.removal.purge import NOTHING_TO_PURGE as NOTHING_TO_PURGE
from reconciler.store.removal.purge import PurgePreview as PurgePreview
from reconciler.store.removal.purge import build_purge_preview as build_purge_preview
from reconciler.store.removal.purge import purge_customer as purge_customer
from reconciler.store.removal.retention import find_newest_moment as find_newest_moment
from reconciler.store.removal.retention import list_purge_candidates as list_purge_candidates
from reconciler.store.removal.volatile import wipe_freed_pages as wipe_freed_pages
