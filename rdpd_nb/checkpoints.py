from .engine.checkpoints import *  # noqa: F403  old name, goes in phase 2
from .engine.checkpoints import remove  # noqa: F401
