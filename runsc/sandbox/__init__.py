"""The host side: state, processes, cgroups; never imports the kernel."""
