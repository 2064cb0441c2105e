"""What a capture of a stack's traffic holds."""

from netstack.capture import CaptureTap
from netstack.link.pcap import Capture
from netstack.wire.address6 import LOOPBACK
from tests.unit.netstack.harness import SECOND
from tests.unit.netstack.link.test_pcap import Sink, read
from tests.unit.netstack.world6 import RIGHT_LINK_LOCAL, two_hosts


def test_both_directions_of_all_interfaces():
    environment, left, _right = two_hosts()
    sink = Sink()
    tap = CaptureTap(left.stack, Capture(sink))
    left.ping(RIGHT_LINK_LOCAL, scope=left.eth.index)
    environment.advance(SECOND)
    left.ping(LOOPBACK)
    environment.advance(SECOND)
    tap.close()
    left.ping(LOOPBACK)
    environment.advance(SECOND)
    interfaces, packets = read(sink.data)
    assert [options[2] for _, _, options in interfaces] == [b"eth0", b"lo"]
    kinds = [(number, flags, data[54]) for number, _, flags, data, _ in packets]
    # Resolution and a ping on the wire; request and reply on lo, once each.
    assert kinds == [
        (0, 2, 135),
        (0, 1, 136),
        (0, 2, 128),
        (0, 1, 129),
        (1, 1, 128),
        (1, 1, 129),
    ]
    times = [time for _, time, _, _, _ in packets]
    assert times == sorted(times)
    assert times[0] > 1_700_000_000 * SECOND
