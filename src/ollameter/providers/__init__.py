"""Clients of model servers: the abstract one, and Ollama's."""
