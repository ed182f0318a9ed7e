"""Reading codes as phones and hand scanners do: from the picture that was printed."""

from __future__ import annotations

from io import BytesIO

from cocket.scenarios.story import Unmet


def read(png: bytes) -> str:
    """The text of the one code in a picture."""
    import zxingcpp
    from PIL import Image

    with Image.open(BytesIO(png)) as picture:
        found = zxingcpp.read_barcodes(picture.convert("L"))
    texts = [f.text for f in found if f.text]
    if len(texts) != 1:
        raise Unmet("the printed code is read from its picture", "one code", texts)
    return texts[0]
