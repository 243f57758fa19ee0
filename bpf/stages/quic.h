/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * QUIC: from the destination connection id of a packet to the backend that has made it (draft-ietf-quic-load-balancers, without
 * encryption). Nothing of QUIC is looked at but what all versions have in common (RFC 8999), nor any state: whatever address the
 * client has now, the id says whose its connection is. An id that a client has made up, that another configuration has, or whose
 * server is gone names nobody, and the packet goes by its addresses and ports as any other. Services without QUIC do not come here:
 * the flag is tested together with that of tracked ones.
 */
#ifndef SLUICE_QUIC_H
#define SLUICE_QUIC_H

#define QUIC_LONG_HEADER 0x80 /* of the first byte */

/* The backend that a datagram's server id names; 0: none that packets can be sent to. `flags` are the service's, `l4` is where UDP
 * begins in the frame, `ip_end` where the IP packet ends. */
separate __u32 backend_of_datagram(struct xdp_md *ctx, __u32 flags, __u32 l4, __u32 ip_end)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *udp;
	struct sl_front *front = active_front();
	struct sl_quic_id id = {};
	__u32 at = 9, length = SL_QUIC_LENGTH(flags); /* at: of the connection id, behind where UDP begins */

	if (!length)
		return 0;
	l4 &= 0xff;
	udp = data + l4;
	if (udp + 9 > end)
		return 0;
	if (AT(udp, 8, __u8) & QUIC_LONG_HEADER) { /* version, and the id's length */
		if (udp + 14 > end || AT(udp, 13, __u8) <= length)
			return 0;
		at = 14;
	}
	if (at + length >= bpf_ntohs(AT(udp, 4, __be16)) || l4 + at + length >= ip_end ||
	    bpf_xdp_load_bytes(ctx, l4 + at, &id, length + 1))
		return 0;
	if (SL_QUIC_ROTATION_OF(id.bytes[0]) != SL_QUIC_ROTATION(flags))
		return 0;
	id.bytes[0] = SL_QUIC_POOL(flags);
	struct sl_quic_server *server =
		&front->quic.server[sl_displaced_place(sl_quic_key(&id), front->quic.multiplier,
						       front->quic.displacement, SL_QUIC_BITS)];

	if (server->id.words[0] != id.words[0] || server->id.words[1] != id.words[1] || !is_alive(server->backend))
		return 0;
	return server->backend;
}

/* The backend that the packet's server id names; 0: none, or its service is not QUIC. An ICMP error quotes what was sent to the
 * client, whose id says nothing. */
stage __u32 named_backend(struct xdp_md *ctx, const struct packet *packet)
{
	if (!(packet->flags & SL_SERVICE_QUIC) || packet->protocol != UDP)
		return 0;
	return backend_of_datagram(ctx, packet->flags, packet->l4, packet->l3 + packet->ip_length);
}

#endif
