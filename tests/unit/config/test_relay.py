"""The messages of the relay of Docker's resolver."""

import pytest

from config import relay
from config.relay import LengthPrefixed, RelayFormatError, RelayMessage


@pytest.mark.parametrize("server", [bytes((10, 0, 0, 1)), bytes(range(16))])
def test_a_query_to_a_server_comes_back_as_it_was(server: bytes) -> None:
    sent = RelayMessage(relay.OUTSIDE_QUERY, relay.TCP, 0xFFFF_FFFF, b"question")
    sent.server = server
    got = relay.parse(sent.pack())
    assert vars(got) == vars(sent)


def test_the_largest_message_fits() -> None:
    sent = RelayMessage(relay.OUTSIDE_QUERY, relay.TCP, 1, bytes(relay.MAX_DNS))
    sent.server = bytes(16)
    assert len(sent.pack()) == relay.MAX_MESSAGE


@pytest.mark.parametrize(
    "data",
    [b"", bytes(7), bytes(8), RelayMessage(relay.INSIDE_QUERY, 17, 1, b"").pack()[:7]],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(RelayFormatError):
        relay.parse(data)


def test_a_query_without_a_whole_address_is_refused() -> None:
    sent = RelayMessage(relay.OUTSIDE_QUERY, relay.UDP, 1, b"")
    sent.server = bytes(15)
    with pytest.raises(RelayFormatError):
        relay.parse(sent.pack())


def test_messages_out_of_a_stream_in_single_bytes() -> None:
    stream = LengthPrefixed()
    found = []
    for byte in relay.prefix_length(b"one") + relay.prefix_length(b"") + b"\0\3tw":
        stream.add(bytes((byte,)))
        while (message := stream.take()) is not None:
            found.append(message)
    assert found == [b"one", b""]
    stream.add(b"o")
    assert stream.take() == b"two"
