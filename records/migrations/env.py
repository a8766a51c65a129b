"""Alembic's entry: runs the migrations on the connection that records.database.Database.migrate opened."""

from alembic import context

from records import schema_audit  # noqa: F401 their tables belong to the metadata
from records.casework import schema_around_cases, schema_cases  # noqa: F401
from records.people import schema_people  # noqa: F401
from records.reports import schema_reports  # noqa: F401
from records.schema import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
context.run_migrations()
