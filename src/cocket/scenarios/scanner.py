"""Reading codes as phones and hand scanners do: from the picture that was printed."""

from __future__ import annotations

from io import BytesIO

from cocket.customs.codes import shortcode
from cocket.customs.codes.signing import CODE_PREFIX, STAMP_PREFIX
from cocket.scenarios.story import Unmet


def read(png: bytes) -> str:
    """The text of the one code in a picture. Of bars that are read twice, the reading whose check fails is none."""
    import zxingcpp
    from PIL import Image

    with Image.open(BytesIO(png)) as picture:
        found = zxingcpp.read_barcodes(picture.convert("L"))
    texts = [
        f.text
        for f in found
        if f.text.startswith((CODE_PREFIX, STAMP_PREFIX)) or shortcode.read(f.text) is not None
    ]
    if len(texts) != 1:
        raise Unmet("the printed code is read from its picture", "one code", texts)
    return texts[0]
