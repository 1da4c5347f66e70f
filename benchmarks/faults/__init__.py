"""Damaged files of every kind: understood or refused in one sentence, and nobody gets somebody else's value."""
