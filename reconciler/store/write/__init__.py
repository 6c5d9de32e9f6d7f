"""Carry out one customer's plan in one transaction, with the before-images that undo it."""

from reconciler.store.write.apply import ApplyJob as ApplyJob
from reconciler.store.write.apply import apply_customer as apply_customer
from reconciler.store.write.invitations import renew_invitation as renew_invitation
from reconciler.store.write.key_rotation import KeyRotation as KeyRotation
from reconciler.store.write.key_rotation import rotate_key as rotate_key
from reconciler.store.write.renames import find_former_id as find_former_id
from reconciler.store.write.snapshots import OVERTAKEN as OVERTAKEN
