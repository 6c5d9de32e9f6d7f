"""Tell people why a launch opens no lesson, and what to do next."""

from reconciler.service.lti.admission import AdmissionProblem
from reconciler.service.lti.launch_check import INDISTINCT, LaunchProblem
from reconciler.service.pages import Notice

_ASK_LMS_ADMIN = "Ask whoever set up this link in your LMS to check its key and secret."

_LAUNCHES: dict[LaunchProblem, tuple[str, tuple[str, ...]]] = {
    LaunchProblem.UNREADABLE: ("This link cannot be read", ("Your LMS sent something that is not a launch.",)),
    LaunchProblem.REPEATED: (
        "This link cannot be read",
        ("Your LMS sent one value twice, so we cannot tell which one counts.",),
    ),
    LaunchProblem.UNSIGNED: (
        "Click the lesson in your LMS",
        ("This page opens only from a link in your LMS, which says who you are.",),
    ),
    LaunchProblem.WRONG_SIGNATURE: ("Your LMS is not set up yet", (_ASK_LMS_ADMIN,)),
    LaunchProblem.EXPIRED: (
        "Click the lesson in your LMS again",
        ("This click is more than five minutes old, or a clock is wrong.",),
    ),
    LaunchProblem.REPLAYED: ("Click the lesson in your LMS again", ("Each click opens the lesson only once.",)),
    LaunchProblem.WRONG_MESSAGE: (
        "Your LMS speaks another version of LTI",
        ("This address accepts only LTI 1.1 launches.",),
    ),
    LaunchProblem.INCOMPLETE: ("This link is incomplete", ("Your LMS left out something that every launch needs.",)),
}
_ADMISSIONS: dict[AdmissionProblem, tuple[str, tuple[str, ...]]] = {
    AdmissionProblem.CUSTOMER_INACTIVE: (
        "Your school is not using this library at the moment",
        ("Nothing is lost: your work will be here when your school returns.",),
    ),
    AdmissionProblem.LICENSE_MISSING: ("Your school has no license for this link", ()),
    AdmissionProblem.LICENSE_ENDED: (
        "Your school's license does not cover today",
        ("Nothing is lost: your work will be here again when the license is renewed.",),
    ),
    AdmissionProblem.NO_SEAT: (
        "No places are left",
        ("Your school already has as many readers as its license allows.",),
    ),
    AdmissionProblem.UNKNOWN_LESSON: (
        "There is no such lesson",
        ("The link in your LMS names a lesson that your school does not have.",),
    ),
    AdmissionProblem.SUSPENDED: ("Your account is suspended", ("Your work is kept.",)),
    AdmissionProblem.DELETED: (
        "Your account was removed",
        ("You are no longer on your school's list. If that is wrong, ask your school to add you again.",),
    ),
    AdmissionProblem.ACCOUNT_NEEDED: (
        "You need an account",
        ("Your school does not create accounts automatically. Ask your school for one.",),
    ),
    AdmissionProblem.BOUND_OTHERWISE: (
        "Your account is linked to somebody else",
        ("Your account is linked to another person of the same LMS, so we do not open it.",),
    ),
    AdmissionProblem.PASSWORD_NEEDED: (
        "Log in once to link your account",
        ("Your account has a password. Log in with it once; after that, your LMS opens your account.",),
    ),
}


def build_launch_notice(problem: LaunchProblem) -> tuple[int, Notice]:
    """Return the status and the page of a launch that is not genuine.

    Problems that would tell a stranger which keys exist have the same status and page.
    """
    shown = LaunchProblem.WRONG_SIGNATURE if problem in INDISTINCT else problem
    heading, text = _LAUNCHES[shown]
    is_unproven = shown in (LaunchProblem.WRONG_SIGNATURE, LaunchProblem.EXPIRED, LaunchProblem.REPLAYED)
    return 401 if is_unproven else 400, Notice(heading, text)


def build_admission_notice(problem: AdmissionProblem, support: str) -> tuple[int, Notice]:
    """Return the status and the page of a genuine launch that opens no lesson."""
    heading, text = _ADMISSIONS[problem]
    return 404 if problem is AdmissionProblem.UNKNOWN_LESSON else 403, Notice(heading, text, support=support)
