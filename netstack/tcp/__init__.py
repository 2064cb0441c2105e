"""TCP (RFC 9293): connections and listeners as state machines."""
