"""What a store was told and what it answered, and so what must be there after a power loss."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Held(Enum):
    """What is known of one content."""

    YES = "acknowledged: it must be there with the right bytes"
    NO = "never asked for, or acknowledged as removed: it must not be there"
    EITHER = "asked for and not answered: it is there with the right bytes, or not at all"
    SPOILT = "its bytes were damaged and nobody has answered since: anything but good"


@dataclass(frozen=True)
class Begun:
    """A put (`stays`) or a removal of `data` was asked for."""

    data: bytes
    stays: bool


@dataclass(frozen=True)
class Ended:
    """It was answered."""

    data: bytes
    stays: bool


@dataclass(frozen=True)
class Sent:
    """All that a stage was sent so far, its last append perhaps unanswered."""

    stage: str
    data: bytes


@dataclass(frozen=True)
class Spoilt:
    """A person damaged the only copy of `data`."""

    data: bytes


Said = Begun | Ended | Sent | Spoilt


@dataclass
class Expected:
    """The sum of what was said."""

    contents: dict[bytes, Held] = field(default_factory=dict)
    stages: dict[str, bytes] = field(default_factory=dict)

    def hear(self, said: Said) -> None:
        match said:
            case Begun(data, stays):
                was = self.contents.get(data, Held.NO)
                sure = was is (Held.YES if stays else Held.NO)
                if not sure and was is not Held.SPOILT:
                    self.contents[data] = Held.EITHER
            case Ended(data, stays):
                self.contents[data] = Held.YES if stays else Held.NO
            case Sent(stage, data):
                self.stages[stage] = data
            case Spoilt(data):
                self.contents[data] = Held.SPOILT
