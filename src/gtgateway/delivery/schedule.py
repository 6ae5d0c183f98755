"""When a delivery is tried, waited for, resent, given up and alarmed for. The figures are settings."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

#: Longest pause that a recipient may ask for with Retry-After.
LONGEST_ASKED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The post room's clocks; the defaults are those of the settings."""

    retry_first: timedelta = timedelta(seconds=5)
    retry_longest: timedelta = timedelta(minutes=15)
    receipt_wait: timedelta = timedelta(minutes=30)  #: then a try without a receipt is made again
    resends: int = 2  #: most of these (fhir-dk.md C.4: at most two, then a person)
    lease: timedelta = timedelta(seconds=60)  #: how long a claimed delivery is its worker's
    unserved_after: timedelta = timedelta(minutes=15)  #: alarm (§ 4 "samtidig")
    unserved_pulled_after: timedelta = timedelta(minutes=60)

    def backoff(self, failures: int, chance: random.Random, asked: float | None = None) -> timedelta:
        """Pause after so many tries, at least 1: doubled each time, between half of it and all of it by chance.

        Never under `retry_first`, over `retry_longest`, or under the `asked` seconds of a Retry-After (a day at most).
        """
        most = min(self.retry_first * (1 << min(failures, 32)), self.retry_longest)
        pause = max(self.retry_first, most * chance.uniform(0.5, 1))
        return pause if asked is None else max(pause, timedelta(seconds=min(asked, LONGEST_ASKED.total_seconds())))
