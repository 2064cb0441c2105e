"""Tasks, thread groups, signals, timers, descriptors: the kernel proper."""
