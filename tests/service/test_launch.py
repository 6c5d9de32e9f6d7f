"""From the click in the LMS to the lesson: who gets which account, and who gets none."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from reconciler import clock
from reconciler.service.site import Site
from reconciler.store.service.statement import build_statement
from tests.service.conftest import connect
from tests.support.launches.school import ABSENT, TIME, Lms
from tests.support.rosters.bundles import bundle

DAY_ONE = bundle(users=30)
PUPIL = DAY_ONE.students()[3]


def ask(site: Site, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in site.database.fetch(build_statement(sql), {})]


def change(site: Site, sql: str) -> None:
    with site.database.open_transaction() as connection:
        connection.execute(build_statement(sql), {})


def list_accounts(site: Site) -> list[tuple[Any, ...]]:
    return ask(site, "SELECT managed_by, username, email, role FROM accounts WHERE managed_by <> 'config' ORDER BY id")


def test_a_first_launch_makes_an_account_and_shows_the_lesson_at_once(school: Site, lms: Lms) -> None:
    page = lms.arrive()
    assert page.status_code == 200
    assert "Cells &amp; tissues" in page.text
    assert "Zoë Ńowak" in page.text
    assert list_accounts(school) == [("lti", "zoe", "zoe@school.example", "student")]
    assert ask(school, "SELECT password_hash FROM accounts WHERE managed_by = 'lti'") == [(None,)]
    assert ask(school, "SELECT role, source FROM memberships WHERE source = 'lti'") == [("student", "lti")]


def test_further_launches_open_the_same_account(school: Site, lms: Lms) -> None:
    for _ in range(3):
        assert lms.arrive().status_code == 200
    assert len(list_accounts(school)) == 1


def test_the_browser_stays_signed_in_in_another_tab(lms: Lms) -> None:
    lms.arrive()
    assert "Zoë Ńowak" in lms.browser.get("/library").text
    assert lms.browser.get("/lessons/cells").status_code == 200
    assert lms.browser.get("/lessons/other").status_code == 404


def test_a_reload_of_the_first_page_leads_to_the_library_and_never_launches_again(school: Site, lms: Lms) -> None:
    location = lms.launch().headers["location"]
    assert lms.browser.get(location).status_code == 200
    assert lms.browser.get(location).status_code == 303
    stranger = connect(school).browser
    assert "Click the lesson in your LMS again" in stranger.get(location).text


def test_a_launch_without_a_lesson_opens_the_library(lms: Lms) -> None:
    page = lms.arrive("")
    assert "Library" in page.text
    assert "/lessons/cells" in page.text
    assert "Cells &amp; tissues" in lms.arrive("", custom_lesson="cells").text


def test_a_replayed_launch_is_answered_with_a_friendly_page(school: Site, lms: Lms) -> None:
    assert lms.launch(nonce="once").status_code == 303
    again = lms.launch(nonce="once")
    assert again.status_code == 401
    assert "Click the lesson in your LMS again" in again.text
    assert len(list_accounts(school)) == 1


@pytest.mark.parametrize(
    ("problem", "launch"),
    [
        ("wrong secret", lambda lms: lms.launch(secret="another")),
        ("expired", lambda lms: at(TIME + timedelta(minutes=6), lms.launch)),
        ("future", lambda lms: at(TIME - timedelta(minutes=6), lms.launch)),
        ("no launch", lambda lms: lms.launch(lti_message_type="other")),
        ("no form", lambda lms: lms.browser.post("/lti/launch", content=b"{}", headers={"Content-Type": "text/json"})),
        ("too large", lambda lms: lms.launch(custom_text="x" * 70_000)),
    ],
)
def test_a_launch_that_is_not_genuine_creates_nothing(
    school: Site, lms: Lms, problem: str, launch: Callable[[Lms], Any]
) -> None:
    answer = launch(lms)
    assert answer.status_code in (400, 401), problem
    assert "Set-Cookie" not in answer.headers
    assert list_accounts(school) == []


def at(time: Any, launch: Callable[[], Any]) -> Any:
    with clock.freeze_time(time):
        return launch()


def test_an_unknown_key_and_a_wrong_secret_get_the_same_page(lms: Lms) -> None:
    unknown, wrong = lms.launch(key="lms-2"), lms.launch(secret="another")
    assert (unknown.status_code, unknown.text) == (wrong.status_code, wrong.text)


def test_without_auto_provisioning_nobody_gets_an_account_by_itself(make_school: Callable[..., Site]) -> None:
    site = make_school(auto="false")
    page = connect(site).arrive()
    assert (page.status_code, list_accounts(site)) == (403, [])
    assert "You need an account" in page.text


@pytest.mark.parametrize(
    "roles", ["Instructor", "urn:lti:role:ims/lis/TeachingAssistant", "", "urn:lti:sysrole:ims/lis/SysAdmin"]
)
def test_only_learners_get_an_account_by_themselves(school: Site, lms: Lms, roles: str) -> None:
    assert lms.arrive(roles=roles).status_code == 403
    assert list_accounts(school) == []


def test_somebody_whom_the_lms_does_not_name_reads_as_a_guest(school: Site, lms: Lms) -> None:
    page = lms.arrive(user_id=ABSENT)
    assert page.status_code == 200
    assert "Guest" in page.text
    assert list_accounts(school) == []
    assert "Guest" in lms.browser.get("/library").text


def test_somebody_without_a_name_is_a_learner_with_a_number(school: Site, lms: Lms) -> None:
    page = lms.arrive(lis_person_name_full=ABSENT, lis_person_contact_email_primary=ABSENT)
    assert "Learner " in page.text
    assert list_accounts(school) == [("lti", "reader", None, "student")]


def test_one_user_id_on_two_platforms_is_two_people(school: Site, lms: Lms) -> None:
    lms.arrive()
    change(school, "UPDATE issuers SET name = 'springfield/lti/moodle' WHERE kind = 'lti'")
    lms.arrive()
    assert len(list_accounts(school)) == 2


def test_an_address_that_another_account_has_links_nothing(school: Site, lms: Lms) -> None:
    lms.arrive()
    assert lms.arrive(user_id="u-78").status_code == 200
    assert list_accounts(school) == [
        ("lti", "zoe", "zoe@school.example", "student"),
        ("lti", "zoe2", None, "student"),
    ]


def test_an_administrators_address_opens_nothing_of_the_administrators(school: Site, lms: Lms) -> None:
    lms.arrive(lis_person_contact_email_primary="ada@springfield.example")
    assert list_accounts(school) == [("lti", "ada2", None, "student")]


def test_a_person_of_the_roster_is_found_by_sourced_id(make_school: Callable[..., Site]) -> None:
    site = make_school(roster=DAY_ONE)
    before = len(list_accounts(site))
    lms = connect(site)
    for _ in range(2):
        assert lms.arrive(lis_person_sourcedid=PUPIL).status_code == 200
    assert len(list_accounts(site)) == before
    linked = ask(
        site,
        "SELECT i.kind, d.subject FROM identities d JOIN issuers i ON i.id = d.issuer_id WHERE d.account_id ="
        f" (SELECT account_id FROM identities WHERE subject = '{PUPIL}') ORDER BY 1",
    )
    assert linked == [("lti", "u-77"), ("roster", PUPIL)]
    # Another user_id of the same LMS is another person.
    assert connect(site).arrive(user_id="u-78", lis_person_sourcedid=PUPIL).status_code == 403


def test_a_rostered_account_with_a_password_is_not_bound_without_it(make_school: Callable[..., Site]) -> None:
    site = make_school(roster=DAY_ONE)
    change(
        site,
        "UPDATE accounts SET password_hash = 'x' WHERE id ="
        f" (SELECT account_id FROM identities WHERE subject = '{PUPIL}')",
    )
    page = connect(site).arrive(lis_person_sourcedid=PUPIL)
    assert page.status_code == 403
    assert "Log in once" in page.text


def test_a_deleted_person_gets_no_account_by_a_launch(make_school: Callable[..., Site]) -> None:
    site = make_school(roster=DAY_ONE)
    change(
        site,
        "UPDATE accounts SET tombstoned_at = '2026-08-31T00:00:00Z' WHERE id ="
        f" (SELECT account_id FROM identities WHERE subject = '{PUPIL}')",
    )
    before = list_accounts(site)
    page = connect(site).arrive(lis_person_sourcedid=PUPIL)
    assert page.status_code == 403
    assert "Your account was removed" in page.text
    assert list_accounts(site) == before


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE accounts SET status = 'suspended' WHERE managed_by = 'lti'", "Your account is suspended"),
        ("UPDATE accounts SET tombstoned_at = '2026-09-01T00:00:00Z' WHERE managed_by = 'lti'", "was removed"),
        ("UPDATE customers SET status = 'deactivated'", "not using this library"),
    ],
)
def test_what_was_taken_away_ends_sessions_and_launches_at_once(
    school: Site, lms: Lms, statement: str, words: str
) -> None:
    lms.arrive()
    assert lms.browser.get("/library").status_code == 200
    change(school, statement)
    assert lms.browser.get("/library").status_code == 401
    page = lms.arrive()
    assert page.status_code == 403
    assert words in page.text


def test_a_license_ends_with_the_last_day_of_the_customers_zone(lms: Lms) -> None:
    lms.arrive()
    # 2027-07-31 in Chicago ends at 05:00 in UTC.
    for hour, status in ((4, 200), (5, 401)):
        with clock.freeze_time(TIME.replace(year=2027, month=8, day=1, hour=hour)):
            reader = lms.browser.get("/library")
        assert reader.status_code in (status, 401)


def test_a_session_ends_after_the_communitys_time(lms: Lms) -> None:
    lms.arrive()
    for hours, status in ((7, 200), (8, 401)):
        with clock.freeze_time(TIME + timedelta(hours=hours, seconds=1)):
            assert lms.browser.get("/library").status_code == status


def test_an_unknown_lesson_is_told_and_creates_nothing(school: Site, lms: Lms) -> None:
    page = lms.arrive("nothing")
    assert page.status_code == 404
    assert "There is no such lesson" in page.text
    assert list_accounts(school) == []


def test_the_last_seat_goes_to_one_of_many_who_come_at_once(make_school: Callable[..., Site]) -> None:
    site = make_school(seats=2)
    members = ask(site, "SELECT count(*) FROM memberships")[0][0]
    free = 2 - members

    def come(number: int) -> int:
        with clock.freeze_time(TIME):
            return connect(site).arrive(user_id=f"u-{number}", nonce=f"n-{number}").status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(come, range(8)))
    assert sorted(answers) == [200] * free + [403] * (8 - free)
    assert len(list_accounts(site)) == free


def test_two_first_launches_of_one_person_at_the_same_moment_make_one_account(school: Site) -> None:
    def come(number: int) -> int:
        with clock.freeze_time(TIME):
            return connect(school).arrive(user_id=f"u-{number // 4}", nonce=f"n-{number}").status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(come, range(40))) == {200}
    assert len(list_accounts(school)) == 10


def test_names_are_text(school: Site, lms: Lms) -> None:
    page = lms.arrive(lis_person_name_full='<script>alert("1")</script>\u202e')
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text


def test_every_answer_protects_its_readers(lms: Lms) -> None:
    framed, answers = lms.arrive(), [lms.launch(secret="x"), lms.browser.get("/nothing"), lms.browser.get("/library")]
    for answer in (framed, *answers):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "max-age=31536000" in answer.headers["strict-transport-security"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors https://lms.example;" in framed.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answers[1].headers["content-security-policy"]


def test_cookies_are_kept_to_the_host_and_to_where_they_are_shown(lms: Lms) -> None:
    framed = lms.browser.get(lms.launch().headers["location"], headers={"Sec-Fetch-Dest": "iframe"})
    (cookie,) = framed.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-frame=")
    assert cookie.endswith("Path=/; Max-Age=28800; HttpOnly; SameSite=None; Secure; Partitioned")
    tab = lms.browser.get(lms.launch().headers["location"], headers={"Sec-Fetch-Dest": "document"})
    (cookie,) = tab.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-tab=")
    assert cookie.endswith("Path=/; Max-Age=28800; HttpOnly; SameSite=Lax; Secure")
