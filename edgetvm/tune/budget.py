"""How long a search goes on, and when it is expected to end."""

from __future__ import annotations

from dataclasses import dataclass

_MINUTE = 60


@dataclass(frozen=True)
class Budget:
    """When to stop: after so many trials, or seconds; None is no limit."""

    trials: int | None = None
    seconds: float | None = None

    def room(self, trials: int, seconds: float, most: int) -> int:
        """How many trials more there may be, at most `most`, after so many trials and seconds."""
        if self.seconds is not None and seconds >= self.seconds:
            return 0
        return most if self.trials is None else min(most, self.trials - trials)

    def left(self, trials: int, made: int, seconds: float) -> float | None:
        """Seconds until it is spent, after so many trials of which so many were `made` in these seconds, if it goes on
        as fast; None where there is no limit.
        """
        limits = [] if self.seconds is None else [self.seconds - seconds]
        if self.trials is not None and made:
            limits.append((self.trials - trials) * seconds / made)
        return max(min(limits), 0.0) if limits else None


def time_text(seconds: float) -> str:
    """A time to wait in words."""
    return f"{seconds:.0f} s" if seconds < 2 * _MINUTE else f"{seconds / _MINUTE:.0f} min"
