"""Experiments: many trainings, kept in a folder, from which a stopped one goes on."""
