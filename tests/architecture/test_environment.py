"""The environment is read in two places: settings are ours, other programs' conventions are not."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Where `os.environ` may be read, and why.
READERS = {
    "registry/server/settings.py": "settings of this program",
    "registry/server/cli/user_folders.py": "where docker, XDG and proxies keep what clients need",
}


def sources() -> Iterator[Path]:
    for package in ("registry", "oci", "native_api"):
        yield from (ROOT / package).rglob("*.py")


def reads_environment(tree: ast.AST) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"):
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            return any(alias.name in ("environ", "getenv") for alias in node.names)
    return False


def test_only_these_read_the_environment() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for path in sources()
        if reads_environment(ast.parse(path.read_text("utf-8")))
    }
    assert readers == set(READERS)


def test_a_reader_would_be_found() -> None:
    for text in ("import os\nos.environ['X']", "import os\nos.getenv('X')", "from os import environ"):
        assert reads_environment(ast.parse(text))
    assert not reads_environment(ast.parse("import os\nos.getpid()"))
