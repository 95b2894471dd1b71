"""What a check works with: fresh repositories, fresh bytes, and what the registry says that it can do."""

from .digests import Source
from .exchange import Exchange
from .expect import status
from .manifest import image
from .plan import Plan
from .repository import Repository
from .rule import Skip
from .wire import Wire


class Bench:
    """Shared by all checks of a run; no check sees what another pushed."""

    def __init__(self, plan: Plan, wire: Wire, run: str) -> None:
        self.plan = plan
        self.wire = wire
        self.source = Source(run)
        self.root = f"{plan.repo_prefix}/{run}"
        self._deletable: dict[str, int] = {}

    def repository(self, suffix: str = "") -> Repository:
        """A repository that nobody has pushed to; `suffix` ends its name."""
        return Repository(self.wire, self.root + "/" + self.source.label("r") + suffix)

    def need_delete(self, what: str) -> None:
        """Skip where the registry does not delete blobs, manifests or tags at all, as it may choose."""
        if what not in self._deletable:
            repository = self.repository()
            made = image(self.source, "sha256")
            repository.push(made, "probe")
            answer: Exchange
            if what == "blob":
                answer = repository.blob(repository.push_blob(self.source.blob(32)), "DELETE")
            else:
                answer = repository.manifest("probe" if what == "tag" else made.digest, "DELETE")
            self._deletable[what] = status(answer, 202, 400, 405).status
        if self._deletable[what] != 202:
            raise Skip(f"the registry answers {self._deletable[what]} to deleting a {what}, as it may")
