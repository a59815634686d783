"""How a call and the audit log go together: nothing is done and nothing is answered that the log does not hold.

    change    first message -> leaf ASKED on disk -> the service -> leaf OK on disk -> answer and receipt
                                                  └> refused      -> leaf with the code on disk -> refusal
    read      first message -> the service -> first reply is ready -> leaf OK on disk -> replies, then the receipt
              a service that has checked all it checks may say so: the leaf is written while the answer is prepared

A call that is refused before it changed anything leaves a leaf as well, but a flood of them does not (``refusals``).
A leaf OK of a read says that the answer was about to leave; a kill may have come between. When it did not leave after
all, because its caller went away or it took too long, another leaf takes the first one back. Only a request that came
whole and was counted gets so far: a flood of others leaves no leaves of this kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from google.protobuf.message import Message

from unseen.audit.leaf import ASKED, DONE, Details
from unseen.audit.receipt import Receipt
from unseen.errors import UnseenError
from unseen_server.acts import ACTS, Kind, details_of
from unseen_server.audit import Audit
from unseen_server.call import Call, Caller, nothing

GiveReceipt = Callable[[Receipt], None]

CANCELLED = "CANCELLED"
"""The outcome of a call whose caller left, that took too long, or that failed in a way that nobody knows."""


class AuditedCall:
    """One call on its way through the log."""

    def __init__(self, audit: Audit, call: Call, give_receipt: GiveReceipt) -> None:
        self.call = call
        self.outcome: str | None = None
        """How the call ended according to its last leaf; None when no leaf says."""
        self._audit = audit
        self._kind = ACTS[call.method]
        self._give_receipt = give_receipt
        self._details = Details()
        self._early: Future[Receipt] | None = None
        """The leaf OK of a read, on its way while the answer is prepared."""

    async def answer_once(self, request: Any, serve: Callable[[Any, Call], Awaitable[Message]]) -> Message:
        """Have the service answer with one message."""
        request = await self._begin(request)
        if self._kind is Kind.CHANGE:
            reply = await self._change(request, serve)
        else:
            reply = await serve(request, self.call)
        await self._end(DONE)
        return reply

    async def answer_many(
        self, request: Any, serve: Callable[[Any, Call], AsyncGenerator[Message, None]]
    ) -> AsyncGenerator[Message, None]:
        """Have the service answer with a stream."""
        request = await self._begin(request)
        self.call.notes.when_checked(self._write_early)
        try:
            async with aclosing(serve(request, self.call)) as replies:
                async for reply in replies:
                    if self.outcome is None:
                        await self._end(DONE)
                    yield reply
            if self.outcome is None:  # an answer without a message is one as well
                await self._end(DONE)
        except BaseException as error:
            self._take_back(error.code if isinstance(error, UnseenError) else CANCELLED)
            raise
        finally:
            # Else the call would refer to itself, and keep its place on the connection until garbage is collected.
            self.call.notes.when_checked(nothing)

    async def _change(self, request: Any, serve: Callable[[Any, Call], Awaitable[Message]]) -> Message:
        asked = await self._record(ASKED, self._details)
        self._details = replace(self._details, asked=asked.index)
        try:
            return await serve(request, self.call)
        except Exception as error:
            await self._end(error.code if isinstance(error, UnseenError) else UnseenError.code)
            raise

    async def _begin(self, request: Any) -> Any:
        """Look at the first message; gives back what the service is to read."""
        if isinstance(request, Message):
            self._details = details_of(request)
            return request
        first = await anext(request, None)
        if first is not None:
            self._details = details_of(first)
        return _from(first, request)

    def _write_early(self) -> None:
        if self._kind is Kind.READ and self._early is None:
            self._early = self._write(DONE, self._noted())

    def _take_back(self, code: str) -> None:
        """The answer did not begin to leave, whatever an early leaf says; nobody waits for the leaf that says so."""
        early, self._early = self._early, None
        if early is None or self.outcome is not None:
            return
        self.outcome = code
        # Nothing of this call in what waits for the leaf: see ``answer_many``.
        early.add_done_callback(
            partial(_contradict, self._audit, self.call.caller, self.call.method, code, self._noted())
        )

    async def _end(self, outcome: str) -> None:
        if self._kind is Kind.OPEN:
            self.outcome = outcome
            return
        receipt = await asyncio.wrap_future(self._early or self._write(outcome, self._noted()))
        self.outcome = outcome
        self._give_receipt(receipt)

    def _noted(self) -> Details:
        return self._details.merged(self.call.notes.details)

    async def _record(self, outcome: str, details: Details) -> Receipt:
        return await asyncio.wrap_future(self._write(outcome, details))

    def _write(self, outcome: str, details: Details) -> Future[Receipt]:
        return self._audit.record(self.call.caller, self.call.method, outcome, details)


def _contradict(audit: Audit, caller: Caller, act: str, outcome: str, details: Details, early: Future[Receipt]) -> None:
    """Write that an early leaf was wrong; when that one could not be written, there is nothing to take back."""
    with suppress(UnseenError):
        audit.record(caller, act, outcome, replace(details, asked=early.result().index))


async def _from(first: Message | None, rest: AsyncIterator[Message]) -> AsyncIterator[Message]:
    if first is not None:
        yield first
        async for message in rest:
            yield message
