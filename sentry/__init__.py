"""The sentry: the kernel that a container's processes run on."""
