"""Energy that a process used, where the machine tells."""


class Meter:
    """Counts from its beginning."""

    by = ""

    def kwh(self) -> float | None:
        """Energy so far; none where it cannot be measured."""
        return None
