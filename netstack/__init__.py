"""The TCP/IP stack: a library that does no I/O and reads no clock; imports nothing of ours."""
