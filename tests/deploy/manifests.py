"""Reads deploy/kubernetes/ as kustomize does, as far as its files make use of it.

What `kubectl kustomize` would add (a suffix to the names of generated ConfigMaps) is left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]


def render(folder: Path) -> list[Manifest]:
    """Return the objects of a kustomization, those of the folders that it names included.

    Raises:
        KeyError: It merges into a ConfigMap that is not there.
    """
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found: list[Manifest] = []
    for name in kustomization.get("resources", ()):
        resource = folder / name
        if resource.is_dir():
            found += render(resource)
        else:
            found += yaml.safe_load_all(resource.read_text())
    maps = {item["metadata"]["name"]: item for item in found if item["kind"] == "ConfigMap"}
    for generator in kustomization.get("configMapGenerator", ()):
        name = generator["name"]
        data = dict(line.split("=", 1) for line in generator.get("literals", ()))
        data |= {file: (folder / file).read_text() for file in generator.get("files", ())}
        if generator.get("behavior") == "merge":
            maps[name]["data"] |= data
        else:
            assert name not in maps
            maps[name] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
            maps[name]["data"] = data
            found.append(maps[name])
    for item in found:
        if "namespace" in kustomization:
            item["metadata"]["namespace"] = kustomization["namespace"]
        for container in containers(item):
            for image in kustomization.get("images", ()):
                if container["image"] == image["name"]:
                    container["image"] = f"{image['newName']}:{image['newTag']}"
    return found


def pod(item: Manifest) -> Manifest:
    """Return the pod that an object makes; empty if it makes none."""
    spec = item.get("spec", {})
    found: Manifest = spec.get("template", {}).get("spec", {}) if isinstance(spec, dict) else {}
    return found


def containers(item: Manifest) -> list[Manifest]:
    """Return the containers of an object's pod."""
    found: list[Manifest] = pod(item).get("containers", [])
    return found
