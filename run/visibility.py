"""What of the source a run cannot know, for want of a right to see its catalog or of an answer."""

from __future__ import annotations

from model.catalog import Hiding

GRANT = "GRANT VIEW DEFINITION TO the login's user"


def what_is_not_known(hiding: Hiding, source: str) -> str | None:
    """For a person; None where the login may see all of the catalog, or the server does not say."""
    if hiding.sees_definitions is not False:
        return None
    are = "object with rows is" if hiding.unseen == 1 else "objects with rows are"
    own = "internal tables of the server's own, say of Query Store, count as such"
    unseen = f"; {hiding.unseen:,} {are} hidden from it ({own})" if hiding.unseen else ""
    return (
        f"The login has no VIEW DEFINITION in {source}: tables that it has no right to are not seen, and are left out "
        f"without being counted{unseen}; whether a security policy hides rows is not known. {GRANT}."
    )


def unknowns(hiding: Hiding, source: str) -> list[str]:
    """The same, and what the server did not say when it was asked what it hides; for a person."""
    known = what_is_not_known(hiding, source)
    said = "; ".join(hiding.unread)
    unsaid = (
        [f"Whether {source} hides anything from the login is not known, since it did not say: {said}"] if said else []
    )
    return [*unsaid, *([known] if known else [])]
