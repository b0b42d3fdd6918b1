"""The engine: one pipeline, its effects, the drivers that run it, and the object that users hold.

Start with :mod:`leo_core.engine.pipeline`.
"""
