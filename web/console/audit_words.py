"""What each action of the audit log means, and who did it, in words."""

from collections.abc import Mapping

from records.audit import Action
from web.languages import N_

ACTIONS: Mapping[Action, str] = {
    "case_claimed": N_("Took a case"),
    "face_viewed": N_("Was shown a picture"),
    "picture_revealed": N_("Showed the pictures without blur"),
    "likeness_shown": N_("Judged, and was shown how alike the faces are"),
    "case_skipped": N_("Skipped a case"),
    "case_commented": N_("Commented on a case"),
    "case_decided": N_("Decided on a case"),
    "decision_undone": N_("Took a decision back"),
    "decision_sent": N_("Told the platform a decision"),
    "login": N_("Logged in"),
    "login_failed": N_("Failed to log in"),
    "logout": N_("Logged out"),
    "moderator_added": N_("Added a person"),
    "moderator_changed": N_("Changed a person"),
    "identity_added": N_("Added an identity"),
    "identity_changed": N_("Changed an identity"),
    "identity_removed": N_("Erased an identity"),
    "appeal_received": N_("Took in an appeal"),
    "golden_added": N_("Made a test case"),
    "golden_retired": N_("Retired a test case"),
    "report_received": N_("Sent a report"),
    "report_viewed": N_("Opened a report"),
    "report_decided": N_("Decided on a report"),
    "report_withdrawn": N_("Withdrew a report"),
    "report_changed": N_("Changed a report"),
    "report_expired": N_("Ended a report whose consent was over"),
    "report_message": N_("Wrote a message about a report"),
    "report_login_failed": N_("Gave a wrong PIN"),
    "evidence_released": N_("Released an evidence file"),
    "look_back": N_("Looked back over avatars"),
    "keys_rotated": N_("Rotated the master key"),
    "token_added": N_("Made a token of the API"),
    "token_revoked": N_("Revoked a token of the API"),
    "forbidden": N_("Was turned away"),
    "export": N_("Exported"),
    "search": N_("Searched"),
}

ACTORS: Mapping[str, str] = {
    "system": N_("Likeness itself"),
    "anonymous": N_("Somebody before the login"),
    "reporter": N_("The reporter"),
}
"""Those who are no moderators; others are `operator:` and a login name, or `token:` and an id."""
