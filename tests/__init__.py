"""Tests of admin-py; mirrors the package."""
