"""Folders of generators on the Hugging Face hub, or on another that answers as it does (`HF_ENDPOINT`).

Nothing is fetched unless it is asked for by name, and then only the files that are named here: no code and no pickle.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from sorby.errors import ConfigError, WeightsError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PREFIX = "hf:"
"""Before the name of a generator that is to be fetched: `hf:user/name`."""
FILES = ("model.safetensors", "config.json", "README.md")
LARGEST_BYTES = 2**30
"""Of each file; a generator of 1024 px takes an eighth of it."""


def fetched(path: Path) -> Path:
    """The folder of the generator that `hf:user/name` names; any other path as it is. Raises like `fetch`."""
    name = path.as_posix()
    return fetch(name.removeprefix(PREFIX)) if name.startswith(PREFIX) and not path.exists() else path


def fetch(repo_id: str, *, revision: str | None = None, token: str | None = None) -> Path:
    """The folder of the generator `user/name`, in the cache of huggingface_hub, brought up to date if the hub answers.

    `revision` is a branch, a tag or a commit; `token` that of a private generator, by default the one that `hf auth
    login` stored. Raises `WeightsError` where there is no such generator or no hub, `ConfigError` without the package.
    """
    hub = _hub(token)
    with _explained(repo_id, f"{PREFIX}{repo_id} cannot be fetched"):
        if _is_offline():
            return Path(hub.snapshot_download(repo_id, revision=revision, local_files_only=True))
        _check_files(hub, repo_id, revision)
        return Path(hub.snapshot_download(repo_id, revision=revision, allow_patterns=list(FILES)))


def push(folder: Path, repo_id: str, *, private: bool | None = None, token: str | None = None) -> str:
    """Send a generator folder to `user/name`, which is made if it is not there; gives its address.

    Raises `WeightsError` where no hub takes it, `ConfigError` without the package.
    """
    from huggingface_hub import CommitOperationAdd

    hub = _hub(token)
    files = [CommitOperationAdd(name, folder / name) for name in FILES]
    with _explained(repo_id, f"{repo_id} cannot be pushed"):
        address = hub.create_repo(repo_id, private=private, exist_ok=True)
        hub.create_commit(repo_id, files, commit_message="Add a Sorby generator")
    return str(address)


def _hub(token: str | None) -> "HfApi":
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise ConfigError("The hub needs huggingface_hub: pip install 'sorby[hub]'.") from None
    return HfApi(token=token, library_name="sorby", library_version=version("sorby"))


def _is_offline() -> bool:
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE


def _check_files(hub: "HfApi", repo_id: str, revision: str | None) -> None:
    siblings = hub.model_info(repo_id, revision=revision, files_metadata=True).siblings or []
    sizes = {file.rfilename: file.size or 0 for file in siblings}
    if missing := [name for name in FILES[:2] if name not in sizes]:
        raise WeightsError(f"{PREFIX}{repo_id} is no generator of Sorby: it has no {missing[0]}; check the name.")
    if large := [name for name in FILES if sizes.get(name, 0) > LARGEST_BYTES]:
        raise WeightsError(
            f"{large[0]} of {PREFIX}{repo_id} has {sizes[large[0]] / 2**30:.1f} GiB, expected at most "
            f"{LARGEST_BYTES / 2**30:g}: no generator of Sorby is that large."
        )


@contextmanager
def _explained(repo_id: str, what: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into one line."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError  # type: ignore[attr-defined]

    try:
        yield
    except HFValidationError:
        raise ConfigError(f"{repo_id!r} is no name on a hub: expected USER/NAME.") from None
    except HfHubHTTPError as error:
        said = error.server_message or f"status {error.response.status_code}"
        raise WeightsError(
            f"{what} ({constants.ENDPOINT} says: {' '.join(said.split())}): check the name, and for what is private or "
            "yours the token, by `hf auth login`."
        ) from None
    except (HTTPError, OSError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise WeightsError(
            f"{what}, since no hub is reachable at {constants.ENDPOINT} ({reason}): connect, or copy the folder of the "
            "generator by hand."
        ) from None
