"""What can go wrong, by who can mend it. Every message says what is wrong, both values, and the next command.

Each error is also the standard-library type a caller would expect, so `except ValueError` keeps working.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike


@contextmanager
def named_path(path: PathLike[str]) -> Iterator[None]:
    """Give an OSError of the block that names no file, as those of a write or an fsync do, the name of `path`."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


class WorkbenchError(Exception):
    """Anything the user can mend. The command line prints it as one line and exits with 1."""


class ConfigError(WorkbenchError, ValueError):
    """The YAML names an unknown key, a value out of range, or two knobs that contradict each other."""


class MissingModelError(WorkbenchError, FileNotFoundError):
    """A model is not on this machine; the message names the command that brings it."""


class ModelIntegrityError(WorkbenchError, ValueError):
    """A model's files are not what they claim: wrong hash, forbidden format, a config that would run code."""


class FetchError(WorkbenchError, ConnectionError):
    """A download failed: no index, no hub, or the wrong file came."""


class OfflineError(WorkbenchError, ConnectionError):
    """Something in an offline process asked for another host, which the message names; nothing was sent."""


class UnreadableDocumentError(WorkbenchError, ValueError):
    """One file of the corpus cannot be read. Recorded per file with its `kind` (one word); the batch goes on."""

    def __init__(self, message: str, kind: str = "damaged") -> None:
        super().__init__(message)
        self.kind = kind


class EmptyCorpusError(WorkbenchError, ValueError):
    """A folder holds no readable document."""


class QuestionFileError(WorkbenchError, ValueError):
    """A question file is malformed; the message names file, line and field."""


class DatasetError(WorkbenchError, ValueError):
    """A training dataset is damaged or of another version, or a file of rows is malformed; the message names where."""


class StaleIndexError(WorkbenchError, ValueError):
    """A collection was built with another embedder than the one asked for."""


class DamagedCollectionError(WorkbenchError, ValueError):
    """A collection's files do not match their checksums and cannot be rebuilt from its database."""


class CollectionVersionError(WorkbenchError, ValueError):
    """Another version of this program wrote a collection. It is not damaged: `verify` and `repair` leave it alone."""


class IncompletePurgeError(WorkbenchError, RuntimeError):
    """A purge found bytes of what it removed; the message names the file. What was deleted stays deleted."""


class BusyError(WorkbenchError, TimeoutError):
    """Another process is writing to the same collection or run; the message names its pid."""


class PromptBudgetError(WorkbenchError, ValueError):
    """The question alone does not fit the prompt's token budget, or the chat template altered it."""


class AdapterMismatchError(WorkbenchError, ValueError):
    """An adapter was trained for another base model or chat template."""


class MergeError(WorkbenchError, ValueError):
    """An adapter cannot be merged into its base, or the merged model would not answer as the two did apart."""


class ExportError(WorkbenchError, RuntimeError):
    """A model cannot be written in a foreign format: the converter is not here, or it failed."""


class TrainingError(WorkbenchError, ArithmeticError):
    """Training cannot give a sound adapter: no loss tokens, zero gradient, a non-finite loss."""


class SensitiveDataError(WorkbenchError, ValueError):
    """A training dataset holds secrets or personal data of a kind that was not allowed by name."""


class CheckpointMismatchError(WorkbenchError, ValueError):
    """A checkpoint belongs to other data, another base model or other settings; both fingerprints are named."""


class RunMismatchError(WorkbenchError, ValueError):
    """A run folder holds results that may not be mixed or compared with what was asked."""


class MissingCollectionError(WorkbenchError, FileNotFoundError):
    """A folder holds no collection yet; the message names the command that makes one."""


class CollectionNameError(WorkbenchError, ValueError):
    """A collection cannot be called so: the name is malformed, or kept for something else."""


class CollectionExistsError(WorkbenchError, FileExistsError):
    """A collection of that name is there already, or one that differs from it in capitals alone."""


class MissingDocumentError(WorkbenchError, LookupError):
    """A collection holds no document of that id that whoever asks may find."""


class DocumentError(WorkbenchError, ValueError):
    """What came with a document cannot be kept with it: its id or its metadata; the message names the key."""


class TakenDocumentError(WorkbenchError, FileExistsError):
    """A document of that id is there already, and whoever brings the new one may not find the old one."""


class QueueFullError(WorkbenchError, RuntimeError):
    """The server has as many requests waiting as it takes on; `retry_after` says in how many seconds to come again."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlineError(WorkbenchError, TimeoutError):
    """An answer was not done in the time it was given."""


class GivenUpError(WorkbenchError, RuntimeError):
    """An answer was cancelled: whoever asked went away, or the server is stopping."""


class GenerationError(WorkbenchError, ArithmeticError):
    """The model gave no sound answer: logits that are not finite, or a kind of model that this engine cannot batch."""


class RemoteEngineError(WorkbenchError, ConnectionError):
    """The server that generates elsewhere cannot be reached, or answered with an error; the message holds both."""


class AccessError(WorkbenchError, PermissionError):
    """A key is missing, unknown, revoked, or its role does not allow what was asked.

    Which of the first four it is shows in the class alone: the message, which goes to whoever asked, is one for all.
    """


class MissingKeyError(AccessError):
    """No key came with the request, and one is needed."""


class UnknownKeyError(AccessError):
    """What came as a key is none that was ever made here."""


class RevokedKeyError(AccessError):
    """The key was revoked."""


class ExpiredKeyError(AccessError):
    """The key was made to end, and has ended."""


class RoleError(AccessError):
    """The key is good, but its roles do not allow this; the message names the role it takes."""


class KeyFileError(AccessError):
    """The file of keys is damaged, gone, or open to others' writing: nobody is let in until it is mended."""


class AuditLogError(WorkbenchError, OSError):
    """The audit log cannot be written, and nothing is answered that cannot be recorded; the message says why."""


class ReadOnlyError(WorkbenchError, PermissionError):
    """A collection may be read here and not changed; the message says what to change instead."""


class UnknownModelError(ConfigError):
    """A request names a model that is not served; the message names those that are."""


class BundleError(WorkbenchError, ValueError):
    """A bundle is not what was signed, is for another machine, or cannot be installed; the message names the file."""


class RollbackError(BundleError):
    """A bundle is older than one that was installed here."""
