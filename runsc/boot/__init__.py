"""The sandbox process from its fork to its end; may import sentry, netstack, config."""
