"""Test the values derived from a store key."""

from __future__ import annotations

import pytest

from reconciler.store.errors import StoreProblem
from reconciler.store.key import StoreKey

KEY = StoreKey(bytes(range(32)))
OTHER = StoreKey(bytes(32))


def test_pseudonym_is_stable_within_one_store_only() -> None:
    assert KEY.make_pseudonym("user", "springfield", "u-1") == KEY.make_pseudonym("user", "springfield", "u-1")
    assert KEY.make_pseudonym("user", "springfield", "u-1") != OTHER.make_pseudonym("user", "springfield", "u-1")
    assert KEY.make_pseudonym("user", "springfield", "u-1") != KEY.make_pseudonym("user", "shelbyville", "u-1")
    assert KEY.make_pseudonym("user", "a", "b-c") != KEY.make_pseudonym("user", "a-b", "c")


def test_a_pseudonym_is_p_and_eight_upper_case_digits() -> None:
    head, digits = KEY.make_pseudonym("user", "springfield", "u-1").split("-")
    assert (head, len(digits)) == ("P", 8)
    assert int(digits, 16) >= 0
    assert digits == digits.upper()


def test_a_hmac_depends_on_its_purpose() -> None:
    assert KEY.compute_hmac_hex("secret", "value") != KEY.compute_hmac_hex("pseudonym", "value")


def test_ciphertext_opens_only_in_its_place_under_its_key() -> None:
    sealed = KEY.encrypt("shared secret", "springfield/lti.platforms.canvas.shared_secret")
    assert b"shared secret" not in sealed
    assert KEY.decrypt(sealed, "springfield/lti.platforms.canvas.shared_secret") == "shared secret"
    for key, place in ((KEY, "shelbyville/lti"), (OTHER, "springfield/lti.platforms.canvas.shared_secret")):
        with pytest.raises(StoreProblem, match="cannot be decrypted"):
            key.decrypt(sealed, place)


def test_a_key_is_not_shown() -> None:
    assert KEY.secret.hex() not in repr(KEY)
    assert str(KEY.secret) not in repr(KEY)
