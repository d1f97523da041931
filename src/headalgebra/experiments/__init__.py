"""Experiments on decoders that are trained here: what is measured of a run, and compared."""
