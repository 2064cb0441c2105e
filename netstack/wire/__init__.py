"""Formats on the wire: parsing and building, one module for each header; no state."""
