"""The commands and what each does in a line, for `runsc --help`."""

COMMANDS = (
    ("create", "Create a container: everything but run its program."),
    ("start", "Run the program of a created container."),
    ("run", "Create and start a container, and stay until it ends."),
    ("exec", "Run another process in a container."),
    ("kill", "Send a signal to a container."),
    ("pause", "Stop all processes of a container where they are."),
    ("resume", "Let the processes of a paused container go on."),
    ("delete", "Remove containers."),
    ("state", "Print the state of a container as JSON."),
    ("list", "List the containers."),
    ("ps", "List the processes of a container."),
    ("port-forward", "Join TCP connections of the host to a port of a container."),
    ("debug", "Look into a running sandbox."),
    ("do", "Run a command in a throw-away sandbox over the host's files."),
    ("spec", "Write a config.json to start from."),
    ("features", "Print what the runtime supports as JSON."),
)
