"""On a service's PYTHONPATH this makes pictures that end in a mark do what a codec's worst bug would do.

Python imports it when it starts, in the consumer and in its workers. No real file is known that does these things.
"""

import ctypes
import time

import detector.probing

decode = detector.probing.decode_picture


def poisoned(data, limits):
    match data[-12:]:
        case b"POISON:crash":
            ctypes.string_at(0)
        case b"POISON::hang":
            time.sleep(3600)
        case b"POISON::spin":
            while True:
                pass
        case b"POISON:abort":
            ctypes.CDLL(None).abort()
        case b"POISON:alloc":
            hoard = []
            while True:
                hoard.append(bytes(100_000_000))
    return decode(data, limits)


detector.probing.decode_picture = poisoned
