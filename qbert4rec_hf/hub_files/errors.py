"""What goes wrong between here and the Hub, in one line with the way out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from ..errors import QBert4RecError

_TOKEN = re.compile(r"\b(hf|api|jwt)_\w{6,}|Bearer\s+\S+")
_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


@contextmanager
def explained(
    repo_id: str,
    *,
    repo_type: str = "model",
    revision: str | None = None,
    doing: Literal["open", "push"] = "open",
    token: str | bool | None = None,
) -> Iterator[None]:
    """Turns what the client library raises inside into a `QBert4RecError`.

    Args:
        repo_id: of the repository that is dealt with.
        repo_type: "model" or "dataset".
        revision: of it, where one was asked for.
        doing: reading from it or writing to it.
        token: that was given; it never stands in a message.

    Raises:
        QBert4RecError: one line that names the repository and the way out.
    """
    from huggingface_hub.errors import EntryNotFoundError, HTTPError

    try:
        yield
    except QBert4RecError:
        raise
    except (HTTPError, EntryNotFoundError, OSError, ValueError, RuntimeError) as error:
        # The client wraps some causes: "an error happened while ...".
        cause: BaseException = error
        while isinstance(cause.__cause__, HTTPError | OSError) and not isinstance(cause, HTTPError):
            cause = cause.__cause__
        text = _explain(error, cause, f"{repo_type} repository {repo_id}", repo_id, revision, doing)
        # Not chained: the original's text may hold what `_plain` takes out.
        raise QBert4RecError(_plain(text, token)) from None


def _explain(
    error: BaseException,
    cause: BaseException,
    repository: str,
    repo_id: str,
    revision: str | None,
    doing: str,
) -> str:
    from huggingface_hub import constants, errors

    if "metadata in README.md" in str(error):
        reason = str(error).partition("\n")[2]
        return f"README.md begins with metadata that the Hub does not take ({reason}); mend it"
    if isinstance(cause, UnicodeError) or "header value" in str(cause):
        # The original shows the token, to say what is wrong with it.
        return f"the token has characters that no token has; copy it anew, or {_LOG_IN}"
    if isinstance(cause, errors.HFValidationError):
        return f"{repo_id!r} is no repository id; write OWNER/NAME ({cause})"
    if isinstance(cause, errors.OfflineModeIsEnabled) or (
        isinstance(error, errors.EntryNotFoundError) and constants.HF_HUB_OFFLINE
    ):
        if doing == "push":
            return "HF_HUB_OFFLINE is set, so nothing can be pushed; unset it and try again"
        return f"HF_HUB_OFFLINE is set, and {_not_cached(error, repository, revision)}"
    if isinstance(cause, errors.LocalTokenNotFoundError):
        return f"pushing to the {repository} needs a token; {_LOG_IN}"
    if isinstance(cause, errors.GatedRepoError):
        return (
            f"access to the {repository} is gated; ask for it on the repository's page, then "
            f"{_LOG_IN}"
        )
    if isinstance(cause, errors.RevisionNotFoundError):
        return (
            f"the {repository} has no revision {revision or 'main'!r}; give a branch, a tag or a "
            "commit that it has"
        )
    if isinstance(cause, errors.RemoteEntryNotFoundError):
        return f"the {repository} lacks a file ({_first(cause)}); push it whole"
    if isinstance(cause, errors.HfHubHTTPError):
        return _refused(cause, repository, repo_id, doing)
    if isinstance(cause, errors.HTTPError):
        way_out = "run the same command again" if doing == "push" else _ANOTHER_PLACE
        return (
            f"the Hub at {constants.ENDPOINT} cannot be reached for the {repository} "
            f"({_first(cause)}); check the network and HF_ENDPOINT, then {way_out}"
        )
    if isinstance(error, errors.EntryNotFoundError):
        return _not_cached(error, repository, revision)
    verb = "pushing to" if doing == "push" else "downloading"
    if isinstance(cause, OSError) and cause.strerror:
        where = f": {cause.filename}" if cause.filename else ""
        return (
            f"{verb} the {repository} failed ({cause.strerror}{where}); make room or rights there"
        )
    return f"{verb} the {repository} failed ({_first(cause)}); run the same command again"


_ANOTHER_PLACE = "try again, or give the path of a folder"


def _not_cached(error: BaseException, repository: str, revision: str | None) -> str:
    from huggingface_hub.errors import LocalEntryNotFoundError

    state = "not" if type(error) is LocalEntryNotFoundError else "only partly"
    at = f" at revision {revision!r}" if revision else ""
    return (
        f"the {repository} is {state} in the cache{at}; download it once with a network "
        "(HF_HUB_OFFLINE unset), or give the path of a folder"
    )


def _refused(error: BaseException, repository: str, repo_id: str, doing: str) -> str:
    """What an answer of the Hub with an error means."""
    from huggingface_hub.errors import RepositoryNotFoundError

    response = error.response
    status, said = response.status_code, error.server_message or ""
    if status == 401 and "credentials" in (response.headers.get("X-Error-Message") or ""):
        return f"the Hub does not know your token (401); {_LOG_IN} with one that is valid"
    rights = "write to" if doing == "push" else "read"
    if status == 401 and doing == "push":
        return f"pushing to the {repository} needs a token that the Hub takes (401); {_LOG_IN}"
    if isinstance(error, RepositoryNotFoundError) or status in (401, 404):
        return (
            f"there is no {repository} on the Hub, or it is private and your token may not "
            f"{rights} it (the Hub does not say which: {status}); check the name, or {_LOG_IN}"
        )
    if status == 403:
        owner = repo_id.partition("/")[0]
        return (
            f"your token may not {rights} the {repository} (403: {said}); take a token with the "
            f"right to {rights} what {owner} owns, or another name"
        )
    if status in (409, 412):
        return (
            f"somebody else changed the {repository} at the same time ({status}); run the same "
            "command again"
        )
    if status == 429:
        wait = response.headers.get("Retry-After")
        when = f"in {wait} seconds" if wait else "in some minutes"
        return f"the Hub takes no more requests from you for now (429); try again {when}"
    if status >= 500:
        kept = "; nothing here was changed, and what has arrived is not sent again"
        return (
            f"the Hub has trouble with the {repository} ({status}{f': {said}' if said else ''}); "
            f"run the same command again later{kept if doing == 'push' else ''}"
        )
    return f"the Hub refused the {repository} ({status}: {said or _first(error)}); check the input"


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _plain(text: str, token: str | bool | None) -> str:
    """One line without anything that is or looks like a token."""
    from huggingface_hub import get_token

    for secret in (token, get_token()):
        if isinstance(secret, str) and secret.strip():
            text = text.replace(secret, "...").replace(secret.strip(), "...")
    return " ".join(_TOKEN.sub("...", text).split())
