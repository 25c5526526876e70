"""Texts and coding tables that a department may replace."""
