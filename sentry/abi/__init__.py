"""The guest's ABI: numbers and struct layouts of Linux on x86-64; imports nothing of ours."""
