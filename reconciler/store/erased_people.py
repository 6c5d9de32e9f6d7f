"""Recognize erased people by HMACs of their sourcedIds, which reveal nothing about them."""

from reconciler.model.ids import CustomerNumber, SourcedId
from reconciler.model.text_form import make_visible_form
from reconciler.store.key import StoreKey


def make_anonymous_record(key: StoreKey, customer_number: CustomerNumber, sourced_id: SourcedId) -> str:
    """Return the HMAC by which the store recognizes an erased person, which reveals nothing about them."""
    return key.compute_hmac_hex("erased", f"{customer_number}\0{sourced_id}")


def list_forms(sourced_id: SourcedId) -> tuple[SourcedId, ...]:
    """Return a sourcedId as written, and in its visible form if that differs: another roster may have another form."""
    return tuple(dict.fromkeys((sourced_id, SourcedId(make_visible_form(sourced_id)))))


def list_anonymous_records(key: StoreKey, customer_number: CustomerNumber, sourced_id: SourcedId) -> list[str]:
    """Return the HMACs that the store may have of an erased person: of each form, by each key that it ever had."""
    return [make_anonymous_record(each, customer_number, form) for form in list_forms(sourced_id) for each in key.known]
