"""`pause` and `resume`."""

import time

from config.flags import Config
from runsc.errors import NotRunningError, RunscError
from runsc.sandbox.client import ask
from runsc.sandbox.state import CREATED, PAUSED, RUNNING, Container, load_container

_PAUSE_WAIT_S = 5.0
_LOOK_AGAIN_S = 0.005


def _locked(config: Config, container_id: str) -> Container:
    container = load_container(config.root, container_id)
    container.lock()
    container.load()
    return container


def pause(config: Config, container_id: str) -> None:
    """Return when no guest instruction of the container runs any more."""
    container = _locked(config, container_id)
    phase = container.status()
    if phase not in (CREATED, RUNNING):
        raise NotRunningError
    # Saved first: whatever becomes of this command, `resume` sets it right.
    container.phase = PAUSED
    container.save()
    try:
        _freeze(container)
    except RunscError:
        if container.is_alive():
            ask(container, {"do": "resume"})
        container.phase = phase
        container.save()
        raise
    container.unlock()


def _freeze(container: Container) -> None:
    deadline = time.monotonic() + _PAUSE_WAIT_S
    while ask(container, {"do": "pause"}).number("running", 0, 0, 1 << 30):
        if time.monotonic() >= deadline:
            raise RunscError("the container cannot be paused: a thread of it does not stop")
        time.sleep(_LOOK_AGAIN_S)


def resume(config: Config, container_id: str) -> None:
    """Let a paused container go on."""
    container = _locked(config, container_id)
    if container.status() != PAUSED:
        # Callers resume what died while it was paused, and do not mind.
        raise RunscError("container not paused")
    answer = ask(container, {"do": "resume"})
    container.phase = RUNNING if answer.flag("started") else CREATED
    container.save()
    container.unlock()
