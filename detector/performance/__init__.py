"""Biometric performance of a model pack on a set of faces, in the terms of ISO/IEC 19795-1: numbers in, numbers out."""
