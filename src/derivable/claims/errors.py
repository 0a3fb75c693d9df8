"""What stops a build: a claim that is false, that nobody could decide, or that says nothing."""


class ClaimError(Exception):
    """A claim did not earn a verdict. ``claim`` holds the rendered chain up to the step that failed, where there is one."""

    def __init__(self, message: str, claim=None):
        super().__init__(message)
        self.claim = claim

    def _repr_html_(self) -> str:
        if self.claim is not None:
            return self.claim._repr_html_()
        from html import escape

        return f'<div class="claim claim-refuted"><p>{escape(str(self))}</p></div>'


class Refuted(ClaimError):
    """A counterexample was found."""


class Undecided(ClaimError):
    """Nothing showed the claim false, and nothing showed it true."""


class Vacuous(ClaimError):
    """Both sides are the same object before anything was checked, so the check could not have failed."""
