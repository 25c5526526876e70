"""What can go wrong in the service, as branches of the one tree of ``cacseg.errors``."""

from collections.abc import Sequence

from cacseg.errors import CacsegError, RefusedError, UnreadableError, UsageError


class NotFoundError(UsageError):
    """There is no such study, version, file or token."""


class ConflictError(RefusedError):
    """What was sent contradicts what is kept, or the study is in a state that does not allow it.

    Parameters
    ----------
    message : what, where, and what to do.
    instances : SOPInstanceUIDs in conflict, where instances are.
    """

    def __init__(self, message: str, instances: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.instances = tuple(instances)


class NotDicomFileError(UnreadableError):
    """The file is no DICOM object that belongs to a study."""


class TooLargeError(UsageError):
    """More bytes or files than the service takes at once."""


class StorageFullError(CacsegError):
    """The disk is full; nothing of this request was kept."""


class BusyError(CacsegError):
    """Too much is waiting already.

    Parameters
    ----------
    message : what is waiting and how much.
    retry_after_s : when to come back.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class LeaseLostError(CacsegError):
    """A job was given to another owner meanwhile; what was made of it here must not be kept."""


class UnauthenticatedError(UsageError):
    """No token, or one that is unknown, revoked or forged."""


class ForbiddenError(UsageError):
    """The token is good but lacks the right."""


class DeliveryError(CacsegError):
    """A result could not be handed to where it is sent; it is tried again."""
