"""Filtering of packets: rules, connection tracking and address translation."""
