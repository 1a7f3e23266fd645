"""What the log of revocations says of what is issued now."""

from __future__ import annotations

import time

from realtime.access.credential import Credential
from realtime.access.revocation_log import RevocationLog
from realtime.access.revocations import Verdict


def lets_count(log: RevocationLog, user: str, *, whole_seconds: bool = False) -> bool:
    """Tell whether a log lets count what is issued to a user now, in a JWT by whole seconds."""
    now = int(time.time()) if whole_seconds else time.time()
    issued_now = Credential(method="token", user_id=user, issued=now)
    return log.judge(issued_now) is Verdict.COUNTS
