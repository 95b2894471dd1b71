"""A store moves: from one database and one place for its bytes to others, while it is being served.

`begin` gives a `Mover`, which has the steps; `complete` and `take_back` are for afterwards. Decision 68 says
why the steps are those.
"""

from registry.control.moving.beginning import begin
from registry.control.moving.contents import Care, Moved
from registry.control.moving.ending import complete, reason_of, take_back
from registry.control.moving.mover import Mover, Side

__all__ = ["Care", "Moved", "Mover", "Side", "begin", "complete", "reason_of", "take_back"]
