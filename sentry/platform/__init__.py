"""How guest code runs and how the host is reached; imports `sentry.abi` and `sentry.errors`."""
