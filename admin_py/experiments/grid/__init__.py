"""Grids: crosses of settings, a training a cell."""
