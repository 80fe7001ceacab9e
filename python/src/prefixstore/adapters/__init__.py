"""Adapters to LLM engines, one module per engine. Each imports its engine only when it is used."""
