"""Versions of the model."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(generate_unique_id_function=lambda route: route.name, prefix="/v1/models", tags=["models"])
