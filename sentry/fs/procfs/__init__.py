"""proc (proc(5)): one module per directory; files are small classes in tables."""
