"""Persistent outbox: rows stay on disk until delivered, refused or expired."""
