"""Run the notebooks of the documentation and keep what their cells print, for ``tests/docs/test_notebooks.py``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "docs" / "notebooks").glob("*.ipynb"))


def refresh(path: Path) -> None:
    """Execute a notebook in a folder that is thrown away, and write outputs without counts and times."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    notebook.metadata = {name: notebook.metadata[name] for name in ("kernelspec", "language_info")}
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.execution_count = None
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for found in NOTEBOOKS:
        refresh(found)
        print(found.name)
