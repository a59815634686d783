"""Every error Unseen raises, drawn once. Messages say what came, what was expected, what to do next.

Messages never hold pixels, vectors, captions, tags, scores or keys.

    UnseenError
    ├── InvalidInput            the caller's argument is wrong
    │   ├── InvalidName
    │   ├── InvalidVector
    │   ├── MalformedMessage    bytes from the other side that do not parse
    │   ├── UnsafeParameters
    │   ├── InvalidConfiguration
    │   ├── UnsupportedEvent    a release of noise that no accountant here understands: never counted as free
    │   └── InvalidDocument     a policy, consent or certificate that is not what it should be
    ├── ImageRefused            a privacy step could not do its work, so the image stays on the device
    ├── NotFound
    │   ├── CollectionNotFound
    │   ├── RowNotFound
    │   ├── PolicyNotFound
    │   └── ConsentNotFound
    ├── AlreadyExists
    │   ├── CollectionExists
    │   └── RowExists
    ├── Mismatch                both sides are fine, but do not fit together
    │   ├── ParameterMismatch
    │   ├── ModelMismatch
    │   ├── PackingChanged      the collection was re-packed: ask again and encrypt anew
    │   ├── BlockChanged        a block was written since: bring the mirror up to date and encrypt anew
    │   └── MethodUnknown       the server has no such method: it is of another release
    ├── NotAuthenticated        no token or certificate, or one that does not hold (any more)
    ├── NotPermitted            the caller is known, but this is not for it
    ├── PolicyRefused           the collection's agreement does not allow it
    │   ├── PolicyNotAccepted   there is an agreement, or a newer version of it, to be accepted first
    │   ├── PurposeNotAllowed   a query without a purpose, or for one that the agreement does not have
    │   ├── ConsentNotValid     rows without a consent, or with one that was withdrawn, has ended or covers less
    │   ├── OnLegalHold         rows that must be kept: nothing was erased
    │   └── ClockUncertain      the server's clock leapt: what has ended cannot be told, so nothing is scored
    ├── RequestReplayed         a mutation that was already carried out, or a request id used for something else
    ├── LimitExceeded           larger or more than this server takes
    │   ├── QuotaExceeded       more than this caller may have by now: later there is more
    │   └── BudgetExceeded      a release would pass the privacy budget: nothing was charged, nothing released
    ├── NothingGained           a training was no use: its result was not written
    ├── ServerBusy              too much at once: wait, then try again
    ├── ServerUnavailable       no answer, also after trying again
    ├── DeadlineExceeded
    ├── IntegrityError
    │   ├── SealBroken          sealed bytes were altered, swapped or cut
    │   ├── WrongKey
    │   ├── ProofBroken         a signature or a log does not prove what it said: rewritten, or another one is meant
    │   │   └── LogWentBack     the audit log is not what this device saw before: restored from a backup, or rewritten
    │   ├── ReplyRefused        a reply that no honest scan of these rows gives: the device shows nothing of it
    │   └── ControllerChanged   an agreement is signed by another key than the one that this device knows
    ├── KeyMissing              this device does not hold the record key
    ├── KeyServiceFailed        what holds the server's master key did not answer or refused
    ├── UsedTwice               one-time key material was asked to serve again
    ├── AuditUnavailable        the audit log cannot be written, so nothing is done that it would have to say
    └── StoreFailed             the disk refused: nothing was acknowledged
"""

from __future__ import annotations

from typing import ClassVar


