// Frames through packet sockets (packet(7)).
// Mechanism only: which frames, and what becomes of them, is decided in Python.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <arpa/inet.h>

// What a frame is sent with, or came with.
struct net_frame {
    uint8_t flags;     // VIRTIO_NET_HDR_F_
    uint8_t gso_type;  // VIRTIO_NET_HDR_GSO_
    uint16_t header_size;
    uint16_t gso_size;
    uint16_t checksum_start;
    uint16_t checksum_offset;
    uint16_t protocol;  // host order
    uint8_t kind;       // PACKET_HOST, ...
    uint8_t has_vlan;
};

// Sends one frame whose parts are not joined.  With `vnet` the socket has
// PACKET_VNET_HDR.  The protocol is always given: ipvlan looks at it.
// Returns 0 or -errno; EAGAIN is "no room now".
int net_send(int fd, int interface, int vnet, const struct net_frame *frame,
             const char *header, size_t header_size, const char *payload, size_t payload_size)
{
    struct virtio_net_hdr virtio = {
        .flags = frame->flags,
        .gso_type = frame->gso_type,
        .hdr_len = frame->header_size,
        .gso_size = frame->gso_size,
        .csum_start = frame->checksum_start,
        .csum_offset = frame->checksum_offset,
    };
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(frame->protocol),
        .sll_ifindex = interface,
        .sll_halen = ETH_ALEN,
    };
    struct iovec parts[3] = {
        {&virtio, sizeof virtio}, {(void *)header, header_size}, {(void *)payload, payload_size}};
    struct msghdr message = {
        .msg_name = &to,
        .msg_namelen = sizeof to,
        .msg_iov = vnet ? parts : parts + 1,
        .msg_iovlen = (vnet ? 2 : 1) + (payload_size != 0),
    };
    if (header_size >= ETH_ALEN)
        memcpy(to.sll_addr, header, ETH_ALEN);
    return sendmsg(fd, &message, MSG_DONTWAIT) < 0 ? -errno : 0;
}

// Receives one frame into `buffer`; returns its size, more than `room` if it
// was cut, or -errno.
long net_receive(int fd, int vnet, char *buffer, size_t room, struct net_frame *frame)
{
    struct virtio_net_hdr virtio = {0};
    struct sockaddr_ll from = {0};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
    } control;
    struct iovec parts[2] = {{&virtio, sizeof virtio}, {buffer, room}};
    struct msghdr message = {
        .msg_name = &from,
        .msg_namelen = sizeof from,
        .msg_iov = vnet ? parts : parts + 1,
        .msg_iovlen = vnet ? 2 : 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0)
        return -errno;
    if (vnet)
        size -= (ssize_t)sizeof virtio;
    frame->flags = virtio.flags;
    frame->gso_type = virtio.gso_type;
    frame->header_size = virtio.hdr_len;
    frame->gso_size = virtio.gso_size;
    frame->checksum_start = virtio.csum_start;
    frame->checksum_offset = virtio.csum_offset;
    frame->protocol = ntohs(from.sll_protocol);
    frame->kind = from.sll_pkttype;
    frame->has_vlan = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        struct tpacket_auxdata aux;
        if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
            continue;
        memcpy(&aux, CMSG_DATA(c), sizeof aux);
        // The tag is taken out of the frame; VLAN 0 has a priority only (802.1Q).
        frame->has_vlan = aux.tp_status & TP_STATUS_VLAN_VALID && aux.tp_vlan_tci & 0xFFF;
        // Locally sent and not finished, or verified by the device: good either way.
        if (!vnet && aux.tp_status & (TP_STATUS_CSUM_VALID | TP_STATUS_CSUMNOTREADY))
            frame->flags |= VIRTIO_NET_HDR_F_DATA_VALID;
    }
    return size;
}
