"""Starting the page, with its look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from .page import build_notice, build_page
from .shop import Shop

_HERE = Path(__file__).parent
_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")
MAX_UPLOAD = "12mb"


def look() -> dict[str, Any]:
    """Theme, style sheet and head of the page; all fonts are the visitor's own."""
    theme = gr.themes.Base(font=_FONT, font_mono=_MONO)
    return {
        "theme": theme,
        "css": (_HERE / "style.css").read_text(encoding="utf-8"),
        "head": f"<script>{(_HERE / 'page.js').read_text(encoding='utf-8')}</script>",
    }


def serve(shop: Shop, host: str, port: int | None, **launch: Any) -> Any:
    """Serves a shop until it is stopped; see `gr.Blocks.launch` for further arguments."""
    return _launch(build_page(shop), host, port, **launch)


def serve_notice(text: str, host: str, port: int | None, **launch: Any) -> Any:
    """Serves a page that says what is missing."""
    return _launch(build_notice("No shop is open yet", text), host, port, **launch)


def _launch(page: gr.Blocks, host: str, port: int | None, **launch: Any) -> Any:
    return page.queue(max_size=64).launch(
        server_name=host,
        server_port=port,
        footer_links=[],
        show_error=False,
        max_file_size=MAX_UPLOAD,
        # One process of Python; nothing else needs to be installed.
        ssr_mode=False,
        **look(),
        **launch,
    )
