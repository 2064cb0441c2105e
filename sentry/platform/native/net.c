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
    uint32_t size;      // of one that came
};

#define NET_BATCH 4  // frames received at one go

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

// What recvmmsg(2) is told of each frame.
struct slot {
    struct virtio_net_hdr virtio;
    struct sockaddr_ll from;
    struct iovec parts[2];
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
    } control;
};

static void take_control(struct msghdr *message, int vnet, struct net_frame *frame)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
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
}

// Receives the frames that are there, at most `count` and NET_BATCH, into pieces of
// `buffer` of `room` bytes.  A frame's size is more than `room` if it was cut.
// Returns how many, or -errno.
int net_receive(int fd, int vnet, char *buffer, size_t room, struct net_frame *frames,
                unsigned count)
{
    static struct slot slots[NET_BATCH];
    static struct mmsghdr messages[NET_BATCH];

    if (count > NET_BATCH)
        count = NET_BATCH;
    for (unsigned i = 0; i < count; i++) {
        struct slot *slot = slots + i;
        slot->virtio = (struct virtio_net_hdr){0};
        slot->parts[0] = (struct iovec){&slot->virtio, sizeof slot->virtio};
        slot->parts[1] = (struct iovec){buffer + i * room, room};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &slot->from,
            .msg_namelen = sizeof slot->from,
            .msg_iov = vnet ? slot->parts : slot->parts + 1,
            .msg_iovlen = vnet ? 2 : 1,
            .msg_control = &slot->control,
            .msg_controllen = sizeof slot->control,
        };
    }
    int done = recvmmsg(fd, messages, count, MSG_DONTWAIT | MSG_TRUNC, NULL);
    if (done < 0)
        return -errno;
    for (int i = 0; i < done; i++) {
        const struct slot *slot = slots + i;
        struct net_frame *frame = frames + i;
        frame->size = messages[i].msg_len - (vnet ? sizeof slot->virtio : 0);
        frame->flags = slot->virtio.flags;
        frame->gso_type = slot->virtio.gso_type;
        frame->header_size = slot->virtio.hdr_len;
        frame->gso_size = slot->virtio.gso_size;
        frame->checksum_start = slot->virtio.csum_start;
        frame->checksum_offset = slot->virtio.csum_offset;
        frame->protocol = ntohs(slot->from.sll_protocol);
        frame->kind = slot->from.sll_pkttype;
        frame->has_vlan = 0;
        take_control(&messages[i].msg_hdr, vnet, frame);
    }
    return done;
}
