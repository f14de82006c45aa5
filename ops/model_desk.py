"""The models of a state directory as an operator sees and changes them, beside the trading loop.

Flow: route → **desk** → `ops.model_store`, on a thread of its own that only handles files.

What trades is decided by a link that a daemon follows when it starts. A promotion changes the link, never a
daemon that runs, and every answer says so.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ops.bundle_upload import unpacked
from ops.model_store import MODELS, ModelStore, UnknownModelError, contents_of
from ops.one_thread import OneThread
from ops.refusals import RefusedError
from strategies.bundle import Bundle
from strategies.errors import ConfigError

_DRAFT = ".upload"


class ModelDesk:
    """Answers for the models of one state directory, on the daemon's loop.

    Args:
        state_dir: Where they lie.
        trading: Says which policy each strategy of this daemon trades now, by name.
    """

    def __init__(self, state_dir: Path, trading: Callable[[], Mapping[str, str]]) -> None:
        self._store = ModelStore(state_dir)
        self._draft = state_dir / MODELS / _DRAFT
        self._trading = trading
        self._thread = OneThread("models")

    def close(self) -> None:
        """Take nothing on any more."""
        self._thread.close()

    async def models(self) -> list[dict[str, Any]]:
        """All models, by strategy and id; a damaged one with what is wrong with it."""
        entries = await self._off_loop(self._store.entries)
        return [entry.as_json() for entry in entries]

    async def show(self, name: str, bundle_id: str) -> dict[str, Any]:
        """One model: its files, how it was trained, and how well it did.

        Raises:
            RefusedError: If there is none, or it is damaged.
        """
        return await self._off_loop(lambda: contents_of(self._store.find(name, bundle_id)))

    async def promote(self, name: str, bundle_id: str) -> dict[str, Any]:
        """Make a model the one that is to trade.

        Raises:
            RefusedError: If there is none, or it is damaged; nothing has changed then.
        """
        return self._answer(await self._off_loop(self._store.promote, name, bundle_id))

    async def rollback(self, name: str, away_from: str) -> dict[str, Any]:
        """Go back to the model that was to trade before.

        Raises:
            RefusedError: If there is none, or another is to trade; nothing has changed then.
        """
        return self._answer(
            await self._off_loop(lambda: self._store.rollback(name, away_from=away_from)),
        )

    async def take_in(self, content: bytes) -> dict[str, Any]:
        """Put a bundle that was sent as a ZIP file into the store, without promoting it.

        Raises:
            RefusedError: If it is none; nothing has changed then.
        """

        def take() -> Bundle:
            with unpacked(content, self._draft) as bundle:
                return self._store.add(bundle)

        bundle = await self._off_loop(take)
        return {"name": bundle.name, "bundle_id": bundle.bundle_id, "path": str(bundle.path)}

    def _answer(self, bundle: Bundle) -> dict[str, Any]:
        trades = self._trading().get(bundle.name)
        if trades is None:
            effect = (
                f"no strategy of this daemon is called {bundle.name}; one that is follows it when it starts"
            )
        elif trades == bundle.bundle_id:
            effect = f"this daemon trades it already, as {bundle.name}"
        else:
            effect = (
                f"{bundle.name} goes on with {trades[:12]} until this daemon starts anew, and then trades "
                "this one, if its policy.path leads to the link active"
            )
        return {
            "name": bundle.name,
            "bundle_id": bundle.bundle_id,
            "path": str(bundle.path),
            "trades_now": trades,
            "takes_effect": "at the next start",
            "effect": effect,
        }

    async def _off_loop[**P, T](self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with _refusing():
            return await self._thread(call, *args, **kwargs)


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except UnknownModelError as error:
        raise RefusedError(str(error), is_unknown=True) from error
    except ConfigError as error:
        raise RefusedError(str(error)) from error
    except OSError as error:
        raise RefusedError(f"the disk refused: {error}; nothing has changed") from error