class UnseenError(Exception):
    """Root of every error this project raises; ``code`` is stable across releases and languages."""

    code: ClassVar[str] = "UNSEEN"

    def __init__(self, message: str = "", *, retry_after_s: float | None = None) -> None:
        """``retry_after_s``: seconds after which the same request may succeed, where somebody knows them."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class InvalidInput(UnseenError):
    code = "INVALID_INPUT"


class InvalidName(InvalidInput):
    code = "INVALID_NAME"


class InvalidVector(InvalidInput):
    code = "INVALID_VECTOR"


class MalformedMessage(InvalidInput):
    code = "MALFORMED_MESSAGE"


class UnsafeParameters(InvalidInput):
    code = "UNSAFE_PARAMETERS"


class InvalidConfiguration(InvalidInput):
    code = "INVALID_CONFIGURATION"


class UnsupportedEvent(InvalidInput):
    code = "UNSUPPORTED_EVENT"


class InvalidDocument(InvalidInput):
    code = "INVALID_DOCUMENT"


class ImageRefused(UnseenError):
    code = "IMAGE_REFUSED"


class NotFound(UnseenError):
    code = "NOT_FOUND"


class CollectionNotFound(NotFound):
    code = "COLLECTION_NOT_FOUND"


class RowNotFound(NotFound):
    code = "ROW_NOT_FOUND"


class PolicyNotFound(NotFound):
    code = "POLICY_NOT_FOUND"


class ConsentNotFound(NotFound):
    code = "CONSENT_NOT_FOUND"


class AlreadyExists(UnseenError):
    code = "ALREADY_EXISTS"


class CollectionExists(AlreadyExists):
    code = "COLLECTION_EXISTS"


class RowExists(AlreadyExists):
    code = "ROW_EXISTS"


class Mismatch(UnseenError):
    code = "MISMATCH"


class ParameterMismatch(Mismatch):
    code = "PARAMETER_MISMATCH"


class ModelMismatch(Mismatch):
    code = "MODEL_MISMATCH"


class PackingChanged(Mismatch):
    code = "PACKING_CHANGED"


class BlockChanged(Mismatch):
    code = "BLOCK_CHANGED"


class MethodUnknown(Mismatch):
    code = "METHOD_UNKNOWN"


class NotAuthenticated(UnseenError):
    code = "NOT_AUTHENTICATED"


class NotPermitted(UnseenError):
    code = "NOT_PERMITTED"


class PolicyRefused(UnseenError):
    code = "POLICY_REFUSED"


class PolicyNotAccepted(PolicyRefused):
    code = "POLICY_NOT_ACCEPTED"


class PurposeNotAllowed(PolicyRefused):
    code = "PURPOSE_NOT_ALLOWED"


class ConsentNotValid(PolicyRefused):
    code = "CONSENT_NOT_VALID"


class OnLegalHold(PolicyRefused):
    code = "ON_LEGAL_HOLD"


class ClockUncertain(PolicyRefused):
    code = "CLOCK_UNCERTAIN"


class RequestReplayed(UnseenError):
    code = "REQUEST_REPLAYED"


class LimitExceeded(UnseenError):
    code = "LIMIT_EXCEEDED"


class QuotaExceeded(LimitExceeded):
    code = "QUOTA_EXCEEDED"


class BudgetExceeded(LimitExceeded):
    code = "BUDGET_EXCEEDED"


class NothingGained(UnseenError):
    code = "NOTHING_GAINED"


class ServerBusy(UnseenError):
    code = "SERVER_BUSY"


class ServerUnavailable(UnseenError):
    code = "SERVER_UNAVAILABLE"


class DeadlineExceeded(UnseenError):
    code = "DEADLINE_EXCEEDED"


class IntegrityError(UnseenError):
    code = "INTEGRITY"


class SealBroken(IntegrityError):
    code = "SEAL_BROKEN"


class WrongKey(IntegrityError):
    code = "WRONG_KEY"


class ProofBroken(IntegrityError):
    code = "PROOF_BROKEN"


class LogWentBack(ProofBroken):
    code = "LOG_WENT_BACK"


class ReplyRefused(IntegrityError):
    code = "REPLY_REFUSED"


class ControllerChanged(IntegrityError):
    code = "CONTROLLER_CHANGED"


class KeyMissing(UnseenError):
    code = "KEY_MISSING"


class KeyServiceFailed(UnseenError):
    code = "KEY_SERVICE_FAILED"


class UsedTwice(UnseenError):
    code = "USED_TWICE"


class AuditUnavailable(UnseenError):
    code = "AUDIT_UNAVAILABLE"


class StoreFailed(UnseenError):
    code = "STORE_FAILED"
