"""The scanner model: a scene and a protocol in, an image with its truth out."""

from cacseg.data.phantom.scanner.acquire import acquire
from cacseg.data.phantom.scanner.draw import draw_protocol
from cacseg.data.phantom.scanner.protocol import Protocol
from cacseg.data.phantom.scanner.scan import Scan

__all__ = ["Protocol", "Scan", "acquire", "draw_protocol"]
