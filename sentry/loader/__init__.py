"""Turns a program file into a fresh address space that is ready to run (execve(2))."""
