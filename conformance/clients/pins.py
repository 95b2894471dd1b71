"""What the tests run beside the program, and which versions: change one, and the next install brings it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GoTool:
    """A client that `go install` brings. `name` is its file in .tools/bin: majors share a binary name."""

    name: str
    package: str
    version: str


@dataclass(frozen=True)
class GoDriver:
    """A program of our own in the folder `source`, on a client's library; go.mod in it pins the library."""

    name: str
    source: str


@dataclass(frozen=True)
class DebianTool:
    """A client from the distribution's packages, at whatever version that has."""

    name: str
    optional: bool = False


@dataclass(frozen=True)
class MavenTool:
    """A Java program that Maven brings, as the folder `name` of jars in .tools, where there are both.

    `source` is the folder of its pom, which pins it.
    """

    name: str
    source: str


Tool = GoTool | GoDriver | DebianTool | MavenTool

TOOLS: tuple[Tool, ...] = (
    GoTool("crane", "github.com/google/go-containerregistry/cmd/crane", "v0.22.1"),
    GoTool("regctl", "github.com/regclient/regclient/cmd/regctl", "v0.11.7"),
    GoTool("cosign", "github.com/sigstore/cosign/v3/cmd/cosign", "v3.1.3"),
    GoTool("cosign2", "github.com/sigstore/cosign/v2/cmd/cosign", "v2.6.5"),
    GoTool("helm", "helm.sh/helm/v3/cmd/helm", "v3.22.0"),
    GoTool("registry", "github.com/distribution/distribution/v3/cmd/registry", "v3.1.2"),
    GoTool("nats-server", "github.com/nats-io/nats-server/v2", "v2.12.0"),
    GoDriver("oras-driver", "oras_driver"),
    GoDriver("notation-driver", "notation_driver"),
    GoDriver("load-driver", "load_driver"),
    DebianTool("skopeo"),
    DebianTool("buildah"),
    DebianTool("podman", optional=True),
    DebianTool("haproxy"),
    DebianTool("wrk"),
    MavenTool("kafka", "kafka_broker"),
)
