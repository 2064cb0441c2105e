"""What the tests share: root file systems, bundles, runs of them, and a check for leaks."""
