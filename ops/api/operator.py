"""The daemon as its operator sees it: what the routes need of it, called on its loop."""

from typing import Any, Protocol

from ops.journal.questions import Question
from ops.kill_mode import KillMode
from strategies.restrictions import Scope


class Operator(Protocol):
    """The daemon as an operator sees it."""

    def status(self) -> dict[str, Any]:
        """What the daemon is doing and whether it is well."""

    def positions(self) -> list[dict[str, Any]]:
        """What each strategy holds."""

    def open_orders(self) -> list[dict[str, Any]]:
        """Orders that are not done."""

    def limits(self) -> list[dict[str, Any]]:
        """Every limit, and how much of it is used."""

    def strategies(self) -> list[dict[str, Any]]:
        """What trades: configuration, and how it stands."""

    def policies(self) -> list[dict[str, Any]]:
        """Kinds of policy that a strategy file may name."""

    def config(self) -> dict[str, Any]:
        """The configuration in force; whatever is named like a secret is hidden."""

    def audit_head(self) -> dict[str, Any]:
        """The newest record of the journal, and what is signed."""

    async def page(self, question: Question, asked: dict[str, Any]) -> bytes:
        """A page of what was recorded, as JSON."""

    async def note_asked(
        self, command: str, *, who: str, reason: str, asked: dict[str, Any], durable: bool
    ) -> None:
        """Record that a command was given, before it is carried out.

        Args:
            durable: Whether to return only once the record is on the disk; for what adds risk.

        Raises:
            SafetyError: If that cannot be.
        """

    def reconcile(self, *, accept: bool, who: str, reason: str) -> dict[str, Any]:
        """Compare our books with the venue's."""

    async def snapshot(self, *, who: str, reason: str) -> dict[str, Any]:
        """Hold an instant fast for a backup."""

    def request_stop(self, reason: str, *, flatten: bool | None) -> None:
        """Begin an orderly stop."""

    def kill(self, scope: Scope, mode: KillMode, *, who: str, reason: str) -> dict[str, Any]:
        """Restrict a scope."""

    def resume(self, scope: Scope, *, who: str, reason: str) -> dict[str, Any]:
        """Lift what was imposed on a scope."""

    def pause(self, strategy: str, *, who: str, reason: str) -> dict[str, Any]:
        """Let a strategy add no risk."""

    def unpause(self, strategy: str, *, who: str, reason: str) -> dict[str, Any]:
        """End a pause."""

    def request_arming(self, *, who: str, reason: str) -> dict[str, Any]:
        """Show what would go live, and give a nonce for it."""

    def confirm_arming(self, nonce: str, *, who: str, reason: str) -> dict[str, Any]:
        """Arm what was shown."""

    def disarm(self, *, who: str, reason: str) -> dict[str, Any]:
        """Let no order leave any more."""


class Probe(Protocol):
    """What is looked at by machines."""

    def unready(self) -> list[str]:
        """Why the daemon cannot do its work now; empty while it can."""

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """Body and content type of a scrape."""
