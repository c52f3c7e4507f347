"""Pixels in, numbers out: decode, detect, align, embed."""
