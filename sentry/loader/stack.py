"""The first stack of a program: strings, pointers, auxiliary vector (execve(2), getauxval(3))."""

from struct import pack

from sentry.abi.elf import AT_EXECFN, AT_NULL, AT_PLATFORM, AT_RANDOM


class InitialStack:
    """The bytes from the stack pointer to the top of the stack, and where things lie in them."""

    def __init__(self, top: int, filename: bytes, args: list[bytes], env: list[bytes]) -> None:
        self.top = top
        self._filename = filename
        self._args = args
        self._env = env
        self.sp = 0
        self.arg_start = 0
        self.arg_end = 0
        self.env_start = 0
        self.env_end = 0
        self.auxv = b""

    def build(self, random: bytes, aux: list[tuple[int, int]]) -> bytes:
        """Return the contents, lowest address first; fills the addresses in.

        `random` are 16 bytes for AT_RANDOM; `aux` is the auxiliary vector
        without the entries that point into the stack.
        """
        strings = b"\0".join([*self._args, *self._env, self._filename, b""])
        # Linux keeps eight zero bytes above the file name.
        strings_at = self.top - 8 - len(strings)
        self.arg_start = strings_at
        position = strings_at
        arg_pointers: list[int] = []
        for text in self._args:
            arg_pointers.append(position)
            position += len(text) + 1
        self.arg_end = self.env_start = position
        env_pointers: list[int] = []
        for text in self._env:
            env_pointers.append(position)
            position += len(text) + 1
        self.env_end = position
        filename_at = position

        platform = b"x86_64\0"
        platform_at = strings_at - len(platform)
        random_at = (platform_at - 16) & -16
        entries = [
            *aux,
            (AT_RANDOM, random_at),
            (AT_EXECFN, filename_at),
            (AT_PLATFORM, platform_at),
            (AT_NULL, 0),
        ]
        self.auxv = b"".join([pack("<QQ", kind, value) for kind, value in entries])
        pointers = pack(
            f"<Q{len(arg_pointers)}QQ{len(env_pointers)}QQ",
            len(arg_pointers),
            *arg_pointers,
            0,
            *env_pointers,
            0,
        )
        size = len(pointers) + len(self.auxv)
        self.sp = (random_at - size) & -16
        gap = random_at - self.sp - size
        between = strings_at - platform_at - len(platform)
        return b"".join(
            [
                pointers,
                self.auxv,
                bytes(gap),
                random,
                bytes(platform_at - random_at - 16),
                platform,
                bytes(between),
                strings,
                bytes(8),
            ]
        )
