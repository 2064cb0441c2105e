"""The rules that dockerd 20.10 makes when it starts and publishes a port, and what they do."""

from tunnels import (
    ACK,
    CLIENT,
    INNER,
    OUTER,
    SERVER,
    SYN,
    inside,
    outside,
    run,
    send,
    tcp,
    udp,
)

# The bridge is in0 here, with the container CLIENT behind it; the world is behind out0.
COMMANDS = """
-t filter -C FORWARD -j DOCKER-ISOLATION
-t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-t nat -D OUTPUT -m addrtype --dst-type LOCAL ! --dst 127.0.0.0/8 -j DOCKER
-t nat -D OUTPUT -m addrtype --dst-type LOCAL -j DOCKER
-t nat -D PREROUTING
-t nat -D OUTPUT
-t nat -F DOCKER
-t nat -X DOCKER
-t filter -F DOCKER
-t filter -X DOCKER
-t filter -F DOCKER-ISOLATION-STAGE-1
-t filter -X DOCKER-ISOLATION-STAGE-1
-t filter -F DOCKER-ISOLATION-STAGE-2
-t filter -X DOCKER-ISOLATION-STAGE-2
-t filter -F DOCKER-ISOLATION
-t filter -X DOCKER-ISOLATION
-t nat -n -L DOCKER
-t nat -N DOCKER
-t filter -n -L DOCKER
-t filter -N DOCKER
-t filter -n -L DOCKER-ISOLATION-STAGE-1
-t filter -N DOCKER-ISOLATION-STAGE-1
-t filter -n -L DOCKER-ISOLATION-STAGE-2
-t filter -N DOCKER-ISOLATION-STAGE-2
-t filter -C DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-t filter -C DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-t nat -C POSTROUTING -s 10.1.1.0/24 ! -o in0 -j MASQUERADE
-t nat -I POSTROUTING -s 10.1.1.0/24 ! -o in0 -j MASQUERADE
-t nat -C DOCKER -i in0 -j RETURN
-t nat -I DOCKER -i in0 -j RETURN
-D FORWARD -i in0 -o in0 -j DROP
-t filter -C FORWARD -i in0 -o in0 -j ACCEPT
-I FORWARD -i in0 -o in0 -j ACCEPT
-t filter -C FORWARD -i in0 ! -o in0 -j ACCEPT
-I FORWARD -i in0 ! -o in0 -j ACCEPT
-t nat -C PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-t nat -C OUTPUT -m addrtype --dst-type LOCAL -j DOCKER ! --dst 127.0.0.0/8
-t nat -A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER ! --dst 127.0.0.0/8
-t filter -C FORWARD -o in0 -j DOCKER
-I FORWARD -o in0 -j DOCKER
-t filter -C FORWARD -o in0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-I FORWARD -o in0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-t filter -C FORWARD -j DOCKER-ISOLATION-STAGE-1
-I FORWARD -j DOCKER-ISOLATION-STAGE-1
-t filter -C DOCKER-ISOLATION-STAGE-1 -i in0 ! -o in0 -j DOCKER-ISOLATION-STAGE-2
-I DOCKER-ISOLATION-STAGE-1 -i in0 ! -o in0 -j DOCKER-ISOLATION-STAGE-2
-t filter -C DOCKER-ISOLATION-STAGE-2 -o in0 -j DROP
-I DOCKER-ISOLATION-STAGE-2 -o in0 -j DROP
-t filter -n -L DOCKER-USER
-t filter -N DOCKER-USER
-t filter -C DOCKER-USER -j RETURN
-A DOCKER-USER -j RETURN
-t filter -C FORWARD -j DOCKER-USER
-D FORWARD -j DOCKER-USER
-I FORWARD -j DOCKER-USER
-P FORWARD DROP
-t nat -C DOCKER -p tcp -d 0/0 --dport 8080 -j DNAT --to-destination 10.1.1.2:80 ! -i in0
-t nat -A DOCKER -p tcp -d 0/0 --dport 8080 -j DNAT --to-destination 10.1.1.2:80 ! -i in0
-t filter -C DOCKER ! -i in0 -o in0 -p tcp -d 10.1.1.2 --dport 80 -j ACCEPT
-t filter -A DOCKER ! -i in0 -o in0 -p tcp -d 10.1.1.2 --dport 80 -j ACCEPT
-t nat -C POSTROUTING -p tcp -s 10.1.1.2 -d 10.1.1.2 --dport 80 -j MASQUERADE
-t nat -A POSTROUTING -p tcp -s 10.1.1.2 -d 10.1.1.2 --dport 80 -j MASQUERADE
"""

run("iptables-legacy --wait -t nat -n -L")
for command in COMMANDS.strip().splitlines():
    run(f"iptables-legacy --wait {command}")
run("iptables-legacy-save | sed '/^#/d; s/\\[[0-9:]*\\]//'")

send("out", inside, udp(CLIENT, 7, SERVER, 9))
send("answer", outside, udp(SERVER, 9, OUTER, 7))
send("unasked", outside, udp(SERVER, 9, CLIENT, 8))
send("published", outside, tcp(SERVER, 1234, OUTER, 8080, SYN))
send("its answer", inside, tcp(CLIENT, 80, SERVER, 1234, SYN | ACK, 101))
send("on", outside, tcp(SERVER, 1234, OUTER, 8080, ACK, 101))
send("another port", outside, tcp(SERVER, 1235, OUTER, 8081, SYN))
send("past the host", outside, tcp(SERVER, 1236, CLIENT, 80, SYN))
send("a port that is not published", outside, tcp(SERVER, 1237, CLIENT, 81, SYN))
send("from the container to its host", inside, tcp(CLIENT, 1238, INNER, 8080, SYN))
run("iptables-legacy -t filter -nvxL; iptables-legacy -t nat -nvxL")
