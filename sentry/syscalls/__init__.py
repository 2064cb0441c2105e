"""System call handlers, one module per family; `gen.py` binds them to their numbers."""
