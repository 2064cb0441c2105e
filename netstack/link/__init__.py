"""What carries frames: loopback, queueing disciplines, captures; the owner brings real devices."""
