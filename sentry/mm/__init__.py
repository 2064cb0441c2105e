"""Guest memory as the kernel sees it; imports `sentry.platform.interface` and `sentry.abi`."""
