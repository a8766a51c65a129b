"""Which picture format bytes begin like, told by their signature alone, before any decoder sees them."""

import re

_DECODED = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WEBP": rb"RIFF.{4}WEBP",
    "GIF": rb"GIF8[79]a",
    "AVIF": rb".{4}ftyp(.{4}){0,32}?avi[fs]",
    "HEIF": rb".{4}ftyp(.{4}){0,32}?(hei[cxms]|hev[cxms]|m[is]f1)",
    "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
}
_OTHERS = {
    "a Photoshop file": rb"8BPS",
    "a PDF or PostScript file": rb"%PDF|%!PS|\xc5\xd0\xd3\xc6",
    "an SVG or other XML file": rb"(\xef\xbb\xbf)?\s*<(\?xml|svg)",
    "a JPEG 2000 picture": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "a JPEG XL picture": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "a JPEG XR picture": rb"II\xbc",
    "an icon": rb"\0\0[\x01\x02]\0",
    "a DirectDraw texture": rb"DDS ",
    "a PCX picture": rb"\n[\0\x02-\x05]\x01",
    "a Netpbm picture": rb"P[1-7]\s",
    "an SGI picture": rb"\x01\xda[\0\x01][\x01\x02]",
    "a QOI picture": rb"qoif",
    "a video": rb".{4}ftyp|\x1aE\xdf\xa3|RIFF.{4}AVI ",
}


def _compiled(patterns: dict[str, bytes]) -> dict[str, re.Pattern[bytes]]:
    return {name: re.compile(pattern, re.DOTALL) for name, pattern in patterns.items()}


_DECODED_SIGNATURES = _compiled(_DECODED)
_OTHER_SIGNATURES = _compiled(_OTHERS)


def _first_match(signatures: dict[str, re.Pattern[bytes]], data: bytes) -> str | None:
    return next((name for name, signature in signatures.items() if signature.match(data)), None)


def picture_format(data: bytes) -> str | None:
    """JPEG, PNG, WEBP, GIF, AVIF, HEIF, BMP or TIFF; None if `data` begins like none of them."""
    return _first_match(_DECODED_SIGNATURES, data)


def other_format(data: bytes) -> str | None:
    """Words for a known format that is not decoded, such as "an icon"; None if `data` begins like none of them."""
    return _first_match(_OTHER_SIGNATURES, data)
