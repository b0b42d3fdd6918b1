"""Every notebook runs, in a kernel that reaches no network, and prints what stands in it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(ROOT.glob("docs/notebooks/*.ipynb"))
OFFLINE = (
    "import pytest_socket; "
    "pytest_socket.socket_allow_hosts(['127.0.0.1', '::1'], allow_unix_socket=True); "
    "del pytest_socket"
)


def run(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """A copy of the notebook with what its cells print now."""
    fresh = nbformat.from_dict(notebook)
    client = NotebookClient(fresh, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.extra_arguments = [f"--IPKernelApp.exec_lines={OFFLINE}", "--HistoryManager.enabled=False"]
    return client.execute()


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What each code cell printed; anything but prints is named."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            outputs = [
                each.text if each.output_type == "stream" and each.name == "stdout" else f"<{each.output_type}>"
                for each in cell.outputs
            ]
            found.append("".join(outputs))
    return found


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Kernels find no keys, and leave nothing in the home of whoever runs the tests."""
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "LEO_API_KEY", "LEO_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["langchain-quick-start", "llamaindex-rag", "receipts-and-audit"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_prints_what_stands_in_it(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    (tmp_path / "work").mkdir()
    kept = printed(notebook)
    assert printed(run(notebook, tmp_path / "work")) == kept
    assert sum(map(bool, kept)) >= 3, "its outputs are kept"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_holds_nothing_of_the_machine_that_ran_it(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert dict(notebook.metadata.language_info) == {"name": "python"}
    for cell in notebook.cells:
        assert cell.metadata == {}
        assert cell.get("execution_count") is None


def test_a_kernel_reaches_no_network(tmp_path: Path) -> None:
    cell = nbformat.v4.new_code_cell("import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=5)")
    with pytest.raises(CellExecutionError, match="SocketConnectBlockedError"):
        run(nbformat.v4.new_notebook(cells=[cell]), tmp_path)
