"""IP and what belongs to it: ICMP, ARP, neighbour discovery, fragments, group membership."""
