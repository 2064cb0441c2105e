"""nf_tables over netlink: tables of rules for the stack, as nft(8) and iptables-nft set them up."""
