"""The tables and functions of procrastinate 3.10, from the installed library: pyproject.toml pins its minor version."""

from yoyo import step

from groundglass.core.jobs.schema import procrastinate_schema

steps = [step(procrastinate_schema())]
