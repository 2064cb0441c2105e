"""Settings and the OCI configuration, read and checked; imports nothing of ours."""
