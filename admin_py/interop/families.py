"""Families of Hugging Face that a model of this package can become."""

from __future__ import annotations

from collections.abc import Mapping

from admin_py.interop.encoder_models import ENCODERS
from admin_py.interop.family import Family
from admin_py.interop.language_models import LANGUAGE_MODELS
from admin_py.interop.translator_models import TRANSLATORS

FAMILIES: Mapping[str, Family] = {**LANGUAGE_MODELS, **TRANSLATORS, **ENCODERS}
"""Value of ``model_type`` -> how models are written as it; the first that holds a model is taken."""
