"""Notebooks made and run by tests, and their outputs as a page that a browser can show."""

import html

import nbclient
import nbformat


def executed(*cells, folder, timeout=300):
    """A notebook of these cells, run by a fresh kernel."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    client = nbclient.NotebookClient(made, timeout=timeout, kernel_name="python3", resources=_in(folder))
    client.execute()
    return made


def _in(folder):
    return {"metadata": {"path": str(folder)}}


def page(notebook):
    """Cells and outputs as HTML, richest form first, as Jupyter shows them."""
    parts = []
    for cell in notebook.cells:
        parts.append(f"<pre class=in>{html.escape(cell.source)}</pre>")
        parts += [f"<div class=out>{shown(output)}</div>" for output in cell.outputs]
    style = "body{font-family:sans-serif;max-width:62em;margin:1em auto}.in{background:#f2f4f7;padding:.6em}"
    return f"<!doctype html><meta charset=utf-8><style>{style}.out{{margin:.5em 1em}}</style>{''.join(parts)}"


def shown(output):
    if output.output_type == "stream":
        return f"<pre>{html.escape(output.text)}</pre>"
    if output.output_type == "error":
        return f"<pre>{html.escape(output.evalue)}</pre>"
    data = output.data
    if "text/html" in data:
        return data["text/html"]
    if "image/png" in data:
        return f'<img style="max-width:100%;width:36em" src="data:image/png;base64,{data["image/png"]}">'
    return f"<pre>{html.escape(data['text/plain'])}</pre>"
