"""Alembic's entry: runs on the connection that `registry.control.sql.migrate` hands over."""

from alembic import context

from registry.control.sql import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[tables.ledger, tables.views, tables.operational],
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
