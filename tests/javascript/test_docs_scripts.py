"""The scripts in the docs fit the client: TypeScript's compiler reads them with its types."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.blocks import all_blocks
from tests.docs.ways import blocks_by
from tests.javascript.conftest import PACKAGE

# What the text speaks of and a block does not declare itself.
GIVEN = {
    "client": 'declare const client: import("@shardlayer/client").RealtimeClient;',
    "RealtimeClient": (
        'declare const RealtimeClient: typeof import("@shardlayer/client").RealtimeClient;'
    ),
    "Shardlayer": 'declare const Shardlayer: typeof import("@shardlayer/client");',
    "room": "declare const room: string;",
    "message": "declare const message: unknown;",
    "show": "declare function show(...what: any[]): any;",
    "update": "declare function update(...what: any[]): any;",
    "notice": "declare function notice(text: string): void;",
    "list": "declare const list: HTMLElement;",
    "Order": "interface Order { id: number; paid: boolean }",
    "Table": "declare function Table(properties: any): any;",
}
SCRIPT = re.compile(r"<script(?! type=\"application)[^>]*>(.+?)</script>", re.DOTALL)


# JavaScript does not say what the data of a room or an element is.
LOOSE = """
interface ParentNode {
  querySelector(selectors: string): any;
}
"""


def with_what_is_given(code: str, package: str = "@shardlayer/loose") -> str:
    """Put on the first line what the code uses and does not declare."""
    code = re.sub(
        r'"(?:/static/|\{% static \')realtime/client\.js(?:\' %\})?"', f'"{package}"', code
    )
    code = code.replace('"/static/realtime/element.js"', f'"{package}/element"')
    given = [
        text
        for name, text in GIVEN.items()
        if re.search(rf"\b{name}\b", code)
        and not re.search(
            rf"(?:const|let|var|function|interface|class) (?:\{{[^}}]*\b)?{name}\b"
            rf"|import \{{[^}}]*\b{name}\b",
            code,
        )
    ]
    before = " ".join(given).replace("@shardlayer/client", package)
    return f"{before} export {{}};{code}"


def scripts() -> dict[str, str]:
    """Return the programs by the name of the file that each becomes."""
    found: dict[str, str] = {}
    for block in all_blocks():
        name = f"{block.page.removesuffix('.md')}-{block.line}"
        if block.language in ("js", "ts"):
            found[f"{name}.mts" if block.language == "ts" else f"{name}.js.mts"] = block.code
        elif block.language == "tsx":
            found[f"{name}.tsx"] = block.code
        elif block.language in ("html", "html+django"):
            for number, script in enumerate(SCRIPT.findall(block.code)):
                found[f"{name}-{number}.js.mts"] = script
    return found


@pytest.fixture(scope="module")
def said(node: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the compiler says of all of them, in one run."""
    folder = tmp_path_factory.mktemp("scripts")
    return compiled(
        node,
        folder,
        {
            name: with_what_is_given(code, *(() if ".js." in name else ("@shardlayer/client",)))
            for name, code in scripts().items()
        },
    )


def compiled(node: str, folder: Path, files: dict[str, str]) -> str:
    """Compile programs with the types of the package; return what the compiler says of them."""
    (folder / "node_modules" / "@shardlayer").mkdir(parents=True)
    (folder / "node_modules" / "@shardlayer" / "client").symlink_to(PACKAGE)
    loose = folder / "node_modules" / "@shardlayer" / "loose"
    shutil.copytree(PACKAGE / "types", loose / "types")
    shutil.copy(PACKAGE / "package.json", loose)
    for path in (loose / "types").iterdir():
        path.write_text(path.read_text().replace("unknown", "any"))
    (folder / "loose.d.ts").write_text(LOOSE)
    for name in ("react", "@types", "csstype", "vue", "svelte", "@vue"):
        if (PACKAGE / "node_modules" / name).exists():
            (folder / "node_modules" / name).symlink_to(PACKAGE / "node_modules" / name)
    (folder / "package.json").write_text('{"type": "module"}')
    for name, code in files.items():
        (folder / name).write_text(code)
    options = {
        "target": "es2022",
        "module": "nodenext",
        "lib": ["es2022", "dom", "dom.iterable", "dom.asynciterable"],
        "types": [],
        "jsx": "react-jsx",
        "strict": False,
        "noEmit": True,
        "skipLibCheck": True,
    }
    (folder / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": options, "include": ["*"]})
    )
    done = subprocess.run(
        [node, PACKAGE / "node_modules" / "typescript" / "bin" / "tsc", "-p", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1, 2), done.stderr
    return done.stdout + done.stderr


def test_scripts_fit_the_client(said: str) -> None:
    """Each `script` and `typescript` block, and the scripts inside pages."""
    assert len(scripts()) >= len(blocks_by("script")) + len(blocks_by("typescript")) + 2
    assert said == ""


def test_slips_are_found_out(node: str, tmp_path: Path) -> None:
    """A method, an export or an option that is not there."""
    files = {
        "method.js.mts": 'client.subscirbe("orders", show);',
        "export.js.mts": 'import { RealtimeClinet } from "/static/realtime/client.js";',
        "option.js.mts": 'client.subscribe("orders", show, { sicne: null });',
    }
    said = compiled(
        node, tmp_path, {name: with_what_is_given(code) for name, code in files.items()}
    )
    assert {name for name in files if name in said} == set(files)
