"""How pictures and other bytes pass between tests and the browser: as text."""

import base64
import io

import numpy as np
from PIL import Image

# For the browser: bytes of a text, and the text of bytes.
HELPERS = """
window.bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
window.textOf = async (content) => {
  const reader = new FileReader();
  reader.readAsDataURL(new Blob([content]));
  await new Promise((resolve) => { reader.onload = resolve; });
  return reader.result.split(',')[1];
};
"""


def to_text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def from_text(text: str) -> bytes:
    return base64.b64decode(text)


def save(pixels: np.ndarray, file_format: str = 'PNG', **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, file_format, **options)
    return file.getvalue()
