"""The TCP/IP stack as a library: frames in, frames and events out; imports nothing of ours."""
